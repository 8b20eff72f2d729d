// Package nylas stands in for Nylas's API in tests: the webhook part of v3, with the
// real challenge call to the endpoint that is registered, secrets that change when
// they are rotated, and deliveries signed with them. Its answers have the shapes of
// Nylas's OpenAPI description and of the official SDKs; this package's own tests run
// those SDKs against it.
//
// Tests of hookctl and the transcripts in docs use it. It is no simulator of Nylas's
// delivery: it sends what it is told to, once.
package nylas
