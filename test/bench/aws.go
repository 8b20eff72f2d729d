package main

import (
	"crypto/md5" //nolint:gosec // it is SQS's checksum
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/onepagecrm/nylas-webhooks/notification"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

// awsStandIn is SQS and Secrets Manager over plain HTTP: TLS would be measured with it,
// and is the same work in every language.
type awsStandIn struct {
	*httptest.Server

	after time.Duration // SQS's answers come so late

	mu     sync.Mutex
	body   string // what the next messages have to be
	taken  int
	errors []string
}

// message is a SendMessage.
type message struct {
	MessageBody       string                            `json:"MessageBody"`
	MessageGroupID    string                            `json:"MessageGroupId"`
	MessageAttributes map[string]standin.AttributeValue `json:"MessageAttributes"`
}

func newAWS() *awsStandIn {
	a := &awsStandIn{}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	return a
}

// expect tells what the messages from now on are to be.
func (a *awsStandIn) expect(body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.body, a.taken, a.errors = string(body), 0, nil
}

// received returns how many messages have come, or what was wrong with one.
func (a *awsStandIn) received() (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.errors) > 0 {
		return a.taken, fmt.Errorf("SQS was sent something else: %s", a.errors[0])
	}
	return a.taken, nil
}

func (a *awsStandIn) serve(w http.ResponseWriter, r *http.Request) {
	switch r.Header.Get("X-Amz-Target") {
	case "AmazonSQS.SendMessage":
		a.sendMessage(w, r)
	case "secretsmanager.GetSecretValue":
		answer(w, `{"ARN":"arn","Name":"webhook","VersionId":"0fd3cf0a-3c1c-4f5e-8f0e-6d8c2a1b9e77","SecretString":"`+secret+`","VersionStages":["AWSCURRENT"],"CreatedDate":1700000000}`)
	default: // the receiver opens its connection
		w.WriteHeader(http.StatusNotFound)
	}
}

func (a *awsStandIn) sendMessage(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return // the program was ended
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		a.refuse(w, "no JSON: "+err.Error())
		return
	}
	a.mu.Lock()
	body := a.body
	a.mu.Unlock()
	if problem := m.check(body); problem != "" {
		a.refuse(w, problem)
		return
	}
	a.mu.Lock()
	a.taken++
	a.mu.Unlock()
	time.Sleep(a.after)
	sum := md5.Sum([]byte(m.MessageBody)) //nolint:gosec // it is SQS's checksum
	answer(w, `{"MessageId":"5fea7756-0ea4-451a-a703-a558b933e274","MD5OfMessageBody":"`+hex.EncodeToString(sum[:])+
		`","MD5OfMessageAttributes":"`+standin.AttributesMD5(m.MessageAttributes)+`"}`)
}

func (a *awsStandIn) refuse(w http.ResponseWriter, problem string) {
	a.mu.Lock()
	a.errors = append(a.errors, problem)
	a.mu.Unlock()
	http.Error(w, `{"__type":"com.amazonaws.sqs#InvalidParameterValue"}`, http.StatusBadRequest)
}

// check returns what is wrong with a message, empty for the one that was asked for.
func (m message) check(body string) string {
	if m.MessageBody != body {
		return "another body"
	}
	if m.MessageGroupID != grantID {
		return "another group"
	}
	want := map[string]string{
		notification.AttrContractVersion: "1", notification.AttrNotificationID: notificationID, notification.AttrType: "message.created",
		notification.AttrGrantID: grantID, notification.AttrAttempt: "1", notification.AttrRequestID: requestID,
		notification.AttrSignature: notification.Sign(secret, []byte(body)).String(), notification.AttrReceivedAt: m.MessageAttributes[notification.AttrReceivedAt].StringValue,
	}
	for name, value := range want {
		if value == "" || m.MessageAttributes[name].StringValue != value {
			return "another " + name
		}
	}
	return ""
}

func answer(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_, _ = io.WriteString(w, text) // whoever asked may be gone
}
