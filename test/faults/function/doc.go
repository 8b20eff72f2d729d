// Package function is AWS Lambda as one function sees it: it runs the real program in
// as many execution environments as there are requests at once, one process each, and
// hands each one event at a time over the Runtime API. A process that exceeds the
// function's timeout is killed, and so is whichever a test tells it to kill.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
//
// Package faults is the user. It freezes environments between events where it is told
// to, limits neither CPU nor network, and knows nothing of the events it carries.
package function
