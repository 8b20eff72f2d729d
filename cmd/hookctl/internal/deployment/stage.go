package deployment

import (
	"regexp"
	"strings"
)

// stageForm is what package stages allows as a name.
var stageForm = regexp.MustCompile(`^[a-z][a-z0-9]{1,15}$`)

// StackName is the name of a stage's stack.
func StackName(stage string) string { return stackPrefix + stage }

// StageName is the stage that somebody means who gives the stack's name or ARN, or
// capitals; given itself where it is a stage's name. ok is false for what can be none.
func StageName(given string) (name string, ok bool) {
	name = strings.ToLower(given)
	if _, after, is := strings.Cut(name, strings.ToLower(stackPrefix)); is {
		name, _, _ = strings.Cut(after, "/") // an ARN ends with /<id>
	}
	return name, stageForm.MatchString(name)
}
