// Package contract holds what the stack and the function have to agree on: the
// environment variables (see [Config]) and the names of metrics, reasons and log
// fields. infra/ writes them into the template, lambda/ reads and emits them, and
// because neither can spell a name by itself, the two cannot drift apart.
//
// It knows nothing of AWS: no SDK, no CDK, no defaults that depend on
// a stage.
package contract
