package stack

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// template is a decoded CloudFormation template.
type template struct {
	Description string
	Parameters  map[string]any
	Rules       map[string]any
	Resources   map[string]*resource
	Outputs     map[string]output
}

type resource struct {
	Type                string
	Properties          object
	DependsOn           any    `json:",omitempty"`
	DeletionPolicy      string `json:",omitempty"`
	UpdateReplacePolicy string `json:",omitempty"`
	UpdatePolicy        any    `json:",omitempty"`
}

type output struct {
	Description string
	Value       any
	Export      any `json:",omitempty"`
}

// object is a JSON object.
type object map[string]any

// at returns what lies at the path of keys ("0" and up index lists); nil if nothing
// does.
func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, key := range path {
		switch container := v.(type) {
		case map[string]any:
			v = container[key]
		case []any:
			var i int
			if _, err := fmt.Sscanf(key, "%d", &i); err != nil || i >= len(container) {
				return nil
			}
			v = container[i]
		default:
			return nil
		}
	}
	return v
}

// is tells whether what lies at the path equals the wanted JSON.
func (o object) is(want any, path ...string) bool { return text(o.at(path...)) == text(want) }

// text is the value as JSON, the keys sorted.
func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return string(data)
}

// clone returns a copy to break.
func (t template) clone() template {
	var c template
	if err := json.Unmarshal([]byte(text(t)), &c); err != nil {
		panic(err)
	}
	return c
}

// of returns the ids of all resources of a type, sorted.
func (t template) of(kind string) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		if t.Resources[id].Type == kind {
			ids = append(ids, id)
		}
	}
	return ids
}

// id returns the logical id that is role, or role and the CDK's hash.
func (t template) id(kind, role string) string {
	for _, id := range t.of(kind) {
		if id == role || strings.HasPrefix(id, role) && len(id) == len(role)+8 {
			return id
		}
	}
	return ""
}

// props returns the properties of the resource of that role, empty if there is none.
func (t template) props(kind, role string) object {
	if r, ok := t.Resources[t.id(kind, role)]; ok {
		return r.Properties
	}
	return object{}
}

// list returns v as a list, a single value as a list of one.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// objects returns v as a list of objects.
func objects(v any) []object {
	var found []object
	for _, item := range list(v) {
		if o, ok := item.(map[string]any); ok {
			found = append(found, o)
		}
	}
	return found
}

func ref(id string) map[string]any { return map[string]any{"Ref": id} }
func getAtt(id, attribute string) map[string]any {
	return map[string]any{"Fn::GetAtt": []any{id, attribute}}
}

// references returns the logical ids and pseudo parameters that v mentions.
func references(v any) []string {
	var found []string
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			switch name, isName := value.(string); {
			case key == "Ref" && isName:
				found = append(found, name)
			case key == "Fn::GetAtt":
				found = append(found, fmt.Sprint(list(value)[0]))
			default:
				found = append(found, references(value)...)
			}
		}
	case []any:
		for _, item := range v {
			found = append(found, references(item)...)
		}
	}
	return found
}

// literal returns a string of the template with every reference as "<id>".
func literal(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		if join, ok := v["Fn::Join"].([]any); ok && len(join) == 2 {
			var parts []string
			for _, part := range list(join[1]) {
				parts = append(parts, literal(part))
			}
			return strings.Join(parts, fmt.Sprint(join[0]))
		}
		return "<" + strings.Join(references(v), ".") + ">"
	}
	return ""
}
