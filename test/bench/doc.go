// Command bench measures the receiver beside the same job in other languages; make bench
// runs it. What it found stands in docs/performance.md.
//
// # The job
//
// Take the bytes of an event's body, compare their HMAC-SHA256 in constant time, read id,
// type, grant and attempt out of them, send one message with them and eight attributes to
// SQS, compare the MD5 in its answer, write one line of log, answer 200. The stand-in for
// SQS refuses every other message. The receiver does more: it checks every character and
// the size, reads its secret from Secrets Manager and opens its connection at start, and is
// ready for all that can fail. What it does more is in its figures.
//
// # The measurement
//
// A process for each run, started by a stand-in for Lambda's Runtime API, which gives it
// one event after the other: first some that are not counted, then those that are. The
// process has one CPU and everything else another one; in a second mode it sees two. The
// kernel's clock of the process is read while it waits for its next event. A round runs
// every case with every program; the order turns from round to round. Of each figure the
// median of the rounds, the least and the most are kept.
package main
