package admin

import (
	"fmt"
	"math"
	"strings"
	"time"

	"pldns/resolver"
	"pldns/resolver/traffic"
)

// The size of a chart, in units of its own: it is as wide as the page.
const (
	chartWidth  = 600
	chartHeight = 120
)

// chart is some lines over time, and the same as a table.
type chart struct {
	Title string
	Unit  string // of the values, for those who hear the chart
	Width int
	Tall  int
	Most  string // the value at the upper edge
	From  time.Time
	Until time.Time
	Lines []chartLine
	Rows  []chartRow
}

// chartLine is a line, in one of eight colours.
type chartLine struct {
	Title  string
	Colour int
	Points string // as SVG has them
}

// chartRow is a row of the table.
type chartRow struct {
	At     time.Time
	Values []string
}

// Heads are the heads of the columns of the table.
func (c chart) Heads() []string {
	heads := []string{"From"}
	for _, line := range c.Lines {
		heads = append(heads, "#"+line.Title)
	}
	return heads
}

// Table is what the table begins with.
func (c chart) Table() table { return newTable(c.Title, c.Heads()...) }

// drawn is a line before it is drawn.
type drawn struct {
	title string
	value func(*traffic.Point) float64
}

// chartsOf draws what is known of a span.
func chartsOf(h traffic.History) []chart {
	// So many parts are enough for a line, and for a table.
	fine, coarse := h.Parts(60), h.Parts(12)
	switch h.Span.Name {
	case "day":
		fine, coarse = h.Parts(144), h.Parts(24)
	case "90days":
		fine, coarse = h.Parts(180), h.Parts(90)
	}
	rates := chartOf("Queries a second", "queries a second", fine, coarse, perSecond, []drawn{
		{"all", (*traffic.Point).Rate},
		rateOf("given again", traffic.FromReplies), rateOf("local", traffic.FromLocal),
		rateOf("cache", traffic.FromCache), rateOf("stale", traffic.FromStale),
		rateOf("upstream", traffic.FromUpstream), rateOf("nobody", traffic.FromNowhere), rateOf("refused unread", traffic.FromRefusal),
	})
	rcodes := chartOf("Response codes", "queries a second", fine, coarse, perSecond, []drawn{
		rateOf("NOERROR", traffic.NoError), rateOf("NXDOMAIN", traffic.NXDomain),
		rateOf("SERVFAIL", traffic.ServFail), rateOf("REFUSED", traffic.Refused), rateOf("other", traffic.OtherRcode),
	})
	times := chartOf("Time to answer", "seconds", fine, coarse, seconds, []drawn{
		{"half", func(p *traffic.Point) float64 { return p.P50.Seconds() }},
		{"9 of 10", func(p *traffic.Point) float64 { return p.P90.Seconds() }},
		{"99 of 100", func(p *traffic.Point) float64 { return p.P99.Seconds() }},
	})
	var over []drawn
	for _, transport := range resolver.Transports() {
		over = append(over, rateOf(transport.Title(), traffic.OverTransport(transport)))
	}
	transports := chartOf("Transports", "queries a second", fine, coarse, perSecond, over)
	return []chart{rates, rcodes, times, transports}
}

// rateOf is the line of the queries a second of a column.
func rateOf(title string, column traffic.Column) drawn {
	return drawn{title, func(p *traffic.Point) float64 { return float64(p.Counts[column]) / p.Length.Seconds() }}
}

// chartOf draws lines. A line that is nothing but 0 is left out, but for the first.
func chartOf(title, unit string, fine, coarse []traffic.Point, write func(float64) string, lines []drawn) chart {
	last := fine[len(fine)-1]
	c := chart{Title: title, Unit: unit, Width: chartWidth, Tall: chartHeight, From: fine[0].At, Until: last.At.Add(last.Length)}
	most := 0.0
	for _, line := range lines {
		for i := range fine {
			most = max(most, line.value(&fine[i]))
		}
	}
	c.Most = write(roundUp(most))
	rows := make([]chartRow, len(coarse))
	for i := range coarse {
		rows[i].At = coarse[i].At
	}
	for colour, line := range lines {
		points, something := polyline(fine, line.value, roundUp(most))
		if !something && colour > 0 {
			continue
		}
		c.Lines = append(c.Lines, chartLine{line.title, colour, points})
		for i := range coarse {
			rows[i].Values = append(rows[i].Values, write(line.value(&coarse[i])))
		}
	}
	c.Rows = rows
	return c
}

// polyline is a line as SVG has it, and whether it is more than 0 anywhere.
func polyline(points []traffic.Point, value func(*traffic.Point) float64, most float64) (line string, something bool) {
	var written strings.Builder
	for i := range points {
		v := value(&points[i])
		something = something || v > 0
		x := float64(chartWidth) * float64(i) / float64(max(1, len(points)-1))
		y := float64(chartHeight)
		if most > 0 {
			y -= float64(chartHeight) * v / most
		}
		fmt.Fprintf(&written, "%.1f,%.1f ", x, y)
	}
	return strings.TrimSuffix(written.String(), " "), something
}

// roundUp is a round number that is not less: 1, 2 or 5 and zeros.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, round := range []float64{1, 2, 5} {
		if v <= round*unit {
			return round * unit
		}
	}
	return 10 * unit
}

// perSecond writes a rate as people read it.
func perSecond(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.01:
		return "< 0.01"
	case v < 10:
		return fmt.Sprintf("%.3g", v)
	}
	return thousands(int(v + .5))
}
