// Package standin is AWS as the receiver sees it, with faults: one HTTP server that
// speaks the protocols of Amazon SQS (AWS JSON 1.0), AWS Secrets Manager (AWS JSON
// 1.1) and Amazon S3 (REST, path style) as the SDK expects them, keeps what it
// accepted, and refuses, delays, cuts or loses what it is told to. Package faults and
// its tests use it.
//
// It is as strict as AWS about what it accepts, where the local engine is not. It
// does not check signatures or permissions, and has only the operations
// that the receiver calls.
package standin
