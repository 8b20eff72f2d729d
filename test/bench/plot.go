package main

import (
	"fmt"
	"html"
	"strings"
)

// A plot's measures, in pixels.
const (
	plotWidth, plotLeft, plotRight = 760, 150, 170 // to its right stands the figure
	barHeight, barGap              = 20, 8
	plotTop, plotBottom            = 44, 12
)

// plots returns the plots by file. Each has a background of its own, so that it can be read on
// GitHub's light and on its dark pages.
func (r Results) plots() map[string]string {
	plots := make(map[string]string)
	for _, bytes := range sizes {
		title := fmt.Sprintf("CPU for a notification of %s, µs", size(bytes))
		plots[fmt.Sprintf("docs/pictures/performance-cpu-%d.svg", bytes/1000)] = r.plot(title, standard(bytes, 1), func(row Row) Figure { return row.CPU })
	}
	plots["docs/pictures/performance-memory.svg"] = r.plot("Most memory, with notifications of 2 kB, MB", standard(sizes[0], 1), func(row Row) Figure { return row.Peak })
	plots["docs/pictures/performance-start.svg"] = r.plot("From the process's start to its first question for an event, ms", standard(sizes[0], 1), func(row Row) Figure { return r.start(row.Program) })
	plots["docs/pictures/performance-scale.svg"] = r.scalePlot()
	return plots
}

// plot draws a figure of every program as a bar to the median, with a line from the least to
// the most.
func (r Results) plot(title string, c Case, of func(Row) Figure) string {
	var rows []Row
	longest := 0.0
	for _, p := range r.Programs {
		if row, ok := r.row(p.Name, c); ok {
			rows = append(rows, row)
			longest = max(longest, of(row).Max)
		}
	}
	height := plotTop + len(rows)*(barHeight+barGap) + plotBottom
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="13" role="img">`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" rx="6" fill="#ffffff" stroke="#d0d7de"/>`+"\n", html.EscapeString(title))
	fmt.Fprintf(&b, `<text x="12" y="26" fill="#1f2328" font-weight="bold">%s</text>`+"\n", html.EscapeString(title))
	scale := (plotWidth - plotLeft - plotRight) / longest
	for i, row := range rows {
		f, y := of(row), plotTop+i*(barHeight+barGap)
		colour, middle := "#8c959f", y+barHeight/2
		if row.Program == receiver {
			colour = "#0969da"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="#1f2328">%s</text>`, plotLeft-8, middle+5, html.EscapeString(row.Program))
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, plotLeft, y, f.Median*scale, barHeight, colour)
		fmt.Fprintf(&b, `<path d="M%.1f %dH%.1f" stroke="#1f2328" stroke-width="2"/>`, plotLeft+f.Min*scale, middle, plotLeft+f.Max*scale)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" fill="#1f2328">%s</text>`+"\n", plotLeft+f.Max*scale+8, middle+5, f)
	}
	return b.String() + "</svg>\n"
}
