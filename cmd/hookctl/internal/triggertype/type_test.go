package triggertype

import "testing"

func TestIs(t *testing.T) {
	for _, test := range []struct {
		typ, want string
		is        bool
	}{
		{"message.created", "message.created", true},
		{"message.created.cleaned.truncated", "message.created", true},
		{"message.created.truncated", "message", true},
		{"message.created", "message.created.truncated", false},
		{"message.createdtruncated", "message.created", false},
		{"messages.created", "message", false},
		{"grant.expired", "message", false},
		{"", "message", false},
	} {
		if got := Is(test.typ, test.want); got != test.is {
			t.Errorf("%q is %q: %t, want %t", test.typ, test.want, got, test.is)
		}
	}
}
