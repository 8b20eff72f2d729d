package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

func committed(t *testing.T) Results {
	t.Helper()
	r, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// README's sentence, the tables and the plots say what stands in the figures.
func TestPagesAgreeWithTheFigures(t *testing.T) {
	r := committed(t)
	for page, parts := range map[string]int{reportFile: 9, readmeFile: 1} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "<!-- bench: "); n != parts {
			t.Errorf("%s has %d parts that are made of the figures, want %d", page, n, parts)
		}
		want, err := r.filled(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != want {
			t.Errorf("%s says something else than %s: run make bench, or undo what was changed by hand", page, resultsFile)
		}
	}
	for name, want := range r.plots() {
		if text, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(text) != want {
			t.Errorf("%s is not drawn from %s: %v", name, resultsFile, err)
		}
		for d := xml.NewDecoder(strings.NewReader(want)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// A whole measurement: enough rounds, every case, every figure.
func TestFiguresAreWhole(t *testing.T) {
	r := committed(t)
	if r.Rounds < 5 {
		t.Errorf("%d rounds, want at least 5", r.Rounds)
	}
	for _, c := range allCases() {
		for _, p := range r.Programs {
			row, ok := r.row(p.Name, c)
			if p.Missing == "" && (!ok || row.CPU.Min <= 0 || row.P50.Min <= 0 || row.Peak.Min <= 0 || row.Start.Min <= 0 || row.First.Min <= 0) {
				t.Errorf("%s, %v: %+v", p.Name, c, row)
			}
		}
	}
}

func TestFilledNamesWhatItDoesNotKnow(t *testing.T) {
	for _, page := range []string{"<!-- bench: else -->\n<!-- /bench -->", "<!-- bench: sentence -->\nwithout an end"} {
		if _, err := (Results{}).filled(page); err == nil {
			t.Errorf("%q: no error", page)
		}
	}
}

func TestFigure(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   Figure
	}{
		{[]float64{3, 1, 2}, Figure{2, 1, 3}},
		{[]float64{4, 1, 2, 3}, Figure{2.5, 1, 4}},
		{[]float64{7}, Figure{7, 7, 7}},
	} {
		if got := figure(test.values); got != test.want {
			t.Errorf("figure(%v) = %v, want %v", test.values, got, test.want)
		}
	}
}

// A difference is claimed only where it was seen in every round.
func TestRatio(t *testing.T) {
	for want, f := range map[string]Figure{
		"0.50 (0.40–0.80)":          {2, 1.25, 2.5},
		"no difference (0.80–1.25)": {1, 0.8, 1.25},
		"2.00 (1.25–4.00)":          {0.5, 0.25, 0.8},
	} {
		if got := ratio(f, true); got != want {
			t.Errorf("ratio(%v) = %s, want %s", f, got, want)
		}
	}
	if got := ratio(Figure{}, false); got != "not measured" {
		t.Errorf("ratio = %s", got)
	}
}

func TestDigits(t *testing.T) {
	for x, want := range map[float64]string{3.14159: "3.14", 31.4159: "31.4", 314.159: "314", 999.6: "1000", 1000: "1,000", 3_518_574: "3,518,574", 123_456: "123,456"} {
		if got := digits(x); got != want {
			t.Errorf("digits(%v) = %s, want %s", x, got, want)
		}
	}
}

// A target is met by the median, not by the best round.
func TestReached(t *testing.T) {
	for want, f := range map[string]Figure{"met": {2, 1, 4}, "within the spread": {0.9, 0.8, 1.1}, "not met": {0.8, 0.7, 0.9}} {
		if got := reached(f, 1, true); got != want {
			t.Errorf("reached(%v) = %s, want %s", f, got, want)
		}
	}
}

// No program always runs after the same one.
func TestOrderTurns(t *testing.T) {
	programs := []Program{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "none", Missing: "cargo"}}
	var orders []string
	for round := range 4 {
		order := ""
		for _, p := range inTurn(programs, round) {
			order += p.Name
		}
		orders = append(orders, order)
	}
	if got := strings.Join(orders, " "); got != "abc acb cab cba" {
		t.Errorf("orders %s", got)
	}
}

// The stand-in takes the message that was asked for and no other.
func TestMessageIsChecked(t *testing.T) {
	c := standard(2_000, 1)
	body := c.body()
	if n := len(body); n < 1_800 || n > 2_000 || !json.Valid(body) {
		t.Errorf("a body of %d bytes, valid: %v", n, json.Valid(body))
	}
	if problem := (message{MessageBody: string(body) + " ", MessageGroupID: grantID}).check(string(body)); problem != "another body" {
		t.Errorf("a changed body: %q", problem)
	}
	if problem := (message{MessageBody: string(body), MessageGroupID: grantID}).check(string(body)); !strings.HasPrefix(problem, "another ") {
		t.Errorf("a message without attributes: %q", problem)
	}
}
