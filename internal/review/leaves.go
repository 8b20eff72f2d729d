package review

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
)

// leaf is one value that differs. Old or New is nil where there is none.
type leaf struct {
	path     []string
	old, new any
}

func (l leaf) String() string { return strings.Join(l.path, ".") }

// leaves returns what differs between two JSON values. Lists of another length, and what
// CloudFormation computes ({"Ref": …}, {"Fn::…": …}), differ as a whole.
func leaves(path []string, old, new any) []leaf {
	if reflect.DeepEqual(old, new) {
		return nil
	}
	a, isObject := old.(map[string]any)
	b, isObject2 := new.(map[string]any)
	// What came or went is looked at inside as well: {"A": {"B": 1}} that is added is A.B. A whole
	// template or resource is no value, though a macro may be all that is in it.
	if (isObject || old == nil) && (isObject2 || new == nil) && (isObject || isObject2) && (len(path) == 0 || !computed(a) && !computed(b)) && len(a)+len(b) > 0 {
		var found []leaf
		names := slices.Sorted(maps.Keys(a))
		for name := range b {
			if _, both := a[name]; !both {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			found = append(found, leaves(append(slices.Clone(path), name), a[name], b[name])...)
		}
		return found
	}
	x, isList := old.([]any)
	y, isList2 := new.([]any)
	if isList && isList2 && len(x) == len(y) {
		var found []leaf
		for i := range x {
			found = append(found, leaves(append(slices.Clone(path), fmt.Sprint(i)), x[i], y[i])...)
		}
		return found
	}
	return []leaf{{path, old, new}}
}

// computed tells whether the object is one of CloudFormation's functions.
func computed(o map[string]any) bool {
	names := slices.Collect(maps.Keys(o))
	return len(names) == 1 && (names[0] == "Ref" || strings.HasPrefix(names[0], "Fn::"))
}

// became says what a value was and is. Of two long texts it shows the place where they differ.
func became(path string, l leaf) string {
	old, new := spoken(l.old), spoken(l.new)
	if old == new { // {"Ref": "Queue"} and "Queue"
		old, new = text(l.old), text(l.new)
	}
	if len(l.path) > 0 && seconds[l.path[len(l.path)-1]] {
		old, new = duration(l.old, old), duration(l.new, new)
	}
	if a, b := []rune(old), []rune(new); len(a) > shown && len(b) > shown {
		same := 0
		for same < min(len(a), len(b)) && a[same] == b[same] {
			same++
		}
		if from := same - shown/3; from > 0 {
			old, new = "…"+string(a[from:]), "…"+string(b[from:])
		}
	}
	return fmt.Sprintf("%s was %s and is %s", path, cut(old), cut(new))
}

// seconds are the properties that are a number of them.
var seconds = map[string]bool{"MessageRetentionPeriod": true, "VisibilityTimeout": true, "DelaySeconds": true, "CacheTtlInSeconds": true}

// duration adds how long so many seconds are, in the largest whole unit.
func duration(v any, text string) string {
	n, ok := number(v)
	if !ok || n < 60 {
		return text
	}
	for _, unit := range []struct {
		name    string
		seconds float64
	}{{"day", 24 * 3600}, {"hour", 3600}, {"minute", 60}} {
		switch count := n / unit.seconds; {
		case count != math.Trunc(count):
		case count == 1:
			return fmt.Sprintf("%s (1 %s)", text, unit.name)
		default:
			return fmt.Sprintf("%s (%g %ss)", text, count, unit.name)
		}
	}
	return text
}

// show is a value in a sentence: short, and "nothing" where there is none.
func show(v any) string { return cut(spoken(v)) }

// spoken is a value as a person writes it: Queue.Arn for {"Fn::GetAtt": ["Queue", "Arn"]}.
func spoken(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return v
	case map[string]any:
		if !computed(v) {
			break
		}
		if name, ok := v["Ref"].(string); ok {
			return name
		}
		if parts, ok := v["Fn::GetAtt"].([]any); ok {
			return joined(parts, ".")
		}
		if join, ok := v["Fn::Join"].([]any); ok && len(join) == 2 {
			between, isText := join[0].(string)
			parts, isList := join[1].([]any)
			if isText && isList {
				return joined(parts, between)
			}
		}
	}
	return text(v)
}

func joined(parts []any, between string) string {
	var all []string
	for _, part := range parts {
		all = append(all, spoken(part))
	}
	return strings.Join(all, between)
}

// shown is how much of a value a sentence shows.
const shown = 60

func cut(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > shown {
		return string(runes[:shown]) + "…"
	}
	return s
}

// number is a JSON number, or a string that holds one, as CloudFormation takes both.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case string:
		var f float64
		if _, err := fmt.Sscanf(v, "%g", &f); err == nil && !strings.ContainsAny(v, ":/ ") {
			return f, true
		}
	}
	return 0, false
}
