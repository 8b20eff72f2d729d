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
	case x >= 1000:
		text := fmt.Sprintf("%.0f", x)
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// standing is the table of the deployed form: how the programs stand.
func (r Results) standing(cpus int) string {
	var b strings.Builder
	b.WriteString("| | CPU µs, 2 kB | 64 kB | 900 kB | p50 µs, 2 kB | 64 kB | 900 kB | p99 µs, 2 kB | peak MB, 2 kB | 900 kB |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, p := range r.Programs {
		if p.Missing != "" {
			fmt.Fprintf(&b, "| %s | not measured: %s | | | | | | | | |\n", p.Name, p.Missing)
			continue
		}
		var cells []any
		cell := func(bytes int, of func(Row) Figure) {
			row, _ := r.row(p.Name, standard(bytes, cpus))
			cells = append(cells, of(row))
		}
		for _, bytes := range sizes {
			cell(bytes, func(row Row) Figure { return row.CPU })
		}
		for _, bytes := range sizes {
			cell(bytes, func(row Row) Figure { return row.P50 })
		}
		cell(sizes[0], func(row Row) Figure { return row.P99 })
		cell(sizes[0], func(row Row) Figure { return row.Peak })
		cell(sizes[2], func(row Row) Figure { return row.Peak })
		fmt.Fprintf(&b, "| %s |"+strings.Repeat(" %v |", len(cells))+"\n", append([]any{p.Name}, cells...)...)
	}
	return b.String()
}

// starting is the table of what does not depend on the size of a body.
func (r Results) starting() string {
	var b strings.Builder
	b.WriteString("| | versions | start, ms | first event of 2 kB, ms | zip, bytes |\n| --- | --- | --- | --- | --- |\n")
	for _, p := range r.Programs {
		if p.Missing != "" {
			continue
		}
		row, _ := r.row(p.Name, standard(sizes[0], 1))
		fmt.Fprintf(&b, "| %s | %s | %v | %v | %s |\n", p.Name, p.What, r.start(p.Name), row.First, digits(float64(p.Artifact)))
	}
	return b.String()
}

