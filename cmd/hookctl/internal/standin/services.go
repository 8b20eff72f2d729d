package standin

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onepagecrm/nylas-webhooks/notification"
)

func readAll(r *http.Request) ([]byte, error) { return io.ReadAll(r.Body) }

// cloudFormation speaks the query protocol: a form in, XML out.
func (s *Stage) cloudFormation(w http.ResponseWriter, body string) {
	form, err := url.ParseQuery(body)
	if err != nil {
		panic(err)
	}
	if code := s.Refuse[form.Get("Action")]; code != "" {
		queryError(w, code, "refused by the test")
		return
	}
	name := form.Get("StackName")
	stacks := s.Stacks
	if name != "" {
		outputs, ok := s.Stacks[name]
		if !ok {
			queryError(w, "ValidationError", "Stack with id "+name+" does not exist")
			return
		}
		stacks = map[string]map[string]string{name: outputs}
	}
	var members strings.Builder
	for name, outputs := range stacks {
		members.WriteString("<member><StackName>" + name + "</StackName><CreationTime>2026-01-05T10:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus><EnableTerminationProtection>" +
			strconv.FormatBool(s.Protected[name]) + "</EnableTerminationProtection><Outputs>")
		for key, value := range outputs {
			members.WriteString("<member><OutputKey>" + key + "</OutputKey><OutputValue>")
			_ = xml.EscapeText(&members, []byte(value))
			members.WriteString("</OutputValue></member>")
		}
		members.WriteString("</Outputs></member>")
	}
	_, _ = fmt.Fprintf(w, `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks>%s</Stacks></DescribeStacksResult></DescribeStacksResponse>`, members.String())
}

func queryError(w http.ResponseWriter, code, message string) {
	w.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, message)
}

// object answers S3's GetObject.
func (s *Stage) object(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.Objects[r.PathValue("key")]
	switch code := s.Refuse["GetObject"]; {
	case code != "":
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, `<Error><Code>%s</Code><Message>refused by the test</Message></Error>`, code)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, `<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>`)
	default:
		_, _ = fmt.Fprint(w, text)
	}
}

// list answers S3's ListObjectsV2, all on one page.
func (s *Stage) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var contents strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s.Objects)) {
		if !strings.HasPrefix(key, r.URL.Query().Get("prefix")) || key <= r.URL.Query().Get("start-after") {
			continue
		}
		written, ok := s.Written[key]
		if !ok {
			written = time.Now()
		}
		fmt.Fprintf(&contents, "<Contents><Key>%s</Key><LastModified>%s</LastModified><Size>%d</Size></Contents>", key, written.UTC().Format("2006-01-02T15:04:05.000Z"), len(s.Objects[key]))
	}
	_, _ = fmt.Fprintf(w, `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><IsTruncated>false</IsTruncated>%s</ListBucketResult>`, contents.String())
}

func (s *Stage) deleteObject(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.Objects, r.PathValue("key"))
	w.WriteHeader(http.StatusNoContent)
}

type sqsRequest struct {
	QueueURL    string `json:"QueueUrl"`
	MessageBody string
	// MessageAttributes of SendMessage; those of a batch are not looked at.
	MessageAttributes map[string]struct{ DataType, StringValue string }
	Entries           []struct {
		ID            string `json:"Id"`
		ReceiptHandle string
		MessageBody   string
	}
}

func (s *Stage) sqs(action string, body []byte) any {
	var in sqsRequest
	if err := json.Unmarshal(body, &in); err != nil {
		panic(err)
	}
	q := s.queues[path.Base(in.QueueURL)]
	switch action {
	case "GetQueueAttributes":
		held := 0
		for _, m := range *q {
			if m.handle != "" {
				held++
			}
		}
		return map[string]any{"Attributes": map[string]string{
			"QueueArn": "arn:aws:sqs:us-east-1:000000000000:" + path.Base(in.QueueURL), "MessageRetentionPeriod": "1209600",
			"ApproximateNumberOfMessages": strconv.Itoa(len(*q) - held), "ApproximateNumberOfMessagesNotVisible": strconv.Itoa(held),
		}}
	case "SendMessage":
		s.handles++
		id := "message-" + strconv.Itoa(s.handles)
		*q = append(*q, message{id: id, wire: notification.Wire{Body: in.MessageBody, Attributes: map[string]notification.Attribute{}}})
		for name, a := range in.MessageAttributes {
			(*q)[len(*q)-1].wire.Attributes[name] = notification.Attribute{DataType: a.DataType, Value: a.StringValue}
		}
		return map[string]string{"MessageId": id, "MD5OfMessageBody": md5hex(in.MessageBody)}
	case "SendMessageBatch":
		return s.eachEntry(in, func(i int) bool {
			s.handles++
			*s.queues["queue"] = append(*s.queues["queue"], message{id: "message-" + strconv.Itoa(s.handles), wire: notification.Wire{Body: in.Entries[i].MessageBody}})
			return true
		})
	case "DeleteMessageBatch":
		return s.eachHandle(in, func(i int) {
			*q = append((*q)[:i:i], (*q)[i+1:]...)
			s.Deleted++
		})
	case "ChangeMessageVisibilityBatch":
		return s.eachHandle(in, func(i int) {
			(*q)[i].handle = ""
			s.GivenBack++
		})
	case "PurgeQueue":
		*q = nil
		return map[string]any{}
	}
	return map[string]any{"Messages": s.receive(q)}
}

