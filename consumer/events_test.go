package consumer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Each line has what is known, under names that people search for, and nothing else.
func TestLines(t *testing.T) {
	for _, c := range []struct {
		event Event
		want  map[string]any
	}{
		{Event{Kind: Resumed}, map[string]any{"level": "INFO", "msg": "consumer: resumed"}},
		{
			Event{Kind: Failed, MessageID: "m", NotificationID: "n", Type: "message.created", GrantID: "g", Receives: 1, Duration: 1500 * time.Microsecond, Delay: 2500 * time.Millisecond, Err: errors.New("no")},
			map[string]any{"level": "WARN", "msg": "consumer: failed", "message_id": "m", "notification_id": "n", "type": "message.created", "grant_id": "g",
				"receives": 1.0, "milliseconds": 1.0, "delay_seconds": 2.5, "error": "no"},
		},
		{Event{Kind: Handled, Duration: 1, Delay: 1}, map[string]any{"level": "INFO", "msg": "consumer: handled", "milliseconds": 0.0, "delay_seconds": 1e-9}},
		{
			Event{Kind: Failed, Err: fmt.Errorf("handler: %w", &panicError{value: "boom", stack: []byte("main.go:1")})},
			map[string]any{"level": "WARN", "msg": "consumer: failed", "error": "panicked: boom", "stack": "main.go:1"},
		},
	} {
		var line bytes.Buffer
		seen := Event{}
		Config{Logger: slog.New(slog.NewJSONHandler(&line, nil)), Observe: func(e Event) { seen = e }}.emit(c.event)
		var got map[string]any
		if err := json.Unmarshal(line.Bytes(), &got); err != nil {
			t.Fatalf("%v: %s", err, line.Bytes())
		}
		delete(got, "time")
		if c.want["stack"] != nil {
			c.want["error"] = "handler: " + c.want["error"].(string)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("got %v\nwant %v", got, c.want)
		}
		if !reflect.DeepEqual(seen, c.event) {
			t.Errorf("observed %+v, happened %+v", seen, c.event)
		}
	}
}

// Metrics are not worth the notifications.
func TestAnObserversPanicIsLogged(t *testing.T) {
	var lines bytes.Buffer
	Config{Logger: slog.New(slog.NewTextHandler(&lines, nil)), Observe: func(Event) { panic("nil map") }}.emit(Event{Kind: Handled})
	for _, want := range []string{`level=ERROR msg="consumer: Observe panicked" kind=handled panic="nil map" stack="goroutine `, `msg="consumer: handled"`} {
		if !strings.Contains(lines.String(), want) {
			t.Errorf("%s is not in %s", want, lines.String())
		}
	}
}
