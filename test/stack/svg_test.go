package stack

import (
	"fmt"
	"html"
	"strings"
)

// svg is a picture for docs/pictures: lines and texts with the classes of svgStyle, so
// that it can be read in GitHub's light and dark mode.
type svg struct {
	b strings.Builder
}

// svgStyle has colours in which text stands out at 4.5 to 1 or more from what is behind it.
const svgStyle = `<style>
text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 14px } .small { font-size: 12px; fill: #57606a } .mono { font: 12px ui-monospace, Menlo, Consolas, monospace }
.box { fill: #f6f8fa; stroke: #57606a } .data { fill: #ddf4ff; stroke: #0969da } .bad { fill: #fff1e5; stroke: #bc4c00 } .out { fill: none; stroke: #57606a; stroke-dasharray: 4 3 }
.paper { fill: #ffffff; stroke: #d0d7de } .bar { fill: #0969da } .line { fill: none; stroke: #57606a; stroke-width: 1.4 } .maybe { stroke-dasharray: 5 4 } .head { fill: #57606a }
.red { fill: #cf222e } .green { fill: #1a7f37 } .amber { fill: #9a6700 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #9198a1 }
.box { fill: #161b22; stroke: #9198a1 } .data { fill: #0c2d6b; stroke: #4493f8 } .bad { fill: #3d1300; stroke: #db6d28 } .out { stroke: #9198a1 }
.paper { fill: #0d1117; stroke: #3d444d } .bar { fill: #4493f8 } .line { stroke: #9198a1 } .head { fill: #9198a1 }
.red { fill: #f85149 } .green { fill: #3fb950 } .amber { fill: #d29922 }
}
</style>
<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path class="head" d="M0 0L10 5L0 10z"/></marker></defs>
`

func newSVG(width, height int, title, description string) *svg {
	s := &svg{}
	fmt.Fprintf(&s.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="t d">`+"\n", width, height, width, height)
	fmt.Fprintf(&s.b, "<title id=\"t\">%s</title>\n<desc id=\"d\">%s</desc>\n", html.EscapeString(title), html.EscapeString(description))
	s.b.WriteString(svgStyle)
	fmt.Fprintf(&s.b, `<rect class="paper" width="%d" height="%d" rx="6"/>`+"\n", width, height)
	return s
}

func (s *svg) rect(class string, x, y, w, h int) {
	fmt.Fprintf(&s.b, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="5"/>`+"\n", class, x, y, w, h)
}

// text at a point, where there is any; anchor is start, middle or end.
func (s *svg) text(class, anchor string, x, y int, text string) {
	if text == "" {
		return
	}
	fmt.Fprintf(&s.b, `<text class="%s" x="%d" y="%d" text-anchor="%s">%s</text>`+"\n", class, x, y, anchor, html.EscapeString(text))
}

// arrow along the points; with two heads where both.
func (s *svg) arrow(class string, both bool, points ...[2]int) {
	s.b.WriteString(`<path class="line ` + class + `" marker-end="url(#head)"`)
	if both {
		s.b.WriteString(` marker-start="url(#head)"`)
	}
	s.b.WriteString(` d="`)
	for i, p := range points {
		fmt.Fprintf(&s.b, "%c%d %d", "ML"[min(i, 1)], p[0], p[1])
	}
	s.b.WriteString("\"/>\n")
}

func (s *svg) done() string { return s.b.String() + "</svg>\n" }
