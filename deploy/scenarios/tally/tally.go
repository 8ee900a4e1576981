// Package tally counts what became of the queries of a load, by kinds of question:
// answered rightly, wrongly, at once or after another try, or not at all.
package tally

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Question is what is asked, and what may be answered.
type Question struct {
	Kind   string // questions of a kind are counted together
	Name   string // NUMBER in it stands for another number in every query
	Type   string
	Weight int
	// Answers are all right ones: the targets of CNAMEs and the addresses, in order and
	// with spaces, or a response code.
	Answers []string
}

// Fill is the name to ask for with the given number.
func (q *Question) Fill(number int) string {
	return strings.ReplaceAll(q.Name, "NUMBER", strconv.Itoa(number))
}

// Right tells whether an answer is one of the right ones.
func (q *Question) Right(answer string) bool { return slices.Contains(q.Answers, answer) }

// Outcome is what became of one query.
type Outcome struct {
	Kind   string
	Asked  time.Time
	Took   time.Duration
	Tries  int
	Server string // who answered
	Got    string
	Right  bool
	Lost   bool // nobody answered, in all tries
}

// Count is how many queries of one kind came to what.
type Count struct {
	Asked, Wrong, Lost, Retried int
}

// Span is from when till when something was seen, in Unix nanoseconds.
type Span struct {
	First, Last int64
	Times       int
}

// Tally is the count of a load. It is not for several goroutines at once.
type Tally struct {
	Kinds     map[string]*Count
	Seen      map[string]*Span // by server and answer, with a space between
	Disturbed Span             // when the queries were asked that were lost or tried again
	Slowest   time.Duration
	Samples   []string // the first wrong answers, and lost queries
}

// New is an empty tally.
func New() *Tally {
	return &Tally{Kinds: make(map[string]*Count), Seen: make(map[string]*Span)}
}

// most samples that are kept.
const most = 10

// Add counts one outcome.
func (t *Tally) Add(o Outcome) {
	count := t.Kinds[o.Kind]
	if count == nil {
		count = new(Count)
		t.Kinds[o.Kind] = count
	}
	count.Asked++
	t.Slowest = max(t.Slowest, o.Took)
	if o.Tries > 1 {
		count.Retried++
	}
	if o.Lost || o.Tries > 1 {
		t.Disturbed.add(o.Asked.UnixNano(), o.Asked.UnixNano())
	}
	switch {
	case o.Lost:
		count.Lost++
		t.sample("lost: " + o.Kind)
		return
	case !o.Right:
		count.Wrong++
		t.sample("wrong: " + o.Kind + ": " + o.Server + " says " + o.Got)
	}
	key := o.Server + " " + o.Got
	if t.Seen[key] == nil {
		t.Seen[key] = new(Span)
	}
	at := o.Asked.Add(o.Took).UnixNano()
	t.Seen[key].add(at, at)
}

func (t *Tally) sample(text string) {
	if len(t.Samples) < most {
		t.Samples = append(t.Samples, text)
	}
}

func (s *Span) add(first, last int64) {
	if s.Times == 0 || first < s.First {
		s.First = first
	}
	s.Last = max(s.Last, last)
	s.Times++
}

// Merge adds another tally to this one.
func (t *Tally) Merge(other *Tally) {
	for kind, count := range other.Kinds {
		if t.Kinds[kind] == nil {
			t.Kinds[kind] = new(Count)
		}
		mine := t.Kinds[kind]
		mine.Asked, mine.Wrong, mine.Lost, mine.Retried = mine.Asked+count.Asked, mine.Wrong+count.Wrong, mine.Lost+count.Lost,
			mine.Retried+count.Retried
	}
	for key, span := range other.Seen {
		t.span(key).merge(span)
	}
	t.Disturbed.merge(&other.Disturbed)
	t.Slowest = max(t.Slowest, other.Slowest)
	t.Samples = append(t.Samples, other.Samples...)
}

func (t *Tally) span(key string) *Span {
	if t.Seen[key] == nil {
		t.Seen[key] = new(Span)
	}
	return t.Seen[key]
}

func (s *Span) merge(other *Span) {
	if other.Times == 0 {
		return
	}
	times := s.Times
	s.add(other.First, other.Last)
	s.Times = times + other.Times
}

// Total adds up the kinds, or those that are named.
func (t *Tally) Total(kinds ...string) Count {
	if len(kinds) == 0 {
		kinds = slices.Collect(maps.Keys(t.Kinds))
	}
	var total Count
	for _, kind := range kinds {
		if c := t.Kinds[kind]; c != nil {
			total.Asked, total.Wrong = total.Asked+c.Asked, total.Wrong+c.Wrong
			total.Lost, total.Retried = total.Lost+c.Lost, total.Retried+c.Retried
		}
	}
	return total
}
