// Package receive decides what becomes of one request that API Gateway hands to the
// function. [Handler.Invoke] is the way of a webhook, top to bottom; outcome.go is
// the table of everything that can happen and the status each is answered with.
// lambda/receiver is the only user.
//
// A wrong status loses mail: Nylas sends again on 408, 429, 502 and 503 only, so
// whatever may be genuine and could not be kept is answered 503. See
// docs/architecture.md.
//
// The package knows no AWS SDK, no environment variable and no clock:
// they are arguments. It does not look into a body before its signature is verified,
// and never writes a body, an address, a secret or a signature into a log.
package receive
