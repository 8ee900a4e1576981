package forward

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"pldns/resolver"
	"pldns/resolver/forward/share"
	"pldns/zones"
)

const (
	// learnedFor is how long it is remembered that a server, or the servers of a
	// domain behind it, cannot do something.
	learnedFor = time.Minute
	// learnedDomains is of how many domains that is remembered.
	learnedDomains = 1024
	// agreeing is how many unrelated domains have to agree within learnedFor for
	// something to be taken for a fault of the server itself. Servers that forward
	// for many differ from name to name.
	agreeing = 4
	// readableFor is how long after a reply that could be read others that cannot
	// are a matter of what was asked.
	readableFor = 5 * time.Second
	// shownEvery is how exactly it is known when a server has last shown something.
	shownEvery = time.Second
)

// lack is something that a server cannot do.
type lack uint8

const (
	noEDNS    lack = iota // it does not understand OPT records
	sameCase              // it changes the letter case of names
	noCookie              // it sends no cookie although it did
	malformed             // its replies cannot be read
	lacks                 // how many there are
)

// String is the word for what such a server is asked without.
func (l lack) String() string { return [...]string{"edns", "0x20", "cookie", "whole replies"}[l] }

// learned is what is known of how a server wants to be asked. What one name shows
// holds for its domain; only what several unrelated domains agree on, and none
// contradicts, holds for the server. Its methods may be called by many goroutines
// at once.
type learned struct {
	epoch time.Time
	shown [lacks]atomic.Int64 // when the opposite was last shown, in time since epoch; 0 for never
	any   atomic.Bool         // something is remembered

	mu      sync.Mutex
	domains *simplelru.LRU[zones.Name, exceptions]
	last    time.Time // when the last of them is forgotten
	agreed  [lacks]agreement
}

// exceptions are what one domain is asked without, and until when.
type exceptions struct {
	until [lacks]time.Time
	plain zones.Name // the name that showed noEDNS
}

// agreement is which domains have lately shown a lack of a server.
type agreement struct {
	domains [agreeing]zones.Name
	at      [agreeing]time.Time
	until   time.Time // the lack is taken for the server's own until then
}

func newLearned(now time.Time) *learned {
	domains, _ := simplelru.NewLRU[zones.Name, exceptions](learnedDomains, nil) // fails for no size only
	return &learned{epoch: now, domains: domains}
}

// options are how a question is to be asked.
func (s *server) options(q resolver.Question, now time.Time) queryOptions {
	secret := s.Transport >= TLS // nobody on the way can read what is asked, nor change what is said
	o := queryOptions{sameCase: secret, padded: secret}
	if s.learned.any.Load() {
		s.learned.apply(&o, q, now)
	}
	return o
}

// apply adds to options what is remembered. A question for signatures is asked
// with EDNS, without which there are none, unless it was this name, or all names,
// that could not be asked so.
func (l *learned) apply(o *queryOptions, q resolver.Question, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	holds := func(of lack) bool { return now.Before(l.agreed[of].until) }
	o.noEDNS, o.sameCase, o.noCookie = holds(noEDNS), o.sameCase || holds(sameCase), holds(noCookie)
	if !now.Before(l.last) {
		l.domains.Purge()
		l.any.Store(o.noEDNS || holds(sameCase) || o.noCookie)
		return
	}
	domain := share.Suffix(q.Name)
	known, found := l.domains.Get(domain)
	if !found {
		return
	}
	holds = func(of lack) bool { return now.Before(known.until[of]) }
	o.noEDNS = o.noEDNS || holds(noEDNS) && (!q.DNSSEC || known.plain == q.Name)
	o.sameCase = o.sameCase || holds(sameCase)
	o.noCookie = o.noCookie || holds(noCookie)
	if !holds(noEDNS) && !holds(sameCase) && !holds(noCookie) {
		l.domains.Remove(domain)
	}
}

// learn remembers that a question could only be answered without something.
func (s *server) learn(what lack, q resolver.Question, now time.Time) {
	s.learned.except(what, q, now)
	if s.learned.agree(what, q, now) {
		if what == noCookie {
			s.cookies.forget()
		}
		s.pool.learned(s, what)
	}
}

// except remembers a lack for the domain of a name.
func (l *learned) except(what lack, q resolver.Question, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	domain := share.Suffix(q.Name)
	known, _ := l.domains.Get(domain)
	known.until[what] = now.Add(learnedFor)
	if what == noEDNS {
		known.plain = q.Name
	}
	l.domains.Add(domain, known)
	l.last = known.until[what]
	l.any.Store(true)
}

// agree takes note that a name has shown a lack, and tells whether it is now to be
// taken for the server's own, because several unrelated names agree.
func (l *learned) agree(what lack, q resolver.Question, now time.Time) bool {
	contradicted := learnedFor
	if what == malformed {
		contradicted = readableFor
	}
	if l.shownWithin(what, contradicted, now) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &l.agreed[what]
	domain, oldest, others := share.Suffix(q.Name), 0, 0
	for i, known := range a.domains {
		switch {
		case known == domain:
			oldest = i
		case now.Sub(a.at[i]) < learnedFor && known != (zones.Name{}):
			others++
		}
		if a.domains[oldest] != domain && a.at[i].Before(a.at[oldest]) {
			oldest = i
		}
	}
	a.domains[oldest], a.at[oldest] = domain, now
	if others < agreeing-1 {
		return false
	}
	a.until = now.Add(learnedFor)
	l.any.Store(true)
	return true
}

// show takes note that a server can do something after all.
func (l *learned) show(what lack, now time.Time) {
	since := int64(now.Sub(l.epoch)) + 1
	if last := l.shown[what].Load(); last == 0 || since-last > int64(shownEvery) {
		l.shown[what].Store(since)
	}
}

// shownWithin tells whether a server has shown within some time that it can do
// something.
func (l *learned) shownWithin(what lack, within time.Duration, now time.Time) bool {
	last := l.shown[what].Load()
	return last != 0 && now.Sub(l.epoch)-time.Duration(last) < within
}

// state is what the server is asked without, and for how many domains alone
// something is left out.
func (l *learned) state(now time.Time) (without []string, exceptions int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for what := noEDNS; what < malformed; what++ {
		if now.Before(l.agreed[what].until) {
			without = append(without, what.String())
		}
	}
	for _, known := range l.domains.Values() {
		for _, until := range known.until {
			if now.Before(until) {
				exceptions++
				break
			}
		}
	}
	return without, exceptions
}
