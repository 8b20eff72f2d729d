// Package faults proves that no notification is lost and no forgery gets in, whatever
// part of AWS fails. It runs the real receiver behind a Lambda and an API Gateway of
// its own, lets Nylas deliver to it, breaks what a [Scenario] says, and settles the
// accounts of a ledger that followed every notification.
//
// "go test ./test/faults/..." runs the short version; "go run ./test/faults/proof" runs
// everything and writes a report. It does not show how AWS itself behaves, above all API
// Gateway and Lambda under real load.
//
// The parts: standin (SQS, Secrets Manager and S3 that fail), function (Lambda),
// gateway (API Gateway), nylas (the sender), ledger and test/canary (what must not be
// logged).
package faults
