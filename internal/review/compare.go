package review

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Compare judges two assemblies. The findings are sorted, the gravest first.
func Compare(e *Engine, base, head map[string]Stack) ([]Finding, error) {
	var all []Finding
	names := slices.Collect(maps.Keys(base))
	for name := range head {
		if _, both := base[name]; !both {
			names = append(names, name)
		}
	}
	for _, name := range names {
		old, inBase := base[name]
		new, inHead := head[name]
		var found []Finding
		switch {
		case !inHead:
			found = []Finding{{Class: Replaced, Code: "stack-removed", Says: "the stack is in the app no more: it stays on AWS as it is, and nobody deploys it"}}
		case !inBase:
			// All that is in it is new, and judged as that.
			var err error
			if found, err = CompareTemplates(e, map[string]any{}, new.Template); err != nil {
				return nil, err
			}
			found = append(found, Finding{Class: Changed, Code: "stack-added", Says: "the stack is new"})
		default:
			var err error
			if found, err = compareStacks(e, old, new); err != nil {
				return nil, err
			}
		}
		for i := range found {
			found[i].Stack = name
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b Finding) int {
		if a.Class != b.Class {
			return int(b.Class) - int(a.Class)
		}
		return strings.Compare(a.Stack+"\x00"+a.Resource+"\x00"+a.Path+"\x00"+a.Says, b.Stack+"\x00"+b.Resource+"\x00"+b.Path+"\x00"+b.Says)
	})
	return all, nil
}

func compareStacks(e *Engine, old, new Stack) ([]Finding, error) {
	var found []Finding
	add := func(class Class, code, path, says string) {
		found = append(found, Finding{Class: class, Code: code, Path: path, Says: says})
	}
	if old.Name != new.Name {
		add(Replaced, "stack-elsewhere", "", fmt.Sprintf("the stack is called %s instead of %s: a new one, beside the old", new.Name, old.Name))
	}
	if old.Environment != new.Environment {
		class := Replaced
		if strings.Contains(old.Environment, "unknown-") {
			class = Changed // it went wherever the credentials pointed
		}
		add(class, "stack-elsewhere", "", fmt.Sprintf("the stack goes to %s instead of %s: a new one, beside the old", new.Environment, old.Environment))
	}
	if old.Protected && !new.Protected {
		add(Loosened, "stack-protection", "", "the stack has no termination protection any more")
	} else if old.Protected != new.Protected {
		add(Changed, "stack-protection", "", "the stack has termination protection now")
	}
	if old.DeployRole != new.DeployRole || old.ExecutionRole != new.ExecutionRole {
		add(Widened, "stack-role", "", fmt.Sprintf("other roles deploy it: the CDK CLI takes %s, CloudFormation takes %s", new.DeployRole, new.ExecutionRole))
	}
	if !maps.Equal(old.Parameters, new.Parameters) {
		add(Loosened, "stack-parameters", "", "the template gets other parameters, and the gate does not know what they do")
	}
	if !maps.Equal(old.Tags, new.Tags) {
		add(Changed, "tags", "", "the stack's tags, which all its resources have")
	}
	resources, err := CompareTemplates(e, old.Template, new.Template)
	return append(found, resources...), err
}

// CompareTemplates judges two templates.
func CompareTemplates(e *Engine, old, new map[string]any) ([]Finding, error) {
	var found []Finding
	for _, l := range leaves(nil, without(old, "Resources"), without(new, "Resources")) {
		v := judgeSection(l)
		found = append(found, Finding{Class: v.class, Code: v.code, Path: l.String(), Says: v.says})
	}
	for _, l := range leaves(nil, unreadable(old), unreadable(new)) {
		found = append(found, Finding{Class: Replaced, Code: "unreadable", Resource: l.path[0], Says: "a loop or a macro makes resources here, and the template does not tell which: read it"})
	}
	before, after := resourcesOf(old), resourcesOf(new)
	changes, err := e.diff(old, new)
	if err != nil {
		return nil, err
	}
	ids := slices.Collect(maps.Keys(before))
	for id := range after {
		if before[id] == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		a, b := before[id], after[id]
		if b == nil && a != nil && !succeeded(text(a["Type"]), before, after) {
			found = append(found, Finding{Class: Changed, Code: "release-gone", Resource: id, Type: text(a["Type"]), Says: "it is removed, and no new one comes"})
			continue
		}
		found = append(found, judge(id, a, b, changes[id])...)
	}
	return found, nil
}

// succeeded tells whether a new one of a type takes the place of the one that goes, as with each
// deployment. It is true of all other types, which are judged as what is removed.
func succeeded(kind string, before, after map[string]resource) bool {
	if _, ok := releases[kind]; !ok {
		return true
	}
	for id, r := range after {
		if before[id] == nil && text(r["Type"]) == kind {
			return true
		}
	}
	return false
}

func without(template map[string]any, section string) map[string]any {
	rest := maps.Clone(template)
	delete(rest, section)
	return rest
}

func resourcesOf(template map[string]any) map[string]resource {
	all := map[string]resource{}
	section, _ := template["Resources"].(map[string]any)
	for id, r := range section {
		if one, ok := r.(map[string]any); ok && !strings.HasPrefix(id, "Fn::") {
			all[id] = one
		}
	}
	return all
}

// unreadable is what stands among the resources and is none: a loop (Fn::ForEach), say.
func unreadable(template map[string]any) map[string]any {
	all := map[string]any{}
	section, _ := template["Resources"].(map[string]any)
	for id, r := range section {
		if _, ok := r.(map[string]any); !ok || strings.HasPrefix(id, "Fn::") {
			all[id] = []any{r} // as a whole
		}
	}
	return all
}

// judgeSection judges what is not a resource.
func judgeSection(l leaf) verdict {
	was := became(l.String(), l)
	switch l.path[0] {
	case "Rules":
		if l.old == nil {
			return verdict{Changed, "rule", was + ": a deployment is refused in more cases"}
		}
		return verdict{Loosened, "rule", was + ": what kept the stack from being deployed"}
	case "Outputs":
		return verdict{Changed, "output", was + ": who reads it?"}
	case "Parameters":
		if slices.Contains(l.path, "NoEcho") {
			return verdict{Loosened, "parameter", was + ": whether its value is shown"}
		}
		return verdict{Changed, "parameter", was}
	case "Conditions", "Transform", "Fn::Transform", "Mappings":
		return verdict{Replaced, "condition", was + ": resources may come and go with it, and the gate cannot tell which"}
	case "Metadata":
		return verdict{Nothing, "metadata", "a note that AWS does not read"}
	case "Description", "AWSTemplateFormatVersion":
		return verdict{Changed, "text", was}
	}
	return verdict{Loosened, "section", was + ": no rule knows what that does"}
}
