package faults

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/faults/ledger"
)

// The plot's size, in pixels, and how many steps of time it has.
const (
	plotWidth, plotHeight, plotMargin = 720, 200, 40
	plotSteps                         = 120
)

// series are what a plot stacks, from the bottom up.
var series = []struct{ name, colour string }{
	{"delivered", "#2a7"}, {"spilled", "#e90"}, {"refused", "#c33"},
}

// plotStyle is for GitHub's light and dark mode; the colours of the series are seen in both.
const plotStyle = `<style>text{fill:#1f2328}.paper{fill:#fff}.axis{fill:none;stroke:#57606a}.mark{fill:#818b981f}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.axis{stroke:#9198a1}.mark{fill:#656c7640}}</style>
`

// Mark is a part of the time in which something is said of the plot.
type Mark struct {
	From, To time.Duration // since the first notification
	Text     string
}

// Plot draws what became of the notifications over time, as SVG: messages that reached
// the queue, objects that reached the bucket, and attempts that were refused, each by
// the second. Marks are shaded.
func Plot(r Result, marks ...Mark) string {
	counts, step := count(r)
	most := 0.0
	for i := range plotSteps {
		most = max(most, counts[0][i]+counts[1][i]+counts[2][i])
	}
	most = max(most, 1)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n",
		plotWidth+2*plotMargin, plotHeight+2*plotMargin)
	b.WriteString(plotStyle)
	fmt.Fprintf(&b, `<rect class="paper" width="100%%" height="100%%"/><text x="%d" y="16">%s, per second</text>`+"\n", plotMargin, html.EscapeString(r.Scenario.Name))
	width := float64(plotWidth) / plotSteps
	for _, m := range marks {
		x := func(at time.Duration) float64 { return plotMargin + at.Seconds()/step.Seconds()*width }
		fmt.Fprintf(&b, `<rect class="mark" x="%.1f" y="%d" width="%.1f" height="%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x(m.From), plotMargin, x(m.To)-x(m.From), plotHeight, x((m.From+m.To)/2), plotMargin-6, html.EscapeString(m.Text))
	}
	for i := range plotSteps {
		y := float64(plotMargin + plotHeight)
		for k, s := range series {
			if height := counts[k][i] / most * plotHeight; height > 0 {
				y -= height
				fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", plotMargin+float64(i)*width, y, width, height, s.colour)
			}
		}
	}
	for k, s := range series {
		x := plotWidth + plotMargin - 80*(len(series)-k)
		fmt.Fprintf(&b, `<rect x="%d" y="7" width="9" height="9" fill="%s"/><text x="%d" y="16">%s</text>`+"\n", x, s.colour, x+13, s.name)
	}
	fmt.Fprintf(&b, `<path class="axis" d="M%d %dV%dH%d"/>`+"\n", plotMargin, plotMargin, plotMargin+plotHeight, plotMargin+plotWidth)
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%.0f</text><text x="%d" y="%d" text-anchor="end">0</text>`+"\n",
		plotMargin-4, plotMargin+8, most, plotMargin-4, plotMargin+plotHeight)
	fmt.Fprintf(&b, `<text x="%d" y="%d">0 s</text><text x="%d" y="%d" text-anchor="end">%.1f s</text>`+"\n</svg>\n",
		plotMargin, plotMargin+plotHeight+16, plotMargin+plotWidth, plotMargin+plotHeight+16, step.Seconds()*plotSteps)
	return b.String()
}

// count returns events per second by series and step, and how long a step is.
func count(r Result) (counts [3][plotSteps]float64, step time.Duration) {
	step = max(r.Took/plotSteps, time.Millisecond)
	add := func(k int, at time.Time) {
		if i := int(at.Sub(r.Began) / step); i >= 0 {
			counts[k][min(i, plotSteps-1)] += 1 / step.Seconds()
		}
	}
	for _, k := range r.Kept {
		if k.Place == ledger.Queue {
			add(0, k.At)
		} else {
			add(1, k.At)
		}
	}
	for _, line := range r.Lines {
		if line.Status != 200 {
			add(2, line.At)
		}
	}
	return counts, step
}
