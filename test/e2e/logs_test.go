package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/canary"
)

// line is one request's line in the receiver's log.
type line map[string]any

// metrics returns the names of the metrics that CloudWatch makes of the line.
func (l line) metrics(t *testing.T) []string {
	t.Helper()
	var embedded struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	}
	text := must[[]byte](t)(json.Marshal(l["_aws"]))
	if err := json.Unmarshal(text, &embedded); err != nil || len(embedded.CloudWatchMetrics) != 1 {
		t.Fatalf("_aws is %s, error %v; want one directive", text, err)
	}
	if age := time.Since(time.UnixMilli(embedded.Timestamp)); age < -time.Minute || age > time.Hour {
		t.Errorf("the metrics' time is %s ago", age)
	}
	directive := embedded.CloudWatchMetrics[0]
	if directive.Namespace != contract.MetricNamespace || fmt.Sprint(directive.Dimensions) != "[["+contract.DimensionStage+"]]" || l[contract.DimensionStage] != "local" {
		t.Errorf("metrics go to %s %v with stage %v", directive.Namespace, directive.Dimensions, l[contract.DimensionStage])
	}
	var names []string
	for _, m := range directive.Metrics {
		if _, isNumber := l[m.Name].(float64); !isNumber || m.Unit != "Count" {
			t.Errorf("metric %s is %v, a %s", m.Name, l[m.Name], m.Unit)
		}
		names = append(names, m.Name)
	}
	return names
}

// logGroup is the function's.
func (s *system) logGroup() string {
	for logical, physical := range s.resources {
		if strings.HasPrefix(logical, "ReceiverLogs") {
			return physical
		}
	}
	return ""
}

// messages returns all that the function has logged.
func (s *system) messages(ctx context.Context) ([]string, error) {
	var messages []string
	group := s.logGroup()
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(s.logs, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the function's log: %w", err)
		}
		for _, event := range page.Events {
			messages = append(messages, aws.ToString(event.Message))
		}
	}
	return messages, nil
}

// lines returns the lines of all requests so far, in their order.
func (s *system) lines(t *testing.T) []line {
	t.Helper()
	var lines []line
	for _, message := range must[[]string](t)(s.messages(t.Context())) {
		var l line
		if json.Unmarshal([]byte(message), &l) == nil && l[contract.FieldOutcome] != nil {
			lines = append(lines, l)
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		return strings.Compare(fmt.Sprint(a[contract.FieldTimestamp]), fmt.Sprint(b[contract.FieldTimestamp]))
	})
	return lines
}

// mark makes a request whose line can be told from all others, by its size.
func (s *system) mark(t *testing.T) (isMark func(line) bool) {
	t.Helper()
	s.marks++
	size := 11_000 + s.marks // no other unsigned request of the tests is so large
	s.post(t, make([]byte, size))
	return func(l line) bool {
		return l[contract.FieldReason] == string(contract.ReasonNoSignature) && l[contract.FieldBytes] == float64(size)
	}
}

// logged calls request, which makes one request, and returns its line, which is the
// one between two marks. The engine takes what a function writes within 50 ms of its
// answer, or with the next request; so the second mark is made until it is there.
func (s *system) logged(t *testing.T, request func()) line {
	t.Helper()
	before := s.mark(t)
	request()
	after := s.mark(t)
	var between []line
	eventually(t, soon, func() string {
		lines := s.lines(t)
		first, last := slices.IndexFunc(lines, before), slices.IndexFunc(lines, after)
		if first < 0 || last < 0 {
			s.mark(t)
			return "the request is not in the log"
		}
		between = lines[first+1 : last]
		return ""
	})
	if len(between) != 1 {
		t.Fatalf("%d lines for one request: %v", len(between), between)
	}
	return between[0]
}

