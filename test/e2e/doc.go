// Package e2e tests the deployed system: the real CDK CLI deploys stage local to a
// local engine of the tests' own, and the tests send real HTTP to the real function
// and read the real queue. `make e2e` runs it.
//
// TestMain brings everything up, once, in .local/e2e, and ends it. The tests share
// the deployment, so they run one after the other, and each reads only what it sent.
// What the engine does differently from AWS is not tested here: see tools/README.md.
package e2e
