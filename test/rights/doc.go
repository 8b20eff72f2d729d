// Package rights makes users of the local engine who may do what policies say and nothing
// else, for the tests that run programs under the rights that people give them. The
// engine's own credentials are those of its root user, who may do everything.
package rights
