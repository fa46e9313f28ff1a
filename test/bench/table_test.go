package bench

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// full is whether to measure for the table, and not only to notice what has
// become much worse. The short form holds ratios against their bound with
// slack, and never an absolute figure.
var full = os.Getenv("VAULTPAM_BENCH") != ""

// slack is how many times worse than its bound a ratio may be in the short
// form: it has few rounds, on a machine that does other things as well.
const slack = 5

// figure is one row of the table.
type figure struct {
	name      string
	reference string // what the other side did; empty without one
	unit      string // of both sides, as "/s", "ms" or "MiB"
	rounds    []round
	must      bound // below which the product is not good enough
	goal      bound // where it wants to be
	note      string
	slack     float64 // of the short form, where the usual one is too little
}

// round is one measurement of both sides. ref is 0 where there is none.
type round struct{ got, ref float64 }

// bound is what a figure is held against: its ratio to the reference, or the
// figure itself. The zero bound holds for everything.
type bound struct {
	kind  boundKind
	value float64
}

type boundKind int

const (
	unbound boundKind = iota
	ratioAtLeast
	ratioAtMost
	figureAtLeast
	figureAtMost
)

func atLeast(ratio float64) bound { return bound{ratioAtLeast, ratio} }
func atMost(ratio float64) bound  { return bound{ratioAtMost, ratio} }

// absoluteAtMost and absoluteAtLeast bound what was measured, not its ratio.
func absoluteAtMost(v float64) bound  { return bound{figureAtMost, v} }
func absoluteAtLeast(v float64) bound { return bound{figureAtLeast, v} }

func (b bound) absolute() bool { return b.kind == figureAtLeast || b.kind == figureAtMost }

func (b bound) text(unit string) string {
	switch b.kind {
	case ratioAtLeast:
		return "≥ " + number(b.value)
	case ratioAtMost:
		return "≤ " + number(b.value)
	case figureAtLeast:
		return "≥ " + number(b.value) + " " + unit
	case figureAtMost:
		return "≤ " + number(b.value) + " " + unit
	default:
		return "–"
	}
}

// holds says whether the median of f is within b, which may be slack times
// worse.
func (b bound) holds(f figure, slack float64) bool {
	switch b.kind {
	case ratioAtLeast:
		return f.ratio().median >= b.value/slack
	case ratioAtMost:
		return f.ratio().median <= b.value*slack
	case figureAtLeast:
		return f.got().median >= b.value/slack
	case figureAtMost:
		return f.got().median <= b.value*slack
	default:
		return true
	}
}

// spread is a median with the least and the greatest value.
type spread struct{ median, least, most float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	v := slices.Sorted(slices.Values(values))
	middle := v[len(v)/2]
	if len(v)%2 == 0 {
		middle = (v[len(v)/2-1] + v[len(v)/2]) / 2
	}
	return spread{middle, v[0], v[len(v)-1]}
}

func (f figure) each(of func(round) float64) spread {
	values := make([]float64, len(f.rounds))
	for i, r := range f.rounds {
		values[i] = of(r)
	}
	return spreadOf(values)
}

func (f figure) got() spread   { return f.each(func(r round) float64 { return r.got }) }
func (f figure) ref() spread   { return f.each(func(r round) float64 { return r.ref }) }
func (f figure) ratio() spread { return f.each(func(r round) float64 { return r.got / r.ref }) }

func (f figure) verdict() string {
	switch {
	case f.must.kind == unbound && f.goal.kind == unbound:
		return "–"
	case !f.must.holds(f, 1):
		return "**below must**"
	case f.goal.kind != unbound && f.goal.holds(f, 1):
		return "goal"
	default:
		return "must"
	}
}

