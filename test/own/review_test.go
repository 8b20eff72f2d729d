package own

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A pull request of each kind: what the workflows Review and Comment write under it.
func TestPullRequests(t *testing.T) {
	dir := repository(t, crmdev, crmprod)
	in(t, dir, "go", "mod", "tidy")
	in(t, dir, "git", "init", "--quiet", "--initial-branch", "main")
	commit(t, dir, "Our webhooks")
	base := strings.TrimSpace(in(t, dir, "git", "rev-parse", "HEAD"))

	overridden := func(resource, property, value string) [2]string {
		const before = "	awscdk.Tags_Of(stacks)"
		return [2]string{before, fmt.Sprintf(`	stacks.Node().FindChild(jsii.String("NylasWebhooks-crmprod")).Node().FindChild(jsii.String(%q)).Node().DefaultChild().(awscdk.CfnResource).AddPropertyOverride(jsii.String(%q), %q)`+"\n", resource, property, value) + before}
	}
	for _, pr := range []struct {
		title  string
		edit   [2]string // of main.go
		class  string
		says   []string
		became string
	}{
		{"A comment", [2]string{"// The CDK app", "// This is the CDK app"}, "nothing", nil, "success"},
		{"Another program", overridden("Receiver", "Code.S3Key", strings.Repeat("ab", 32)+".zip"), "code only", []string{"NylasWebhooks-crmprod"}, "success"},
		{"Keep logs longer", [2]string{"	return []stages", "	crmprod.LogDays = 365\n	return []stages"}, "changed", []string{"NylasWebhooks-crmprod", "365"}, "success"},
		{"Keep notifications for a day", [2]string{"	return []stages", "	crmprod.RetentionDays = 1\n	return []stages"}, "loosened", []string{"NylasWebhooks-crmprod Queue", "`retention`"}, "failure"},
		{"A consumer may do more", overridden("ConsumerPolicy", "PolicyDocument.Statement.0.Action", "sqs:*"), "widened", []string{"ConsumerPolicy", "sqs:\\*"}, "failure"},
		{"What does not compile", [2]string{"// The CDK app", "The CDK app"}, "not compared", []string{"Commit "}, "failure"},
		{"A name for the queue", overridden("Queue", "QueueName", "notifications"), "replaced", []string{"Queue", "not moved"}, "failure"},
	} {
		in(t, dir, "git", "checkout", "--quiet", "-B", "change", "main")
		edit(t, filepath.Join(dir, "main.go"), pr.edit[0], pr.edit[1])
		commit(t, dir, pr.title)
		head := strings.TrimSpace(in(t, dir, "git", "rev-parse", "HEAD"))
		t.Run(pr.class, func(t *testing.T) {
			t.Parallel() // a review takes ten seconds, much of them one core
			r := &runner{t: t, repository: dir, name: "acme/webhooks", github: t.TempDir()}
			if err := os.WriteFile(filepath.Join(r.github, "head"), []byte(head), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // opened, and looked at once more
				review := r.run("review.yml", event{commit: head, values: map[string]string{"github.event.pull_request.base.sha": base, "github.event.pull_request.number": "12"}})
				if review.jobs["review"] != pr.became {
					t.Fatalf("the job: %s, want %s\n%s", review.jobs["review"], pr.became, review.log)
				}
				comment := r.run("comment.yml", event{
					values:    map[string]string{"github.event.workflow_run.id": review.id, "github.event.workflow_run.head_sha": head},
					condition: map[string]bool{"github.event.workflow_run.event == 'pull_request'": true},
				})
				if comment.jobs["comment"] != "success" {
					t.Fatal(comment.log)
				}
				if pr.class != "replaced" {
					break // once is enough for the others
				}
			}
			want := []string{"POST 12/comments", "PATCH comments/11"}
			if pr.class != "replaced" {
				want = want[:1]
			}
			if told := r.told(); !slices.Equal(told, want) {
				t.Errorf("gh was told %q, want %q", told, want)
			}
			text, err := os.ReadFile(filepath.Join(r.github, "comment.md"))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s\n%s", pr.title, text)
			for _, says := range append(pr.says, "### Templates: "+pr.class, head) {
				if !strings.Contains(string(text), says) {
					t.Errorf("the comment does not say %q", says)
				}
			}
		})
	}
}
