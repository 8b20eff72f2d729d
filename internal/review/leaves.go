package review

import (
	"encoding/json"
	"fmt"
	"maps"
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
	// What came or went is looked at inside as well: {"A": {"B": 1}} that is added is A.B.
	if (isObject || old == nil) && (isObject2 || new == nil) && (isObject || isObject2) && !computed(a) && !computed(b) && len(a)+len(b) > 0 {
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
	if len(o) != 1 {
		return false
	}
	for name := range o {
		return name == "Ref" || strings.HasPrefix(name, "Fn::")
	}
	return false
}

// show is a value in a sentence: short, and "nothing" where there is none.
func show(v any) string {
	if v == nil {
		return "nothing"
	}
	if s, ok := v.(string); ok {
		return cut(s)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v) // it was decoded from JSON
	}
	return cut(string(text))
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
