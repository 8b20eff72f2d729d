package e2e

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

// Every attribute of the message, its type, and the group.
func TestAttributes(t *testing.T) {
	before := time.Now().Add(-time.Second).Truncate(time.Millisecond) // the attribute has milliseconds
	id := "e2e-" + rand.Text()
	body := note{ID: id, Type: "event.updated", Grant: "grant-1", Attempt: 3}.json()
	var signature string
	line := sys.logged(t, func() { signature = sys.deliver(t, body) })
	m := sys.received(t, signature)
	after := time.Now()

	if aws.ToString(m.Body) != string(body) {
		t.Error("the message's body is not what was sent, as it is")
	}
	for name, want := range map[string]types.MessageAttributeValue{
		notification.AttrContractVersion: {DataType: aws.String("String"), StringValue: aws.String("1")},
		notification.AttrNotificationID:  {DataType: aws.String("String"), StringValue: &id},
		notification.AttrType:            {DataType: aws.String("String"), StringValue: aws.String("event.updated")},
		notification.AttrGrantID:         {DataType: aws.String("String"), StringValue: aws.String("grant-1")},
		notification.AttrAttempt:         {DataType: aws.String("Number"), StringValue: aws.String("3")},
		notification.AttrSignature:       {DataType: aws.String("String"), StringValue: &signature},
	} {
		got := m.MessageAttributes[name]
		if aws.ToString(got.DataType) != *want.DataType || aws.ToString(got.StringValue) != *want.StringValue {
			t.Errorf("%s is %s %q, want %s %q", name, aws.ToString(got.DataType), aws.ToString(got.StringValue), *want.DataType, *want.StringValue)
		}
	}
	n := decoded(t, m)
	if n.ReceivedAt.Before(before) || n.ReceivedAt.After(after) {
		t.Errorf("received_at is %s, sent between %s and %s", n.ReceivedAt, before, after)
	}
	if n.RequestID == "" || line["request_id"] != n.RequestID {
		t.Errorf("request_id is %q, the log has %v", n.RequestID, line["request_id"])
	}
	if group := m.Attributes["MessageGroupId"]; group != "grant-1" {
		t.Errorf("the message's group is %q, want the grant", group)
	}
	want := []string{
		notification.AttrContractVersion, notification.AttrAttempt, notification.AttrGrantID, notification.AttrNotificationID,
		notification.AttrReceivedAt, notification.AttrRequestID, notification.AttrSignature, notification.AttrType,
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(m.MessageAttributes)); !slices.Equal(got, want) {
		t.Errorf("attributes %v, want %v", got, want)
	}
}

// Where a body or an id cannot travel as it is, it travels otherwise or not at all.
func TestAttributesOfOddNotifications(t *testing.T) {
	long, blank := strings.Repeat("xyz", 100), " my grant "
	for _, test := range []struct {
		name     string
		body     []byte
		has      map[string]string
		hasNot   []string
		noGroups bool
	}{
		{"nothing to name it by", []byte(`[]`), nil,
			[]string{notification.AttrNotificationID, notification.AttrType, notification.AttrGrantID, notification.AttrAttempt, notification.AttrEncoding}, true},
		{"a body that SQS refuses", []byte("{\"id\":\"refused-\uFFFE\",\"type\":\"message.created\",\"x\":\"\x00\"}"),
			map[string]string{notification.AttrEncoding: notification.EncodingGzipBase64}, []string{notification.AttrNotificationID}, true},
		{"an empty body", nil, map[string]string{notification.AttrEncoding: notification.EncodingGzipBase64}, nil, true},
		{"a grant longer than a group", note{Grant: long}.json(), map[string]string{notification.AttrGrantID: long}, []string{notification.AttrEncoding}, true},
		{"a grant with blanks", note{Grant: blank}.json(), map[string]string{notification.AttrGrantID: blank}, nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := sys.received(t, sys.deliver(t, test.body))
			got := attributes(m)
			for name, want := range test.has {
				if got[name] != want {
					t.Errorf("%s is %q, want %q", name, got[name], want)
				}
			}
			for _, name := range test.hasNot {
				if value, ok := got[name]; ok {
					t.Errorf("%s is %q, want none", name, value)
				}
			}
			if group, ok := m.Attributes["MessageGroupId"]; ok && test.noGroups {
				t.Errorf("the message's group is %q, want none", group)
			}
		})
	}
}
