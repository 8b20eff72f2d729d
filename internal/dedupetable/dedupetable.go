// Package dedupetable names the attributes of the table in which consumers write down what
// they have handled. The stack makes the table, package consumer uses it, and neither has
// to link the other.
package dedupetable

const (
	// Key is the partition key, a string.
	Key = "id"
	// TTL is the attribute of the time to live, Unix seconds.
	TTL = "expires_at"
)
