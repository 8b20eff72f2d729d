// Package account tests check.sh, as far as that can be done without an AWS account:
// against commands that remember what the script changes. That it asks AWS for the right
// things only an account can show.
package account