// row is f as a row of the table.
func (f figure) row() string {
	got, ref, ratio := number(f.got().median)+" "+f.unit, "–", "–"
	if f.reference != "" {
		ref = f.reference + ": " + number(f.ref().median) + " " + f.unit
		r := f.ratio()
		ratio = fmt.Sprintf("**%s** (%s – %s)", number(r.median), number(r.least), number(r.most))
	} else if g := f.got(); len(f.rounds) > 1 {
		got += fmt.Sprintf(" (%s – %s)", number(g.least), number(g.most))
	}
	name := f.name
	if f.note != "" {
		name += " (" + f.note + ")"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %d | %s | %s | %s |\n", name, got, ref, ratio, len(f.rounds), f.must.text(f.unit), f.goal.text(f.unit), f.verdict())
}

// number prints three significant digits without an exponent.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "?"
	case a >= 1000:
		digits := fmt.Sprintf("%.0f", v)
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
		return digits
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1 || a == 0:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

var (
	tableMu sync.Mutex // guards what follows
	figures []figure
	loads   []float64 // of the machine, at each figure
)

// report puts f into the table. In the short form a ratio that is much worse
// than its must fails the test; in full the table says so.
func report(t testing.TB, f figure) {
	t.Helper()
	tableMu.Lock()
	figures = append(figures, f)
	loads = append(loads, load())
	tableMu.Unlock()
	t.Log(strings.TrimSpace(f.row()))
	if full || f.must.absolute() {
		return
	}
	if loose := max(slack, f.slack); !f.must.holds(f, loose) {
		t.Errorf("%s: a ratio of %s; must be %s, with a slack of %g", f.name, number(f.ratio().median), f.must.text(f.unit), loose)
	}
}

// turns measures everything once per round, and changes who is first, so that
// what else runs meets all alike. It returns the rounds of each.
func turns(rounds int, measures ...func() float64) [][]float64 {
	out := make([][]float64, len(measures))
	for n := range rounds {
		for k := range measures {
			i := (k + n) % len(measures)
			out[i] = append(out[i], measures[i]())
		}
	}
	return out
}

// pair joins the rounds of the product with those of a reference.
func pair(got, ref []float64) []round {
	out := make([]round, len(got))
	for i := range out {
		out[i] = round{got[i], ref[i]}
	}
	return out
}

// interleave measures the reference and the product in turns.
func interleave(rounds int, reference, product func() float64) []round {
	m := turns(rounds, reference, product)
	return pair(m[1], m[0])
}

// table is everything that was reported, in the order of the names of the
// tests that did, as Markdown.
func table() string {
	tableMu.Lock()
	defer tableMu.Unlock()
	var b strings.Builder
	b.WriteString("| figure | measured | reference | ratio: median (least – most) | rounds | must | goal | verdict |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|\n")
	for _, f := range figures {
		b.WriteString(f.row())
	}
	return b.String()
}

func TestTheMedianOfRatiosIsHeldAgainstTheBound(t *testing.T) {
	f := figure{name: "x", reference: "y", unit: "/s", rounds: []round{{50, 100}, {90, 100}, {10, 1000}}, must: atLeast(0.4), goal: atLeast(0.6)}
	if got, want := f.row(), "| x | 50.0 /s | y: 100 /s | **0.500** (0.010 – 0.900) | 3 | ≥ 0.400 | ≥ 0.600 | must |\n"; got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	for _, c := range []struct {
		must, goal bound
		want       string
	}{
		{atLeast(0.51), bound{}, "**below must**"},
		{atMost(0.51), atMost(0.5), "goal"},
		{absoluteAtMost(49), bound{}, "**below must**"},
		{absoluteAtMost(50), bound{}, "must"},
		{absoluteAtLeast(50), absoluteAtLeast(51), "must"},
		{bound{}, atMost(0.4), "must"},
		{bound{}, bound{}, "–"},
	} {
		f.must, f.goal = c.must, c.goal
		if got := f.verdict(); got != c.want {
			t.Errorf("%s, %s: %s, want %s", c.must.text("/s"), c.goal.text("/s"), got, c.want)
		}
	}
	if got := spreadOf([]float64{4, 1, 3, 2}); cmp.Compare(got.median, 2.5) != 0 || got.least != 1 || got.most != 4 {
		t.Errorf("an even number of rounds: %v", got)
	}
	if got := number(1234567.8); got != "1,234,568" {
		t.Errorf("a large number is printed as %s", got)
	}
}
