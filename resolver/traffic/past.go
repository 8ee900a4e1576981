package traffic

import (
	"cmp"
	"slices"
	"time"
)

// Span is how far back a history goes, and in which steps.
type Span struct {
	Name   string
	Length time.Duration
	Step   time.Duration
}

// Spans are all spans, the shortest first.
func Spans() []Span {
	return []Span{
		{"minute", time.Minute, time.Second}, {"hour", time.Hour, time.Minute},
		{"day", 24 * time.Hour, time.Minute}, {"90days", 90 * 24 * time.Hour, time.Hour},
	}
}

// ParseSpan is the span of a name.
func ParseSpan(name string) (Span, bool) {
	for _, span := range Spans() {
		if span.Name == name {
			return span, true
		}
	}
	return Span{}, false
}

// of is the history that has a span.
func (h *histories) of(span Span) *history {
	switch span.Step {
	case time.Second:
		return &h.bySecond
	case time.Minute:
		return &h.byMinute
	}
	return &h.byHour
}

// History is what was answered in a span.
type History struct {
	Span  Span
	Until time.Time // the end of the last step that is over
	// Points are the steps with an answer, the oldest first, and last the one that goes on.
	Points []Point
}

// All is the history of everybody.
func (t *Traffic) All(span Span) History { return t.copied(&t.all, span).of(span) }

// Of is the history of one network; the empty name stands for clients of none. Nothing is
// known of a network that is not there.
func (t *Traffic) Of(name string, span Span) History {
	n := (*t.networks.Load())[name]
	if n == nil {
		return History{Span: span}
	}
	return t.copied(&n.past, span).of(span)
}

// view is a history as it was at a time.
type view struct {
	history
	at     time.Time
	second int64 // that has begun then
}

// copied copies a history. What is in its blocks does not change.
func (t *Traffic) copied(of *histories, span Span) view {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := view{*of.of(span), t.config.Now().Round(0).Truncate(time.Second), t.second}
	c.blocks = slices.Clone(c.blocks)
	return c
}

// begins is when a step began, by the clock of now.
func (c *view) begins(step int64) time.Time {
	return c.at.Add(time.Duration(step*c.seconds-c.second) * time.Second)
}

func (c view) of(span Span) History {
	h := History{Span: span, Until: c.begins(c.now)}
	from := c.now - int64(span.Length/span.Step)
	for _, b := range c.blocks {
		if b.Last < from {
			continue
		}
		// It was written here, or has been read before.
		_ = b.read(func(step int64, p *point) {
			if step >= from {
				h.Points = append(h.Points, Point{At: c.begins(step), Length: span.Step, Counts: p.counts, Quantiles: p.durations()})
			}
		})
	}
	if c.open.Counts.Total() > 0 {
		p := point{c.open.Counts, c.open.quantiles()}
		passed := time.Duration(c.second-c.now*c.seconds) * time.Second
		h.Points = append(h.Points, Point{At: h.Until, Length: max(time.Second, passed), Counts: p.counts, Quantiles: p.durations()})
	}
	return h
}

// Parts are the steps that are over in so many parts of the same length, the oldest
// first, also those without an answer. Times are the longest of each part.
func (h History) Parts(number int) []Point {
	length := h.Span.Length / time.Duration(number)
	from := h.Until.Add(-h.Span.Length)
	parts := make([]Point, number)
	for i := range parts {
		parts[i] = Point{At: from.Add(time.Duration(i) * length), Length: length}
	}
	for _, p := range h.Points {
		if at := int(p.At.Sub(from) / length); at >= 0 && at < number {
			parts[at].merge(&p)
		}
	}
	return parts
}

// merge adds what was answered in another time.
func (p *Point) merge(other *Point) {
	p.Add(&other.Counts)
	p.P50, p.P90, p.P99 = max(p.P50, other.P50), max(p.P90, other.P90), max(p.P99, other.P99)
}

// Sum is what all steps come to, with the one that goes on. Times are the longest.
func (h History) Sum() Point {
	s := Point{At: h.Until.Add(-h.Span.Length), Length: h.Span.Length}
	for _, p := range h.Points {
		s.merge(&p)
	}
	return s
}

// Busy is a network and how much it was answered lately.
type Busy struct {
	Network string
	Point   // of the last minute
}

// Networks is what each network was answered in the last minute, the busiest first.
func (t *Traffic) Networks() []Busy {
	var all []Busy
	span := Spans()[0]
	for _, name := range t.Names() {
		all = append(all, Busy{name, t.Of(name, span).Sum()})
	}
	slices.SortFunc(all, func(a, b Busy) int {
		return cmp.Or(cmp.Compare(b.Total(), a.Total()), cmp.Compare(a.Network, b.Network))
	})
	return all
}
