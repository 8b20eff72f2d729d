package review

import "fmt"

// Class is how much a change asks of a reviewer. The verdict on a pull request is the highest of
// its findings.
type Class int

// The classes, from what needs no thought to what can lose data.
const (
	Nothing  Class = iota // nothing that AWS would do
	CodeOnly              // the function's program, and what follows from it
	Changed               // behaviour
	Loosened              // a protection does less: an alarm, a retention, encryption, a throttle, TLS, a status
	Widened               // somebody may do more
	Replaced              // something is made anew or removed, and what it held is lost, or left behind
)

var ClassNames = []string{"nothing", "code only", "changed", "loosened", "widened", "replaced"}

func (c Class) String() string { return ClassNames[c] }

// MarshalText makes JSON show the name.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// ClassOf reads a name.
func ClassOf(name string) (Class, error) {
	for c, known := range ClassNames {
		if known == name {
			return Class(c), nil
		}
	}
	return 0, fmt.Errorf("%q is no class; they are %q", name, ClassNames)
}

// Finding is one sentence about one change.
type Finding struct {
	Class Class  `json:"class"`
	Code  string `json:"code"` // stable; docs/review-codes.md has them
	Stack string `json:"stack"`
	// Resource and Type are empty for what is not a resource's. Path is inside of it,
	// "Properties.Threshold".
	Resource string `json:"resource,omitempty"`
	Type     string `json:"type,omitempty"`
	Path     string `json:"path,omitempty"`
	Says     string `json:"says"`
	// Accepted is the reason that the repository's list of acceptances gives.
	Accepted string `json:"accepted,omitempty"`
}
