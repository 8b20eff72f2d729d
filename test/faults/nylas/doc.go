// Package nylas plays the sender, as Nylas documents it: an answer of 200 within 10
// seconds is a delivery; after 408, 429, 502 and 503 it tries again, three times in
// all, the last 10 to 20 minutes after the first, and honours Retry-After on 429;
// every other answer, and none, ends it. An attempt raises webhook_delivery_attempt, so
// it has other bytes and another signature. 95 % of failures within 15 minutes make
// the webhook "failing".
// https://developer.nylas.com/docs/v3/notifications/
//
// Where the documents differ or are silent it does what is worst for the receiver: no
// retry after 504, 507 or no answer. Waiting is shortened by a factor, the 10 seconds
// are not. Package faults is the user.
package nylas
