// Package hookctl tests the operator's commands that need a deployed stage: the real
// program against the local engine, its real queues and its logs.
//
// What needs no queue is tested beside the code; what the manual shows is replayed by
// test/transcripts.
package hookctl
