// Package registration keeps a deployed stage and its webhook at Nylas together: the
// webhook has the stage's URL, and the secret that Nylas signs with is the one that
// the stage has stored.
//
// hookctl's webhook and secret commands call it. Nylas chooses every secret and shows
// it once, and two systems cannot be changed in one step. So each operation begins by
// looking at both, and running it again after a crash at any point finishes it; where a
// secret was lost on the way, by rotating once more. It prints nothing and no secret
// leaves it.
package registration