func TestLogLines(t *testing.T) {
	secret := sys.secret(t)
	body := note{ID: "e2e-logged-notification", Grant: "grant-1", Type: "event.updated", Attempt: 2}.json()
	forged := strings.Repeat("0", 64)
	for _, test := range []struct {
		name    string
		request func()
		want    line
		metrics []contract.Metric
	}{
		{"accepted", func() { sys.received(t, sys.deliver(t, body)) }, line{
			contract.FieldOutcome: "Accepted", contract.FieldReason: "", contract.FieldStatus: 200.0, contract.FieldLevel: "INFO",
			contract.FieldNotificationID: "e2e-logged-notification", contract.FieldType: "event.updated", contract.FieldGrantID: "grant-1",
			contract.FieldAttempt: 2.0, contract.FieldBytes: float64(len(body)), contract.FieldEncoding: "",
		}, []contract.Metric{contract.Accepted, contract.Verified}},
		{"accepted, encoded", func() { sys.received(t, sys.deliver(t, []byte("\x00"))) }, line{
			contract.FieldOutcome: "Accepted", contract.FieldEncoding: "gzip+base64", contract.FieldBytes: 1.0, contract.FieldNotificationID: "",
		}, []contract.Metric{contract.Accepted, contract.Verified}},
		{"challenge", func() { sys.challenge(t, challengeQuery(mail)) }, line{
			contract.FieldOutcome: "Challenged", contract.FieldStatus: 200.0,
		}, []contract.Metric{contract.Challenged}},
		{"no challenge", func() { sys.challenge(t, "") }, line{
			contract.FieldOutcome: "Refused", contract.FieldReason: "no_challenge", contract.FieldStatus: 400.0, contract.FieldLevel: "WARN",
		}, []contract.Metric{contract.Refused}},
		// What nobody has verified is not looked into: no id, no type, no grant.
		{"unsigned", func() { sys.post(t, body) }, line{
			contract.FieldOutcome: "Refused", contract.FieldReason: "no_signature", contract.FieldStatus: 401.0,
			contract.FieldNotificationID: "", contract.FieldType: "", contract.FieldGrantID: "", contract.FieldAttempt: 0.0,
		}, []contract.Metric{contract.Refused}},
		{"malformed", func() { sys.post(t, body, sign(secret, body)[:63]) }, line{
			contract.FieldOutcome: "Refused", contract.FieldReason: "malformed_signature", contract.FieldStatus: 401.0,
		}, []contract.Metric{contract.Refused}},
		{"mock secret", func() { sys.post(t, body, sign("mock-webhook-secret", body)) }, line{
			contract.FieldOutcome: "TestEvent", contract.FieldReason: "test_event", contract.FieldStatus: 401.0,
		}, []contract.Metric{contract.TestEvent}},
		{"forged", func() { sys.post(t, body, forged) }, line{
			contract.FieldOutcome: "Mismatch", contract.FieldReason: "mismatch", contract.FieldStatus: 503.0, contract.FieldLevel: "ERROR", contract.FieldNotificationID: "",
		}, []contract.Metric{contract.Mismatch, contract.Verified}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := sys.logged(t, test.request)
			for key, want := range test.want {
				if got[key] != want {
					t.Errorf("%s is %v, want %v", key, got[key], want)
				}
			}
			var want []string
			for _, m := range test.metrics {
				want = append(want, string(m))
			}
			if metrics := got.metrics(t); !slices.Equal(metrics, want) {
				t.Errorf("metrics %v, want %v", metrics, want)
			}
			checkKeys(t, got)
		})
	}
}

// checkKeys fails where a line has other keys than the contract's.
func checkKeys(t *testing.T, l line) {
	t.Helper()
	want := []string{
		contract.FieldTimestamp, contract.FieldLevel, contract.FieldMessage, contract.FieldVersion, contract.FieldRequestID, contract.FieldNotificationID,
		contract.FieldType, contract.FieldGrantID, contract.FieldAttempt, contract.FieldBytes, contract.FieldEncoding,
		contract.FieldOutcome, contract.FieldReason, contract.FieldStatus, contract.FieldMilliseconds, contract.DimensionStage, "_aws",
	}
	want = append(want, l.metrics(t)...)
	if _, ok := l[contract.FieldError]; ok {
		want = append(want, contract.FieldError)
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(l)); !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
	if l[contract.FieldRequestID] == "" {
		t.Error("no request id")
	}
}

