// Package drill sets off every alarm of the deployed local stage and waits for the
// notification at a subscriber of the topic it has to reach: somebody who is to be
// paged is. make e2e runs it.
//
// The engine shows action, topic and delivery. It does not look at an alarm's
// dimensions, periods and missing data, so when an alarm goes off is shown elsewhere,
// by the series in test/stack.
package drill
