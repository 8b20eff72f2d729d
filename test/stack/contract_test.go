package stack

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// The template's variables are those the function loads, no more and no fewer.
func TestEnvironmentHasTheContractsKeys(t *testing.T) {
	for name, d := range stacks {
		want := slices.Sorted(maps.Keys(contract.Config{Archive: archiveOf(d)}.Vars()))
		variables, _ := d.template.props(functionType, "Receiver").at("Environment", "Variables").(map[string]any)
		if got := slices.Sorted(maps.Keys(variables)); !slices.Equal(got, want) {
			t.Errorf("%s: the template sets %v, the function reads %v", name, got, want)
		}
	}
}

// The template's variables, with what CloudFormation puts in for the references,
// load into the configuration that was meant.
func TestEnvironmentLoads(t *testing.T) {
	for name, d := range stacks {
		resolved := map[string]string{
			text(ref(d.template.id(queueType, "Queue"))):   "https://sqs.eu-central-1.amazonaws.com/123456789012/queue",
			text(ref(d.template.id(bucketType, "Bucket"))): "nylaswebhooks-bucket",
			text(getAtt("Secret", "Id")):                   "arn:aws:secretsmanager:eu-central-1:123456789012:secret:s-AbCdEf", // not Ref, which some engines make the name
		}
		variables, _ := d.template.props(functionType, "Receiver").at("Environment", "Variables").(map[string]any)
		config, err := contract.Load(func(key string) (string, bool) {
			value, ok := variables[key]
			if literal, isString := value.(string); isString {
				return literal, ok
			}
			return resolved[text(value)], ok
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if config.Stage != name {
			t.Errorf("%s: the function believes it is %s", name, config.Stage)
		}
		for i, v := 0, reflect.ValueOf(config); i < v.NumField(); i++ {
			if v.Field(i).IsZero() && v.Type().Field(i).Name != "Archive" {
				t.Errorf("%s: %s is empty", name, v.Type().Field(i).Name)
			}
		}
		if config.Archive != archiveOf(d) {
			t.Errorf("%s: the function is told %q of the archive, want %q", name, config.Archive, archiveOf(d))
		}
		if config.QueueURL != resolved[text(ref(d.template.id(queueType, "Queue")))] || config.SecretARN != resolved[text(getAtt("Secret", "Id"))] ||
			config.Bucket != resolved[text(ref(d.template.id(bucketType, "Bucket")))] {
			t.Errorf("%s: the variables are swapped: %+v", name, config)
		}
	}
}

// archiveOf is what a stage's function has to be told of its archive.
func archiveOf(d deployment) string {
	if d.stage.ArchiveDays > 0 {
		return contract.ArchiveOn
	}
	return ""
}

// A metric that newly pages is thought about in signedOnly.
func TestPagingMetricsHaveAReason(t *testing.T) {
	if got, want := slices.Sorted(maps.Keys(signedOnly)), slices.Sorted(slices.Values(contract.Paging)); !slices.Equal(got, want) {
		t.Errorf("there are reasons for %v; contract.Paging is %v", got, want)
	}
}
