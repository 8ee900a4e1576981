package shadow

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"pldns/zones"
)

// defaultNames is how many differing questions of a network are remembered.
const defaultNames = 1000

// Differences are the answers that differed, the last ones of each network. Its methods
// may be called by many goroutines at once.
type Differences struct {
	names int
	since time.Time
	now   func() time.Time

	mu       sync.Mutex
	networks map[string]*seen
}

// seen is what was seen of one network.
type seen struct {
	counts [Results]int
	rows   *simplelru.LRU[question, *Difference]
	lost   int
}

// Difference is a question that was answered otherwise.
type Difference struct {
	Name         zones.Name
	Type         uint16
	Kind         Result
	Ours, Theirs Answer
	Count        int // how often it differed
	First, Last  time.Time
	// Agreed is when the answers agreed again; zero while they differ.
	Agreed time.Time
}

// Report is what was seen of one network.
type Report struct {
	Network string
	Counts  [Results]int // answers, by result
	// Differences are those that differ still first, and of these the most frequent; Lost
	// is how many others made room for them.
	Differences []Difference
	Lost        int
}

// NewDifferences makes an empty list that remembers so many questions for each network; 0
// stands for 1,000.
func NewDifferences(names int) *Differences {
	d := &Differences{names: cmp.Or(max(names, 0), defaultNames), now: time.Now, networks: make(map[string]*seen)}
	d.since = d.now()
	return d
}

// Since is since when it is kept.
func (d *Differences) Since() time.Time { return d.since }

// network is what was seen of a network. The lock is held.
func (d *Differences) network(name string) *seen {
	s := d.networks[name]
	if s == nil {
		s = new(seen)
		s.rows, _ = simplelru.NewLRU[question, *Difference](d.names, nil) // fails for no size only
		d.networks[strings.Clone(name)] = s
	}
	return s
}

func (d *Differences) count(network string, result Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.network(network).counts[result]++
}

// agree enters that a question is answered as the other answers it.
func (d *Differences) agree(q question) { d.note(q, Same, Answer{}, Answer{}) }

// note enters how an answer compared. That two agree is of interest where they did not.
func (d *Differences) note(q question, result Result, ours, theirs Answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, now := d.network(q.network), d.now()
	row, known := s.rows.Get(q)
	switch {
	case result == Same && known && row.Agreed.IsZero():
		row.Agreed = now
	case result.Differs():
		if !known {
			row = &Difference{Name: q.name, Type: q.qtype, First: now}
			if s.rows.Add(q, row) {
				s.lost++
			}
		}
		row.Kind, row.Ours, row.Theirs = result, ours.kept(), theirs.kept()
		row.Last, row.Agreed = now, time.Time{}
		row.Count++
	}
}

// Keep forgets networks that are not among those that are there.
func (d *Differences) Keep(there func(network string) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.networks {
		if !there(name) {
			delete(d.networks, name)
		}
	}
}

// Report is what was seen of a network.
func (d *Differences) Report(network string) Report {
	r := Report{Network: network}
	d.mu.Lock()
	if s := d.networks[network]; s != nil {
		r.Counts, r.Lost = s.counts, s.lost
		r.Differences = make([]Difference, 0, s.rows.Len())
		for _, row := range s.rows.Values() {
			r.Differences = append(r.Differences, *row)
		}
	}
	d.mu.Unlock()
	slices.SortFunc(r.Differences, func(a, b Difference) int {
		if a.Agreed.IsZero() != b.Agreed.IsZero() {
			if a.Agreed.IsZero() {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Name.Compare(b.Name), cmp.Compare(a.Type, b.Type))
	})
	return r
}
