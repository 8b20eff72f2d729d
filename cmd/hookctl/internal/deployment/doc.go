// Package deployment finds one deployed stage: it reads the outputs of the stack
// NylasWebhooks-<stage>, so that nobody has to paste a URL, and turns what AWS says
// when it refuses into sentences that say what to do.
//
// hookctl's commands call it first. It deploys nothing, changes nothing and knows
// nothing of the templates but the names of their outputs.
package deployment
