// Package consumer reads notifications from the queue and calls a [Handler] for
// each, once as far as that is possible, until the handler has done its work.
//
// It is for the system behind the queue: write a Handler, give it to [New], call
// [Consumer.Run]. The same Handler runs as a Lambda function with [LambdaHandler].
//
// # What a handler's answer means
//
//   - nil: done. Recorded in the store, deleted from the queue.
//   - [Unavailable] with a time: the system behind is busy. That is never the
//     message's fault. Nothing is tried before that time, or nothing of that grant, where
//     the others get through.
//   - [Unavailable] with 0: the system behind failed, and nobody knows whose fault that is.
//     The message waits here, hidden, and is tried again. What others meet meanwhile
//     decides: where they fail as well, the system is unwell and the message is forgiven;
//     where they get through, it has failed by itself.
//   - [Reject]: no attempt will ever work. Moved to the dead-letter queue.
//   - any other error, a panic, or no answer in time: this message failed, unless
//     everything fails with it.
//
// A message that failed by itself is hidden for a while, longer each time, then received
// again; after the queue's maxReceiveCount SQS moves it to the dead-letter queue. One that
// is forgiven uses up no receive.
//
// # When the system is unwell
//
// How many handlers run at once follows what the system takes, as does what is received. It
// shrinks with each failure and grows with each success, up to [Config.Concurrency]. When
// everything fails there is one attempt, then another after [Config.PauseMin], doubling up
// to [Config.PauseMax]. When one gets through it is two at once, then four. The same is
// decided for each grant alone, so that a mailbox, or a shard of up to a hundred, that is
// unwell does not hold up the others (ADR 12 has the limit). New messages go before those
// that failed. What the scenarios show is in docs/consumer.md of this repository.
//
// # What it promises
//
// Every notification is handled at least once. With a [Store] that outlives the
// process it is handled once, except where a process dies, or the store fails, in
// the moment between the handler's return and the record of it.
//
// A replay (Notification.ReplayID) is a notification that an operator sent once more on
// purpose. It is handled again, once for each replay.
//
// It promises no order (Nylas and SQS do not either), and it does not parse the body. It
// holds at most 256 MiB of messages and bodies.
package consumer
