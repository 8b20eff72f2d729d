// Package transcripts replays the terminal transcripts of docs/hookctl on the local
// engine with the real hookctl, and holds every hookctl command that the documentation
// names against the commands and flags there are. docs/hookctl/README.md has the rules
// that a transcript follows.
package transcripts
