package review

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// statement is one right of a policy: one action on one resource for one principal. A "Not…"
// stays whole: the more it names, the less it is about.
type statement struct {
	effect, action, resource, principal string
	condition                           string
	negated                             bool // it has one of the three "Not…"
}

// rights takes a policy document apart. ok is false where it is none.
func rights(document any) (all map[statement]bool, ok bool) {
	object, ok := document.(map[string]any)
	if !ok {
		return nil, document == nil
	}
	if !isDocument(object) {
		return nil, false // a function of the template, whose value is not known here
	}
	all = map[statement]bool{}
	for _, s := range list(object["Statement"]) {
		one, ok := s.(map[string]any)
		if !ok || one["Effect"] == nil { // Fn::If, say: what it comes to is not known
			return nil, false
		}
		negated := one["NotAction"] != nil || one["NotResource"] != nil || one["NotPrincipal"] != nil
		for _, action := range each(one, "Action", "NotAction") {
			for _, resource := range each(one, "Resource", "NotResource") {
				for _, principal := range principals(one) {
					all[statement{fmt.Sprint(one["Effect"]), action, resource, principal, text(one["Condition"]), negated}] = true
				}
			}
		}
	}
	return all, true
}

func list(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	if v == nil {
		return nil
	}
	return []any{v}
}

// each lists the values of an element. Those of its opposite are one value together: one fewer
// of them is more that is meant.
func each(s map[string]any, name, not string) []string {
	var all []string
	for _, v := range list(s[name]) {
		all = append(all, text(v))
	}
	if excluded := list(s[not]); excluded != nil {
		var names []string
		for _, v := range excluded {
			names = append(names, text(v))
		}
		slices.Sort(names)
		all = append(all, not+" "+strings.Join(names, ", "))
	}
	if all == nil {
		all = []string{""} // a trust policy has no resource
	}
	return all
}

func principals(s map[string]any) []string {
	var all []string
	switch p := s["Principal"].(type) {
	case nil:
	case map[string]any:
		for kind, who := range p {
			for _, v := range list(who) {
				all = append(all, kind+" "+text(v))
			}
		}
	default:
		all = append(all, "Principal "+text(p))
	}
	if excluded := s["NotPrincipal"]; excluded != nil {
		all = append(all, "NotPrincipal "+text(excluded))
	}
	if all == nil {
		all = []string{""} // an identity's policy has no principal
	}
	return all
}

func text(v any) string {
	if v == nil {
		return ""
	}
	if s, ok := v.(string); ok {
		return s
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v) // it was decoded from JSON
	}
	return string(encoded)
}

// judgePolicy compares two documents by the rights that they give, whatever their form.
func judgePolicy(old, new any) []verdict {
	before, ok := rights(old)
	after, ok2 := rights(new)
	if !ok || !ok2 {
		return []verdict{{Widened, "policy-unreadable", "a policy is not in a form that can be compared: read it"}}
	}
	var found []verdict
	if a, b := child(old, "Version"), child(new, "Version"); old != nil && new != nil && text(a) != text(b) {
		found = append(found, verdict{Widened, "policy-unreadable", fmt.Sprintf("the policy's version was %s and is %s: before 2012-10-17 what stands in ${…} is no variable", show(a), show(b))})
	}
	for s := range after {
		switch {
		case before[s]:
		case s.negated:
			found = append(found, verdict{Widened, "policy-not", "a statement with NotAction, NotResource or NotPrincipal is another: read what it is about now"})
		case s.effect != "Allow" && s.effect != "Deny":
			found = append(found, verdict{Widened, "policy-unreadable", fmt.Sprintf("the effect of a statement is %q", s.effect)})
		case s.effect == "Deny":
			found = append(found, verdict{Changed, "deny-added", fmt.Sprintf("%s is denied now on %s%s", s.action, say(s.resource), condition(s))})
		case narrowed(s, before):
			found = append(found, narrowing(s))
		default:
			found = append(found, verdict{Widened, "allow-added", fmt.Sprintf("%s may %s on %s%s", who(s), s.action, say(s.resource), condition(s))})
		}
	}
	for s := range before {
		switch {
		case after[s]:
		case s.effect == "Allow" && s.condition == "" && conditioned(s, after):
			if conditioned(s, before) { // otherwise it was said above
				found = append(found, narrowing(s))
			}
		case s.effect == "Allow" && covered(s, after): // by a wider one, which was said above
		case s.effect != "Allow":
			found = append(found, verdict{Widened, "deny-removed", fmt.Sprintf("%s on %s is denied no more%s", s.action, say(s.resource), condition(s))})
		default:
			found = append(found, verdict{Loosened, "allow-removed", fmt.Sprintf("%s may no longer %s on %s: what stops without it?", who(s), s.action, say(s.resource))})
		}
	}
	if found == nil {
		// Statements put in another order, or an id of a statement.
		found = append(found, verdict{Changed, "policy-reordered", "a policy is written differently and gives the same rights"})
	}
	return found
}

func narrowing(s statement) verdict {
	return verdict{Changed, "allow-narrowed", fmt.Sprintf("%s on %s is allowed under a further condition", s.action, say(s.resource))}
}

// covered tells whether the right is part of one that differs in its action alone, as sqs:* does.
func covered(s statement, after map[statement]bool) bool {
	for other := range after {
		if other.negated || !strings.ContainsAny(other.action, "*?") {
			continue
		}
		same := other
		same.action = s.action
		if same == s && matches(other.action, s.action) {
			return true
		}
	}
	return false
}

// matches tells whether an action with wildcards is about another. Letters' case does not count.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
func matches(pattern, action string) bool {
	quoted := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
	return regexp.MustCompile("(?is)^" + quoted + "$").MatchString(action)
}

// say is what [text] made of a value, as a person writes it.
func say(encoded string) string {
	kind, value, hasKind := strings.Cut(encoded, " {")
	if hasKind { // of a principal: AWS {"Ref": …}
		value = "{" + value
	} else {
		kind, value = "", encoded
	}
	var v any
	if json.Unmarshal([]byte(value), &v) != nil {
		return cut(encoded)
	}
	return cut(strings.TrimSpace(kind + " " + spoken(v)))
}

func who(s statement) string {
	if s.principal == "" {
		return "whoever has the policy"
	}
	return say(s.principal)
}

func condition(s statement) string {
	if s.condition == "" {
		return ""
	}
	return ", if " + cut(s.condition)
}

// conditioned tells whether the right is there under a condition.
func conditioned(s statement, after map[statement]bool) bool {
	for other := range after {
		bare := other
		bare.condition = ""
		if other.condition != "" && bare == s {
			return true
		}
	}
	return false
}

// narrowed tells whether the right was there with fewer conditions.
func narrowed(s statement, before map[statement]bool) bool {
	if s.condition == "" {
		return false
	}
	open := s
	open.condition = ""
	return before[open]
}
