// Package demo tells the product's story on the local engine: it plays Nylas
// against the deployed webhook, from the challenge to ten signed notifications and
// three that must be refused, and then reads the queue to see whether what was
// signed has arrived.
//
// hookctl demo calls it, and through that make run. It is not a load test and not a
// check of a real stage: it stores a secret and takes messages off the queue, which
// only the local stage is there for.
package demo
