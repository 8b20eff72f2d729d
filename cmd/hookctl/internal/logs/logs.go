// Package logs reads a stage's two logs in CloudWatch Logs: the receiver's, one line a
// request, and the gateway's access log.
//
// hookctl tail and gaps call it. It only reads, and it hands on the fields that it
// names: neither log holds bodies, addresses or signatures, and what some other line
// may hold does not get through.
package logs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

const (
	// pause between two looks: CloudWatch allows an account 5 FilterLogEvents a second in
	// the smaller regions, and others need some.
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
	pause = 2 * time.Second
	// overlap is how late a line may be found: CloudWatch sorts by the time in the line,
	// and lines of several function environments arrive seconds apart.
	overlap = time.Minute
)

// Event is one line of a log.
type Event struct {
	Time time.Time
	Text string
	id   string
}

// Read calls each for the lines of group from one time to the other that fit pattern
// (CloudWatch's filter pattern; "" for all), in the order of their times.
func Read(ctx context.Context, api cloudwatchlogs.FilterLogEventsAPIClient, group, pattern string, from, to time.Time, each func(Event)) error {
	in := cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, StartTime: aws.Int64(from.UnixMilli()), EndTime: aws.Int64(to.UnixMilli())}
	if pattern != "" {
		in.FilterPattern = &pattern
	}
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(api, &in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("read log group %s: %w", group, err)
		}
		for _, e := range page.Events {
			line := Event{time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(), strings.TrimSpace(aws.ToString(e.Message)), aws.ToString(e.EventId)}
			if line.id == "" { // AWS gives every event an id, local engines not all
				line.id = fmt.Sprint(aws.ToString(e.LogStreamName), line.Time.UnixMilli(), line.Text)
			}
			each(line)
		}
	}
	return nil
}

// Follow is [Read] without an end: it looks again and again, until ctx ends or each
// wants no more, and returns ctx's error then. Each line is handed on once.
//
// It asks FilterLogEvents and does not open a Live Tail session: what has happened is
// read by the same call, one permission is enough, a session costs by the minute and
// drops lines of busy logs.
func Follow(ctx context.Context, api cloudwatchlogs.FilterLogEventsAPIClient, group, pattern string, from time.Time, each func(Event)) error {
	seen := map[string]time.Time{}
	from = from.Truncate(time.Millisecond) // as CloudWatch counts
	for {
		now := time.Now().Truncate(time.Millisecond)
		err := Read(ctx, api, group, pattern, from, now.Add(overlap), func(e Event) {
			if _, twice := seen[e.id]; !twice {
				seen[e.id] = e.Time
				each(e)
			}
		})
		if err != nil {
			return err
		}
		if late := now.Add(-overlap); late.After(from) {
			from = late
		}
		for id, at := range seen {
			if at.Before(from) {
				delete(seen, id)
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
