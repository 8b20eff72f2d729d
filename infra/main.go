// Command infra is the CDK app of this repository's own stages, which are in stages.go.
// See package app.
package main

import "github.com/onepagecrm/nylas-webhooks/infra/app"

func main() { app.Main(ours()) }