// Anybody can send these, so none of them may wake somebody up.
func TestForgedRequestsMoveNoPageAlarm(t *testing.T) {
	secret, body := sys.secret(t), note{}.json()
	pages := sys.pageMetrics(t)
	if !slices.Contains(pages, string(contract.SendFailed)) {
		t.Fatalf("the page alarms watch %v, which lacks %s: they were not read rightly", pages, contract.SendFailed)
	}
	for name, request := range map[string]func(){
		"forged":        func() { sys.post(t, body, strings.Repeat("0", 64)) },
		"unsigned":      func() { sys.post(t, body) },
		"malformed":     func() { sys.post(t, body, "no") },
		"mock secret":   func() { sys.post(t, body, sign("mock-webhook-secret", body)) },
		"old signature": func() { sys.post(t, append(body, ' '), sign(secret, body)) },
		"no challenge":  func() { sys.challenge(t, "") },
		"not UTF-8":     func() { sys.post(t, []byte("\xff"), "\"\\") },
	} {
		for _, metric := range sys.logged(t, request).metrics(t) {
			if slices.Contains(pages, metric) {
				t.Errorf("%s adds to %s, which a page alarm watches", name, metric)
			}
		}
	}
}

// pageMetrics returns the receiver's metrics that the deployed alarms page for.
func (s *system) pageMetrics(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, r := range s.template.Resources {
		if r.Type != "AWS::CloudWatch::Alarm" {
			continue
		}
		var alarm struct {
			Namespace, MetricName string
			AlarmActions          []struct{ Ref string }
		}
		if err := json.Unmarshal(r.Properties, &alarm); err != nil {
			t.Fatal(err)
		}
		pages := slices.ContainsFunc(alarm.AlarmActions, func(a struct{ Ref string }) bool { return strings.HasPrefix(a.Ref, "Pages") })
		if pages && alarm.Namespace == contract.MetricNamespace {
			names = append(names, alarm.MetricName)
		}
	}
	return names
}

// leaks says what stands where it must not: in what the deployed stack shows, and in
// the answers to the sender.
func (s *system) leaks(ctx context.Context) []string {
	places, err := canary.Deployed(ctx, s.config, stackName)
	if err != nil {
		return []string{err.Error()}
	}
	places["answers"] = s.answers.all()
	return leaksIn(places, s.sent)
}

// leaksIn returns a sentence for each place and kind of what is in it and must not:
// what canaries and signatures are known by, and the values of sent (value to kind).
func leaksIn(places map[string][]byte, sent map[string]string) []string {
	problems := canary.FindIn(places)
	for place, text := range places {
		for value, kind := range sent {
			if bytes.Contains(text, []byte(value)) {
				problems = append(problems, fmt.Sprintf("%s: holds %s", place, kind))
			}
		}
	}
	slices.Sort(problems)
	return slices.Compact(problems)
}

// The check at the end of the suite would see something, and looks at something.
func TestLeaksAreSeen(t *testing.T) {
	sent := map[string]string{"0123456789abcdef": "a malformed signature"}
	got := leaksIn(map[string][]byte{"a log": []byte(`{"a":"x 0123456789abcdef"}`), "stack": []byte("say " + mail + "!")}, sent)
	if want := []string{"a log: holds a malformed signature", "stack: holds [mail]"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := leaksIn(map[string][]byte{"a log": []byte(`{"request_id":"1"}`)}, sent); got != nil {
		t.Errorf("%q of a good line", got)
	}
	sys.received(t, sys.deliver(t, note{ID: "e2e-not-vacuous"}.json()))
	wanted := map[string]string{
		"template": "AWS::SQS::Queue", "stack": "QueueUrl", "stack events": "CREATE_COMPLETE",
		"alarms": stackName + "-", "dashboards": "widgets", "log group " + sys.logGroup(): "e2e-not-vacuous",
	}
	eventually(t, soon, func() string {
		places := must[map[string][]byte](t)(canary.Deployed(t.Context(), sys.config, stackName))
		for place, text := range wanted {
			if !bytes.Contains(places[place], []byte(text)) {
				return fmt.Sprintf("%s, of which there are %d bytes, lacks %s", place, len(places[place]), text)
			}
		}
		return ""
	})
	if len(sys.answers.all()) == 0 {
		t.Error("no answers are kept")
	}
}
