package stack

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

// rule is something that must hold in the template of every stage, whatever a
// snapshot says. check returns what is wrong, one line each; mutations break the
// template, each in one way that the rule has to notice.
type rule struct {
	name, why string
	check     func(deployment) findings
	mutations []mutation
}

type mutation struct {
	name  string
	apply func(template)
}

// set puts a value at a path of the properties of the role's resource.
func set(kind, role string, value any, path ...string) func(template) {
	return func(t template) {
		container := map[string]any(t.props(kind, role))
		for _, key := range path[:len(path)-1] {
			next := object(container).at(key)
			container = next.(map[string]any)
		}
		if value == nil {
			delete(container, path[len(path)-1])
			return
		}
		container[path[len(path)-1]] = value
	}
}

// findings collects what is wrong.
type findings []string

func (f *findings) addf(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// want adds a finding where the JSON differs.
func (f *findings) want(what string, got, want any) {
	if text(got) != text(want) {
		f.addf("%s is %s, want %s", what, text(got), text(want))
	}
}

func rules() []rule {
	return slices.Concat(resourceRules, accessRules, queueRules, bucketRules, workerRules, receiverRules, policyRules, canaryRules, endpointRules, gatewayRules, alarmRules, dashboardRules)
}

func TestRules(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(stacks)) {
		for _, r := range rules() {
			t.Run(name+"/"+r.name, func(t *testing.T) {
				for _, finding := range r.check(stacks[name]) {
					t.Errorf("%s\n\twhy: %s", finding, r.why)
				}
			})
		}
	}
}

// TestRulesNotice breaks the template of the stage with every option, once per
// mutation. A rule that stays silent then would stay silent on the day.
func TestRulesNotice(t *testing.T) {
	for _, r := range rules() {
		if len(r.mutations) == 0 {
			t.Errorf("%s: no mutation proves that the rule notices anything", r.name)
		}
		for _, m := range r.mutations {
			t.Run(r.name+"/"+m.name, func(t *testing.T) {
				d := stacks["full"]
				broken := d.template.clone()
				m.apply(broken)
				if text(broken) == text(d.template) {
					t.Fatal("the mutation changes nothing")
				}
				if len(r.check(deployment{stage: d.stage, template: broken})) == 0 {
					t.Error("the rule does not notice")
				}
			})
		}
	}
}
