package consumertest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/notification/samples"
)

// Sample returns one of the notifications of package samples ("message_created",
// "grant_expired", …) as the front door would have received it just now, signed with
// [samples.Secret]. It panics for a name that is not there: the message lists those that
// are.
func Sample(name string) notification.Notification {
	sample, err := samples.Get(name)
	if err != nil {
		panic("consumertest: " + err.Error())
	}
	return Signed(sample.Body)
}

// Signed returns the notification of that body, as Nylas would have sent it, signed with
// [samples.Secret]. A body that is no notification has no id, type and grant: Nylas's may
// lack them, too.
func Signed(body []byte) notification.Notification {
	var envelope struct {
		ID, Type string
		Data     struct {
			Object struct {
				GrantID string `json:"grant_id"`
			}
		}
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		envelope.ID, envelope.Type, envelope.Data.Object.GrantID = "", "", ""
	}
	return notification.Notification{
		Body: body, ID: envelope.ID, Type: envelope.Type, GrantID: envelope.Data.Object.GrantID,
		Attempt: 1, ReceivedAt: time.Now(), RequestID: fmt.Sprintf("request-%d", time.Now().UnixNano()),
		Signature: notification.Sign(samples.Secret, body),
	}
}
