package observe

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
)

const (
	// maxRecent is how many decisions are remembered.
	maxRecent = 500
	// recentFor is how long they are watched after somebody has asked for it.
	recentFor = 10 * time.Minute
	// maxRecentRecords is how many records of an answer are remembered, the last
	// ones: they tell what the client got.
	maxRecentRecords = 4
)

// Recent remembers the last decisions, for the live list. It is off until
// [Recent.Switch] turns it on, and off again after ten minutes, because it shows
// who asks for what; what was remembered is forgotten then. While it is on it wants to see
// every query decided, so that the list says why. Its methods may be called by many
// goroutines at once.
type Recent struct {
	switched func() // called when it has been turned on or off; may be nil
	now      func() time.Time
	start    time.Time
	until    atomic.Int64 // nanoseconds after start, whatever the wall clock says; 0 when off

	mu   sync.Mutex
	ring []Decision // of the last maxRecent decisions
	next int        // where the next one goes
}

// Decision is one decision as it is remembered: cheaply, because there may be many, and
// put into words only for those who look.
type Decision struct {
	At      time.Time // when it was told of
	Took    time.Duration
	Over    resolver.Transport
	Query   resolver.Query
	Answer  resolver.Answer // only Rcode, Network, Source and Group
	Records []dns.RR        // the last ones
	Reply   []byte          // as it was sent
}

// Exchange is the decision as a [Filter] looks at it.
func (d Decision) Exchange() *listen.Exchange {
	return &listen.Exchange{Transport: string(d.Over), Query: d.Query, Answer: d.Answer, Reply: d.Reply}
}

// NewRecent makes a list that is off. Whenever it has been turned on or off, by whomever,
// switched is called, unless it is nil: then it wants something else than before. It must
// not wait. Now is the clock, nil for the real one.
func NewRecent(switched func(), now func() time.Time) *Recent {
	if now == nil {
		now = time.Now
	}
	return &Recent{switched: switched, now: now, start: now()}
}

// On tells whether decisions are remembered now.
func (r *Recent) On() bool { return !r.Until().IsZero() }

// Until is when remembering ends; zero when it is off.
func (r *Recent) Until() time.Time {
	until := r.until.Load()
	if until == 0 {
		return time.Time{}
	}
	now := r.now()
	if left := time.Duration(until) - now.Sub(r.start); left > 0 {
		return now.Add(left)
	}
	r.expire(until)
	return time.Time{}
}

// expire forgets everything, unless somebody has turned the list on anew.
func (r *Recent) expire(until int64) {
	r.mu.Lock()
	over := r.until.CompareAndSwap(until, 0)
	if over {
		r.ring, r.next = nil, 0
	}
	r.mu.Unlock()
	if over && r.switched != nil {
		r.switched()
	}
}

// Switch turns the list on for ten minutes, or off.
func (r *Recent) Switch(on bool) {
	r.mu.Lock()
	if on {
		r.until.Store(int64(r.now().Sub(r.start) + recentFor))
	} else {
		r.until.Store(0)
		r.ring, r.next = nil, 0
	}
	r.mu.Unlock()
	if r.switched != nil {
		r.switched()
	}
}

// Wants is every query, while the list is on. It turns nothing off: whoever is told that
// the list was switched asks here.
func (r *Recent) Wants() listen.Wants {
	if r.until.Load() == 0 {
		return listen.Wants{}
	}
	return listen.Wants{Anew: 1}
}

// Exchanged remembers a decision, if the list is on. What was refused unread is none.
func (r *Recent) Exchanged(e *listen.Exchange) {
	if r.until.Load() == 0 || e.Why != listen.Accepted || e.Remembered || !r.On() { // off as a rule
		return
	}
	a := e.Answer.Unpacked()
	d := Decision{
		At: r.now(), Took: e.Took, Over: resolver.Transport(e.Transport), Query: e.Query,
		Records: a.Records[max(0, len(a.Records)-maxRecentRecords):],
		Reply:   slices.Clone(e.Reply),
		Answer:  resolver.Answer{Rcode: a.Rcode, Network: a.Network, Source: a.Source, Group: a.Group},
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until.Load() == 0 {
		return // turned off meanwhile
	}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, d)
		return
	}
	r.ring[r.next] = d
	r.next = (r.next + 1) % maxRecent
}

// List gives what is remembered, the newest first.
func (r *Recent) List() []Decision {
	if !r.On() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	list := slices.Concat(r.ring[r.next:], r.ring[:r.next])
	slices.Reverse(list)
	return list
}
