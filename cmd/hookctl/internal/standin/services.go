package standin

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
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
		members.WriteString("<member><StackName>" + name + "</StackName><CreationTime>2026-01-05T10:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus><Outputs>")
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

func (s *Stage) receiveMessage() any {
	var messages []any
	for i := range s.queue {
		m := &s.queue[i]
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
			"MessageId": m.handle, "ReceiptHandle": m.handle, "Body": m.wire.Body,
			"MD5OfBody": md5hex(m.wire.Body), "MessageAttributes": attributes,
		})
	}
	return map[string]any{"Messages": messages}
}

type batch struct {
	Entries []struct {
		ID            string `json:"Id"`
		ReceiptHandle string
	}
}

func (s *Stage) deleteBatch(body []byte) any {
	return s.eachHandle(body, func(i int) {
		s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
		s.Deleted++
	})
}

func (s *Stage) visibilityBatch(body []byte) any {
	return s.eachHandle(body, func(i int) {
		s.queue[i].handle = ""
		s.GivenBack++
	})
}

func (s *Stage) eachHandle(body []byte, do func(index int)) any {
	var b batch
	if err := json.Unmarshal(body, &b); err != nil {
		panic(err)
	}
	var good, bad []any
	for _, entry := range b.Entries {
		found := false
		for i := range s.queue {
			if s.queue[i].handle == entry.ReceiptHandle {
				do(i)
				found = true
				break
			}
		}
		if found {
			good = append(good, map[string]string{"Id": entry.ID})
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
		reply(w, map[string]any{})
	default:
		refuse(w, "InvalidAction", action)
	}
}