// forms is the table of every form: the receiver's CPU, by that of another program.
func (r Results) forms() string {
	var b strings.Builder
	b.WriteString("| CPUs | body | event | ÷ Rust | ÷ Node 24 | ÷ Go without the SDK |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, c := range allCases() {
		fmt.Fprintf(&b, "| %d | %s, %s | %s |", c.CPUs, size(c.Bytes), c.Text, c.Form)
		for _, peer := range []string{rust, node24, limit} {
			row, ok := r.row(peer, c)
			fmt.Fprintf(&b, " %s |", ratio(row.CPURatio, ok))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// ratio is how the receiver stands to another program, of whose figure by the receiver's it
// is given. A difference is one only where it was one in every round.
func ratio(other Figure, ok bool) string {
	switch {
	case !ok:
		return "not measured"
	case other.Min <= 1 && other.Max >= 1:
		return fmt.Sprintf("no difference (%.2f–%.2f)", 1/other.Max, 1/other.Min)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", 1/other.Median, 1/other.Max, 1/other.Min)
}

// target is what was wanted of the receiver, beside another program.
type target struct {
	what, peer string
	bytes      int
	most       float64
	of         func(Row) Figure // the peer's figure by the receiver's
}

func cpuRatio(row Row) Figure  { return row.CPURatio }
func peakRatio(row Row) Figure { return row.PeakRatio }

var targets = []target{
	{"CPU", rust, 2_000, 1.15, cpuRatio}, {"CPU", rust, 64_000, 1.05, cpuRatio}, {"CPU", rust, 900_000, 1, cpuRatio},
	{"peak memory", rust, 2_000, 2.5, peakRatio}, {"peak memory", rust, 64_000, 2.5, peakRatio}, {"peak memory", rust, 900_000, 2.5, peakRatio},
	{"CPU", node24, 2_000, 0.25, cpuRatio}, {"CPU", node24, 64_000, 0.33, cpuRatio}, {"CPU", node24, 900_000, 0.40, cpuRatio},
	{"peak memory", node24, 2_000, 0.25, peakRatio}, {"peak memory", node24, 64_000, 0.25, peakRatio}, {"peak memory", node24, 900_000, 0.25, peakRatio},
}

// targetTable says which targets are met.
func (r Results) targetTable() string {
	var b strings.Builder
	b.WriteString("| | beside | body | wanted | measured | |\n| --- | --- | --- | --- | --- | --- |\n")
	line := func(what, peer, body string, most float64, measured, verdict string) {
		fmt.Fprintf(&b, "| %s | %s | %s | ≤ %.2f | %s | %s |\n", what, peer, body, most, measured, verdict)
	}
	for _, t := range targets {
		row, ok := r.row(t.peer, standard(t.bytes, 1))
		line(t.what, t.peer, size(t.bytes), t.most, ratio(t.of(row), ok), reached(t.of(row), t.most, ok))
	}
	starts, ok := r.startRatio(rust)
	line("start", rust, "any", 1, ratio(starts, ok), reached(starts, 1, ok))
	largest := sizes[len(sizes)-1]
	if row, ok := r.row(receiver, standard(largest, 1)); ok {
		x := row.CPU.Median / r.Limits[len(r.Limits)-1].CPU.Median
		line("CPU", "base64, HMAC and MD5 alone", size(largest), 3, fmt.Sprintf("%.2f", x), reached(Figure{1 / x, 1 / x, 1 / x}, 3, true))
	}
	return b.String()
}

// reached says whether a target is. other is the other program's figure by the receiver's.
func reached(other Figure, most float64, ok bool) string {
	switch {
	case !ok:
		return ""
	case 1/other.Median <= most:
		return "met"
	case 1/other.Max <= most:
		return "within the spread"
	}
	return "not met"
}

// where says on what machine and when.
func (r Results) where() string {
	return fmt.Sprintf("%s %d rounds.\n", r.Machine.where(r.Date), r.Rounds)
}

func (m Machine) where(date string) string {
	kind := "a machine"
	if m.Virtual {
		kind = "a virtual machine"
	}
	return fmt.Sprintf("Measured on %s: %s with %d CPUs of a processor that calls itself %s; %s. Load before (1, 5 and 15 minutes): %s.",
		date, kind, m.CPUs, m.Processor, m.System, m.Load)
}

// limits says what cannot be done without.
func (r Results) limits() string {
	var b strings.Builder
	b.WriteString("| body | base64, HMAC-SHA256 and MD5 in Go, µs | the receiver's CPU, by that |\n| --- | --- | --- |\n")
	for _, l := range r.Limits {
		row, _ := r.row(receiver, standard(l.Bytes, 1))
		fmt.Fprintf(&b, "| %s | %v | %.2f |\n", size(l.Bytes), l.CPU, row.CPU.Median/l.CPU.Median)
	}
	return b.String()
}

// sentence is README's.
func (r Results) sentence() string {
	us, _ := r.row(receiver, standard(sizes[0], 1))
	text := fmt.Sprintf("A notification of 2 kB takes the function %s µs of CPU and %s MB of memory at most; the process starts in %s ms.",
		digits(us.CPU.Median), digits(us.Peak.Median), digits(r.start(receiver).Median))
	node, ok := r.row(node24, standard(sizes[0], 1))
	large, _ := r.row(node24, standard(sizes[2], 1))
	if ok {
		text += fmt.Sprintf(" That is %.2f of the CPU and %.2f of the memory of the same job in Node 24, and %.2f and %.2f at 900 kB.",
			1/node.CPURatio.Median, 1/node.PeakRatio.Median, 1/large.CPURatio.Median, 1/large.PeakRatio.Median)
	}
	if row, ok := r.row(rust, standard(sizes[0], 1)); ok {
		large, _ := r.row(rust, standard(sizes[2], 1))
		text += fmt.Sprintf(" Rust needs less: the receiver takes %.2f of its CPU, %.2f at 900 kB.", 1/row.CPURatio.Median, 1/large.CPURatio.Median)
	}
	return text + " Measured on one machine, not on Lambda: [performance](docs/performance.md).\n"
}
