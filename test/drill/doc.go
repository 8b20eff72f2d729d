// Package drill tries on the deployed local stage what nobody wants to find out in
// production. make e2e runs it.
//
//	drill_test.go        every alarm is set off, and the notification arrives at a
//	                     subscriber of the topic it has to reach
//	permissions_test.go  the permissions of each policy are taken away one at a time,
//	                     and exactly the call fails that each is for
//
// The engine shows action, topic and delivery of an alarm. It does not look at
// dimensions, periods and missing data, so when an alarm goes off is shown elsewhere,
// by the series in test/stack; so are SignaturesFailing and Silence altogether, which
// only a stage has that states its traffic. It does not ask for permissions on keys, traces and the
// function's own log; rules in test/stack hold those.
package drill
