package localstage

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/onepagecrm/nylas-webhooks/test/rights"
)

// As returns the environment of a program that may do what docs/least-privilege.md names
// for these command lines ("hookctl dlq ls --stage local"), and nothing else.
func (s *Stage) As(ctx context.Context, lines ...string) ([]string, error) {
	var all rights.Row
	for _, line := range lines {
		_, row := s.Programs.For(line)
		all.Policies = append(all.Policies, row.Policies...)
		all.Actions = append(all.Actions, row.Actions...)
	}
	user, err := s.User(ctx, all)
	return user.Environ(), err
}

// User is somebody with these policies of the stack; the same one for the same policies.
func (s *Stage) User(ctx context.Context, row rights.Row) (rights.User, error) {
	names := slices.Concat(row.Policies, row.Actions)
	slices.Sort(names)
	name := strings.ReplaceAll(strings.Join(append([]string{"may"}, slices.Compact(names)...), "-"), ":", ".")
	if user, ok := s.users[name]; ok {
		return user, nil
	}
	var arns []string
	for _, role := range slices.Compact(slices.Sorted(slices.Values(row.Policies))) {
		arn := s.Outputs[role+"Arn"]
		if arn == "" {
			return rights.User{}, fmt.Errorf("the stack has no output %sArn, which docs/least-privilege.md speaks of", role)
		}
		arns = append(arns, arn)
	}
	user, err := rights.NewUser(ctx, s.AWS, name, arns...)
	if err != nil {
		return user, err
	}
	if len(row.Actions) > 0 {
		queue := s.Outputs["QueueArn"]
		dead := queue[:strings.LastIndex(queue, ":")+1] + path.Base(s.DeadLetters()) // the one resource that the page names for such
		if err := user.Allow(ctx, s.AWS, rights.Policy{Version: "2012-10-17", Statement: []map[string]any{
			{"Sid": "Own", "Effect": "Allow", "Action": row.Actions, "Resource": dead},
		}}); err != nil {
			return user, err
		}
	}
	s.users[name] = user
	return user, nil
}
