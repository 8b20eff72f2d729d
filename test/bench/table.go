package main

import (
	"fmt"
	"strings"
)

// tables are everything that was measured, in Markdown.
func (r Results) tables() string {
	var b strings.Builder
	var c Case
	for _, row := range r.Rows {
		if row.Case != c {
			c = row.Case
			fmt.Fprintf(&b, "\n%v\n\n| | CPU µs | p50 µs | p99 µs | peak MB | start ms | first ms | CPU ÷ the first's |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n", c)
		}
		fmt.Fprintf(&b, "| %s | %v | %v | %v | %v | %v | %v | %v |\n", row.Program, row.CPU, row.P50, row.P99, row.Peak, row.Start, row.First, row.CPURatio)
	}
	return b.String()
}

// String is the median, and what the rounds were between.
func (f Figure) String() string {
	return fmt.Sprintf("%s (%s–%s)", digits(f.Median), digits(f.Min), digits(f.Max))
}

// digits writes as many as say something.
func digits(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func (r Results) write(string) error { return nil }
