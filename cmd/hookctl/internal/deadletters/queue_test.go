package deadletters

import (
	"strings"
	"testing"
)

func state(t *testing.T, f *fake) State {
	t.Helper()
	s, err := f.queue().State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What somebody else holds is not handed out, and what comes meanwhile does not make up
// for it.
func TestLookSaysWhatItDidNotSee(t *testing.T) {
	for _, test := range []struct {
		name                     string
		letters, held, come, end int // end: look at no more than this many
		want                     int
	}{
		{"nothing held", 12, 0, 0, 0, 0},
		{"two held", 3, 2, 0, 0, 2},
		{"two held, two more come", 3, 2, 2, 0, 2},
		{"all held", 0, 5, 0, 0, 5},
		{"no more were wanted", 12, 2, 0, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(test.letters)
			f.held = test.held
			before, seen := state(t, f), 0
			unseen, err := f.queue().Look(t.Context(), before, func(Letter) bool {
				if seen++; seen == 1 {
					for i := range test.come {
						f.add(100 + i)
					}
				}
				return seen != test.end
			})
			if err != nil || unseen != test.want {
				t.Errorf("%d not seen, want %d, %v", unseen, test.want, err)
			}
			if len(f.visible) != test.letters+test.come {
				t.Errorf("%d letters are there afterwards", len(f.visible))
			}
		})
	}
}

// A 200 of something else is no empty queue, and no task that was started.
func TestAnswersThatAreNotSQSs(t *testing.T) {
	f := newFake(3)
	f.noAnswer = true
	if s, err := f.queue().State(t.Context()); err == nil || !strings.Contains(err.Error(), "not SQS's") {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := f.queue().Move(t.Context(), 0, nil); err == nil || !strings.Contains(err.Error(), "not SQS's") {
		t.Errorf("move: %v", err)
	}
}
