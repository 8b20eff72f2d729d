package logs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

func TestParse(t *testing.T) {
	at := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]Request{
		`{"msg":"request","outcome":"Accepted","reason":"","status":200,"request_id":"r","notification_id":"n","type":"message.created","grant_id":"g","attempt":2,"bytes":9,"milliseconds":12,"body":"mail"}`: {
			Time: at, Outcome: "Accepted", Status: 200, RequestID: "r", NotificationID: "n", Type: "message.created", GrantID: "g", Attempt: 2, Bytes: 9, Milliseconds: 12,
		},
		`{"time":"x","type":"platform.report","record":{"status":"success"}}`: {},
		`START RequestId: 3b0bdc86 Version: 2`:                                {},
		`{"outcome":7}`:                                                       {},
	} {
		got, ok := ParseRequest(Event{Time: at, Text: text})
		if ok != (want.Outcome != "") || ok && got != want {
			t.Errorf("%s: %+v, %v", text, got, ok)
		}
	}
	a, ok := ParseAccess(Event{Time: at, Text: `{"requestId":"r","time":"1767614400500","method":"POST","status":"503","responseType":"-"}`})
	if !ok || a.Status != 503 || a.Method != "POST" || a.RequestID != "r" || a.Time.UnixMilli() != 1767614400500 {
		t.Errorf("%+v, %v", a, ok)
	}
	for _, text := range []string{"", "{}", `{"status":"-"}`, `{"status":"5"0"}`} {
		if a, ok := ParseAccess(Event{Text: text}); ok {
			t.Errorf("%q is read as %+v", text, a)
		}
	}
}

func TestRequestPattern(t *testing.T) {
	if got := RequestPattern([]string{"Mismatch", "SendFailed"}); got != `{ ($.outcome = "Mismatch") || ($.outcome = "SendFailed") }` {
		t.Error(got)
	}
}

// growing is a log that has one more line, in two pages, each time it is asked.
type growing struct{ looks int }

func (g *growing) FilterLogEvents(_ context.Context, in *cloudwatchlogs.FilterLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	if in.NextToken == nil {
		g.looks++
		return &cloudwatchlogs.FilterLogEventsOutput{NextToken: aws.String("more")}, nil // pages may be empty
	}
	out := &cloudwatchlogs.FilterLogEventsOutput{}
	for i := range g.looks {
		out.Events = append(out.Events, types.FilteredLogEvent{EventId: aws.String(fmt.Sprint(i)), Message: aws.String(fmt.Sprint(i)), Timestamp: aws.Int64(time.Now().UnixMilli())})
	}
	return out, nil
}

func TestFollowHandsEachLineOnOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var got []string
	err := Follow(ctx, &growing{}, "group", "", time.Now(), func(e Event) {
		got = append(got, e.Text)
		if len(got) == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || fmt.Sprint(got) != "[0 1]" {
		t.Errorf("%v, %v", got, err)
	}
}
