// Package notification is the contract between the front door and the system that
// reads the queue: how one Nylas notification is written into one SQS message, and
// how it is read back.
//
// Consumers need two things:
//
//   - [Decode] turns an SQS message's body and attributes into a [Notification],
//     whose Body is byte for byte what Nylas signed;
//   - [Verify] checks that body against the webhook secret once more, for those
//     who do not want to trust the queue.
//
// The front door uses [Notification.Encode] and [Sign]'s counterpart, and tools
// that play Nylas use [Sign].
//
// The package does not look into a body and has no dependency but the standard
// library: Nylas adds notification types and fields at any time, so the body is passed
// on as it came. A body that is too large for SQS is in S3; [ParsePointer] says where. It knows nothing of any SDK; [Wire] is what goes into SendMessage.
package notification