func (s *Stage) receive(q *[]message) []any {
	var messages []any
	for i := range *q {
		m := &(*q)[i]
		if m.handle != "" || len(messages) == 10 {
			continue
		}
		s.handles++
		m.handle = "handle-" + strconv.Itoa(s.handles)
		attributes := map[string]any{}
		for name, a := range m.wire.Attributes {
			attributes[name] = map[string]string{"DataType": a.DataType, "StringValue": a.Value}
		}
		messages = append(messages, map[string]any{
			"MessageId": m.id, "ReceiptHandle": m.handle, "Body": m.wire.Body,
			"MD5OfBody": md5hex(m.wire.Body), "MessageAttributes": attributes,
			"Attributes": map[string]string{"SentTimestamp": strconv.FormatInt(time.Now().Add(-time.Hour).UnixMilli(), 10), "ApproximateReceiveCount": "6", "MessageGroupId": m.wire.GroupID},
		})
	}
	return messages
}

func (s *Stage) eachHandle(in sqsRequest, do func(index int)) any {
	return s.eachEntry(in, func(i int) bool {
		q := s.queues[path.Base(in.QueueURL)]
		at := slices.IndexFunc(*q, func(m message) bool { return m.handle == in.Entries[i].ReceiptHandle })
		if at >= 0 {
			do(at)
		}
		return at >= 0
	})
}

// eachEntry answers a batch; do tells whether an entry is good.
func (s *Stage) eachEntry(in sqsRequest, do func(i int) bool) any {
	var good, bad []any
	for i, entry := range in.Entries {
		if do(i) {
			good = append(good, map[string]string{"Id": entry.ID, "MessageId": "sent", "MD5OfMessageBody": md5hex(entry.MessageBody)})
		} else {
			bad = append(bad, map[string]any{"Id": entry.ID, "Code": "ReceiptHandleIsInvalid", "Message": "no such handle", "SenderFault": true})
		}
	}
	return map[string]any{"Successful": good, "Failed": bad}
}

// Store makes value the secret's current version.
func (s *Stage) Store(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(value)
}

// Secrets returns the current and the previous value, those that are there.
func (s *Stage) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var values []string
	for _, label := range []string{"AWSCURRENT", "AWSPREVIOUS"} {
		if v := s.labelled(label); v != nil {
			values = append(values, v.value)
		}
	}
	return values
}

func (s *Stage) labelled(label string) *version {
	for i := range s.versions {
		if s.versions[i].labels[label] {
			return &s.versions[i]
		}
	}
	return nil
}

func (s *Stage) put(value string) string {
	id := fmt.Sprintf("version-%d", len(s.versions)+1)
	created := time.Now().Truncate(time.Millisecond) // as the protocol carries it
	if n := len(s.versions); n > 0 && !created.After(s.versions[n-1].created) {
		created = s.versions[n-1].created.Add(time.Millisecond)
	}
	s.versions = append(s.versions, version{id: id, value: value, created: created, labels: map[string]bool{}})
	s.move("AWSCURRENT", id)
	return id
}

// move puts label on the version with that id; AWSPREVIOUS follows where AWSCURRENT
// was, as Secrets Manager does it.
func (s *Stage) move(label, id string) {
	old := s.labelled(label)
	if old != nil {
		delete(old.labels, label)
		if label == "AWSCURRENT" {
			s.move("AWSPREVIOUS", old.id)
		}
	}
	for i := range s.versions {
		if s.versions[i].id == id {
			s.versions[i].labels[label] = true
		}
	}
}

func (s *Stage) secretsManager(w http.ResponseWriter, action string, body []byte) {
	var in struct {
		SecretID                   string `json:"SecretId"`
		VersionStage, SecretString string
		MoveToVersionID            string `json:"MoveToVersionId"`
		RemoveFromVersionID        string `json:"RemoveFromVersionId"`
		ClientRequestToken         string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		panic(err)
	}
	if in.SecretID != s.Stacks["NylasWebhooks-local"]["SecretName"] {
		value, ok := s.OtherSecrets[in.SecretID]
		if !ok || action != "GetSecretValue" || in.VersionStage != "AWSCURRENT" {
			refuse(w, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
			return
		}
		reply(w, map[string]any{"Name": in.SecretID, "SecretString": value, "VersionId": "only-version", "CreatedDate": 1767630011})
		return
	}
	switch action {
	case "GetSecretValue":
		v := s.labelled(in.VersionStage)
		if v == nil {
			refuse(w, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: "+in.VersionStage)
			return
		}
		reply(w, map[string]any{
			"Name": "secret", "SecretString": v.value, "VersionId": v.id,
			"CreatedDate": float64(v.created.UnixMilli()) / 1000,
		})
	case "PutSecretValue":
		for _, v := range s.versions { // a token that is known: nothing is done, or it is refused
			switch {
			case v.id != in.ClientRequestToken:
			case v.value == in.SecretString:
				reply(w, map[string]any{"VersionId": v.id})
				return
			default:
				refuse(w, "ResourceExistsException", "You can't modify an existing version, you can only create a new version.")
				return
			}
		}
		s.Puts++
		reply(w, map[string]any{"VersionId": s.put(in.SecretString)})
	case "UpdateSecretVersionStage":
		has := ""
		if v := s.labelled(in.VersionStage); v != nil {
			has = v.id
		}
		switch {
		case has != in.RemoveFromVersionID:
			refuse(w, "InvalidParameterException", "The staging label "+in.VersionStage+" is attached to version "+has+", not to "+in.RemoveFromVersionID)
			return
		case in.MoveToVersionID != "":
			s.move(in.VersionStage, in.MoveToVersionID)
		default:
			delete(s.labelled(in.VersionStage).labels, in.VersionStage)
		}
		reply(w, map[string]any{"ARN": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:nylas", "Name": "nylas"})
	default:
		refuse(w, "InvalidAction", action)
	}
}
