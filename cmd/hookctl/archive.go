package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/archived"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/deployment"
	"github.com/onepagecrm/nylas-webhooks/cmd/hookctl/internal/objects"
	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

func newArchive(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "Erase a mailbox from the archive",
		Long: `archive works on the copies that a stage with ArchiveDays keeps of what it accepts.
hookctl replay sends them to the queue again, hookctl forward to a program of yours.`,
		Args: commandsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newArchiveErase(s))
	return cmd
}

// archive is the stage's archive, where it has one.
func (f found) archive() (archived.Archive, error) {
	if f.ArchiveDays == "" {
		return archived.Archive{}, fmt.Errorf("stage %s keeps no archive, so nothing that has arrived can be read again: set ArchiveDays of stage %s and deploy it, and what arrives from then on can", f.Stage, f.Stage)
	}
	return archived.Archive{Bucket: objects.Bucket{API: f.s3(), Name: f.BucketName}}, nil
}

// copies are the flags that choose among the copies by what they are.
type copies struct {
	grant string
	types []string
}

func (c *copies) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.grant, "grant", "", "only this grant's")
	cmd.Flags().StringSliceVar(&c.types, "type", nil, typeFlagHelp)
	// The error is for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("type", completeTriggers)
}

func (c copies) filter() (archived.Filter, error) {
	if err := checkTypes(c.types); err != nil {
		return archived.Filter{}, err
	}
	if c.grant != "" && !contract.ArchivableGrant(c.grant) {
		return archived.Filter{}, usagef("--grant is longer than the grants by which copies can be found; is it one of Nylas's?")
	}
	return archived.Filter{GrantID: c.grant, Types: c.types}, nil
}

func newArchiveErase(s streams) *cobra.Command {
	var t target
	var grant string
	var sure typedName
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Delete a grant's copies for good",
		Long: `erase deletes every copy of a grant's notifications, found by the objects' names. It
cannot be undone, so it asks you to type the grant's id; scripts give it by --yes-erase.
Delete the grant at Nylas first, so that no more copies come.

It deletes nothing from the queues, the log or the CRM: docs/data-protection.md has the
whole way. Copies of bodies that are too large for a message are pointers to overflow/,
where what they point to expires by itself.

It lists the whole archive, a thousand names a call. Where the bucket keeps versions,
which somebody has switched on then, the copies stay as older versions; erase says so
and ends with exit code 1.`,
		Example: `  hookctl archive erase --stage prod --grant 3f1e…`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runArchiveErase(cmd.Context(), s, t, grant, sure)
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&grant, "grant", "", "the grant whose copies are deleted")
	sure.flag(cmd, "erase", "the grant's id, instead of typing it")
	return cmd
}

func runArchiveErase(ctx context.Context, s streams, t target, grant string, sure typedName) error {
	if grant == "" {
		return usagef("--grant is missing: whose copies are to be deleted?")
	}
	filter, err := copies{grant: grant}.filter()
	if err != nil {
		return err
	}
	f, err := t.find(ctx)
	if err != nil {
		return err
	}
	archive, err := f.archive()
	if err != nil {
		return err
	}
	told := newProgress(s)
	var names []string
	if err := archive.List(ctx, filter, func(c archived.Copy) bool {
		names = append(names, c.Name)
		told.tellf("found %d, up to %s", len(names), moment(c.ReceivedAt))
		return true
	}); err != nil {
		return deployment.Explain(err)
	}
	if len(names) > 0 {
		question := fmt.Sprintf("This deletes %d copies of the grant's notifications from the archive of stage %s for good.", len(names), t.stage)
		if err := sure.ask(ctx, s, grant, question); err != nil {
			return err
		}
	}
	erased, err := archive.Erase(ctx, names, func(e archived.Erased) { told.tellf("deleted %d of %d", e.Deleted, len(names)) })
	if err != nil {
		s.stderrf("Before it ended, %d of %d copies were deleted. Run the command again.", erased.Deleted, len(names))
		return deployment.Explain(err)
	}
	if t.json {
		if err := s.json(map[string]any{"stage": t.stage, "bucket": f.BucketName, "deleted": erased.Deleted, "kept_as_versions": erased.Hidden}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.out, "%d copies deleted\n", erased.Deleted)
	}
	if erased.Hidden > 0 {
		s.stderrf("%d of them are still there as older versions, because somebody has switched versions on for bucket %s. Delete those by hand (aws s3api list-object-versions, delete-object --version-id), and ask why: the stack wants none.", erased.Hidden, f.BucketName)
		return errNotSo
	}
	return nil
}
