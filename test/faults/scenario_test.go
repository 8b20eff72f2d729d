package faults

import (
	"testing"
	"time"
)

func TestDue(t *testing.T) {
	for _, c := range []struct {
		rampUp time.Duration
		i      int
		want   time.Duration
	}{
		{0, 0, 0},
		{0, 200, time.Second},
		{0, 4000, 20 * time.Second},
		{10 * time.Second, 0, 0},
		{10 * time.Second, 250, 5 * time.Second}, // at 100 a second by then, so 50 on average
		{10 * time.Second, 1000, 10 * time.Second},
		{10 * time.Second, 1400, 12 * time.Second},
		{10 * time.Second, 5000, 30 * time.Second},
	} {
		got := Scenario{Rate: 200, RampUp: c.rampUp}.due(c.i)
		if (got - c.want).Abs() > time.Millisecond {
			t.Errorf("200 a second, reached in %v: number %d is sent after %v, want %v", c.rampUp, c.i, got, c.want)
		}
	}
}
