package main

import "testing"

// What the settings lack, in sentences. make deploy asks this of the stage that it deploys.
func TestStages(t *testing.T) {
	for _, stage := range ours() {
		if err := stage.Validate(); err != nil {
			t.Error(err)
		}
		if err := stage.Deployable(); err != nil {
			t.Error(err)
		}
	}
}
