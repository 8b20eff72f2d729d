// Package consumer tests package consumer against real queues and a real table, those of
// a stage that is deployed to a local engine of its own (tools/engine.py), under the
// policies that the stack has for consumers: what an outage, handlers that fail,
// hang and panic, and workers that are killed leave behind.
//
// The engine's queues differ from AWS's in two ways that matter here, and the
// consumer has to live with both: an old receipt handle is refused when a message is
// deleted (AWS accepts it), and messages are handed out in the order they were sent,
// so that the same ones come first again and again (AWS promises no order).
package consumer
