// Package release says which release this source is, for what is deployed: the receiver's log
// lines and the stack's description. A commit is not in there, so that a deployment changes
// nothing where the program does not; the programs of the command line, which nobody deploys,
// say their commit as well (hookctl version).
package release

// Version is the release, or the next one with -dev. A test holds it to the changelog, and the
// release workflow to the tag.
const Version = "v0.3.0-dev"
