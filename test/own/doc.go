// Package own uses this module as a company does: in a repository of its own, which
// `hookctl init` has written, in a folder with a blank in its name. make e2e runs it.
//
//	own_test.go      make test, a deployment, a notification through it
//	bytes_test.go    the templates and the zip are the same wherever they are made
//	changelog_test.go  what changes in the templates is what the changelog says
//	upgrade_test.go  from the first release to this commit, under traffic: nothing is
//	                 lost, and nothing that holds data is replaced
package own
