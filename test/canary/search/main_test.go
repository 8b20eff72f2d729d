package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/notification/samples"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

func TestRun(t *testing.T) {
	sum := strings.Repeat("0a", 32)
	good := map[string]string{
		".local/e2e/outputs.json": "{}", ".local/e2e/cdk.out/NylasWebhooks-local.template.json": sum, "cdk.out/NylasWebhooks-prod.template.json": sum,
	}
	for _, suite := range []string{"unit", "stack", "policy", "faults", "nylas", "e2e", "canaries"} {
		good[".local/test/"+suite+".json"] = "{}"
	}
	for _, engine := range []string{"e2e", "drill", "consumer", "test-hookctl", "test-transcripts"} {
		good[".local/"+engine+"/engine.log"] = "started"
	}
	for name, test := range map[string]struct {
		file, text string
		want       string
	}{
		"nothing":             {".local/run/engine.log", "stopped", ""},
		"mail in a log":       {".local/run/engine.log", "POST " + canary.New("subject"), "engine.log holds: subject"},
		"a sample in output":  {".local/test/e2e.json", string(samples.All()[0].Body), "e2e.json holds: sample"},
		"a signature":         {".local/test/e2e.json", sum, "e2e.json holds: signature"},
		"a secret in outputs": {".local/run/outputs.json", samples.Secret, "outputs.json holds: sample"},
		"mail in a template":  {"cdk.out/dev.json", canary.New("address"), "dev.json holds: address"},
		"an engine too few":   {".local/consumer/engine.log", "", "consumer/engine.log is not among"},
		"no test output":      {".local/test/unit.json", "", "unit.json is not among .local/test/*.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(file, text string) {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for file, text := range good {
				write(file, text)
			}
			write(test.file, test.text)
			if test.text == "" {
				if err := os.Remove(filepath.Join(dir, test.file)); err != nil {
					t.Fatal(err)
				}
			}
			err := run(dir)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "zqcanary") {
				t.Error("the error holds what was found")
			}
		})
	}
}
