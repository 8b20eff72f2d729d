// Package safety has the tests of what could harm the person who runs make: that what is
// meant for the local engine reaches no AWS account, and that the removal of a stage takes
// what it says and nothing else.
//
// An engine of its own plays the AWS account of that person. make runs in a copy of the
// checkout, whose engine is another one.
package safety
