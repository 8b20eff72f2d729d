// Package consumer reads notifications from the queue and calls a [Handler] for
// each, once as far as that is possible, until the handler has done its work.
//
// It is for the system behind the queue: write a Handler, give it to [New], call
// [Consumer.Run]. The same Handler runs as a Lambda function with [LambdaHandler].
//
// # The way of one message
//
//  1. receive.go: a long poll asks for as many messages as handlers are free.
//  2. work.go: the message is decoded, its body fetched from S3 where it is there
//     (overflow.go), and its signature verified, if that is asked for.
//  3. breaker.go: while the system behind is unavailable, it waits here.
//  4. handle.go: the [Store] is asked for a lease on the notification's id; the
//     handler is called; its success is recorded.
//  5. delete.go: the message is deleted, or given back to be received again later.
//
// Beside that way, heartbeat.go keeps everything received hidden from other
// consumers, and events.go tells logger and observer what happened.
//
// # What a handler's answer means
//
//   - nil: done. Recorded in the store, deleted from the queue.
//   - [Unavailable]: the system behind is down, the message is not to blame. It stays
//     here, hidden, and nothing is received until a single probe gets through. That
//     uses up none of its receives. (A message that meets it again and again while
//     others get through is to blame, and fails.)
//   - [Reject]: no attempt will ever work. Moved to the dead-letter queue.
//   - any other error, a panic, or no answer in time: this message failed. It is
//     hidden for a while, longer each time, then received again; after the queue's
//     maxReceiveCount SQS moves it to the dead-letter queue.
//
// # What it promises
//
// Every notification is handled at least once. With a [Store] that outlives the
// process it is handled once, except where a process dies, or the store fails, in
// the moment between the handler's return and the record of it.
//
// It promises no order (Nylas and SQS do not either), and it does not parse the
// body. One Consumer receives and deletes with one request at a time each, which is
// some hundred messages a second; run more of them for more.
package consumer
