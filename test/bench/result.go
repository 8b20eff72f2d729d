package main

import (
	"cmp"
	"slices"
)

// Results is what a whole measurement found, as it stands in docs/performance.json.
type Results struct {
	Date     string    `json:"date"`
	Machine  Machine   `json:"machine"`
	Rounds   int       `json:"rounds"`
	Programs []Program `json:"programs"`
	Rows     []Row     `json:"rows"`
	Limits   []Limit   `json:"limits"`
	// Scale is the burst through more and more environments, which is measured apart, on
	// the day ScaleDate.
	Scale     []Step  `json:"scale"`
	ScaleDate string  `json:"scale_date"`
	ScaleOn   Machine `json:"scale_machine"`
}

// Row is what one program needed for one case.
type Row struct {
	Program string `json:"program"`
	Case
	CPU   Figure `json:"cpu_us"`
	P50   Figure `json:"p50_us"`
	P99   Figure `json:"p99_us"`
	Peak  Figure `json:"peak_mb"`
	Start Figure `json:"start_ms"`
	First Figure `json:"first_ms"`
	// Ratios to the first program, which is the receiver, in the same round.
	CPURatio   Figure `json:"cpu_ratio"`
	P50Ratio   Figure `json:"p50_ratio"`
	PeakRatio  Figure `json:"peak_ratio"`
	StartRatio Figure `json:"start_ratio"`
}

// Limit is how long base64, HMAC-SHA256 and MD5 of a body take on this machine in Go: what
// no receiver can do without.
type Limit struct {
	Bytes int    `json:"bytes"`
	CPU   Figure `json:"cpu_us"`
}

// Figure is the median of the rounds, the least and the most.
type Figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func figure(values []float64) Figure {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Figure{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

func cpu(s Sample) float64        { return s.CPU }
func p50(s Sample) float64        { return s.P50 }
func p99(s Sample) float64        { return s.P99 }
func peak(s Sample) float64       { return s.Peak }
func start(s Sample) float64      { return s.Start }
func firstEvent(s Sample) float64 { return s.First }

// key names the samples that make a row.
type key struct {
	program string
	Case
}

// rows makes the rows of the samples, in the order of cases and programs.
func rows(samples map[key][]Sample, cases []Case, programs []Program) []Row {
	var list []Row
	for _, c := range cases {
		for _, p := range programs {
			s := samples[key{p.Name, c}]
			if len(s) == 0 {
				continue
			}
			of := func(value func(Sample) float64) Figure {
				var values []float64
				for _, sample := range s {
					values = append(values, value(sample))
				}
				return figure(values)
			}
			first := samples[key{programs[0].Name, c}]
			ratio := func(value func(Sample) float64) Figure {
				var values []float64
				for round, sample := range s {
					values = append(values, value(sample)/value(first[round]))
				}
				return figure(values)
			}
			list = append(list, Row{
				Program: p.Name, Case: c,
				CPU:      of(cpu),
				P50:      of(p50),
				P99:      of(p99),
				Peak:     of(peak),
				Start:    of(start),
				First:    of(firstEvent),
				CPURatio: ratio(cpu), P50Ratio: ratio(p50), PeakRatio: ratio(peak), StartRatio: ratio(start),
			})
		}
	}
	return list
}

// row returns what a program needed for a case; false where it was not measured.
func (r Results) row(program string, c Case) (Row, bool) {
	i := slices.IndexFunc(r.Rows, func(row Row) bool { return row.Program == program && row.Case == c })
	if i < 0 {
		return Row{}, false
	}
	return r.Rows[i], true
}

// start is how long a program took to start, over all runs with one CPU.
func (r Results) start(program string) Figure {
	var medians, least, most []float64
	for _, row := range r.Rows {
		if row.Program == program && row.CPUs == 1 {
			medians, least, most = append(medians, row.Start.Median), append(least, row.Start.Min), append(most, row.Start.Max)
		}
	}
	if len(medians) == 0 {
		return Figure{}
	}
	return Figure{figure(medians).Median, slices.Min(least), slices.Max(most)}
}

// startRatio is another program's start by the receiver's, over all rounds with one CPU.
func (r Results) startRatio(program string) (Figure, bool) {
	var medians, least, most []float64
	for _, row := range r.Rows {
		if row.Program == program && row.CPUs == 1 {
			medians, least, most = append(medians, row.StartRatio.Median), append(least, row.StartRatio.Min), append(most, row.StartRatio.Max)
		}
	}
	if len(medians) == 0 {
		return Figure{}, false
	}
	return Figure{figure(medians).Median, slices.Min(least), slices.Max(most)}, true
}

// sizes of the bodies, in bytes: a usual notification, a long mail, nearly the largest
// that Nylas sends.
var sizes = []int{2_000, 64_000, 900_000}

// allCases are the cases of a whole measurement: with one CPU every form; with two, as
// Lambda shows at this memory, the deployed one.
func allCases() []Case {
	var list []Case
	for _, bytes := range sizes {
		for _, text := range []string{"html", "plain"} {
			for _, form := range []string{"base64", "text"} {
				list = append(list, Case{bytes, text, form, 1})
			}
		}
	}
	for _, bytes := range sizes {
		list = append(list, standard(bytes, 2))
	}
	slices.SortStableFunc(list, func(a, b Case) int { return cmp.Compare(a.CPUs, b.CPUs) })
	return list
}
