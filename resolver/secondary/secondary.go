package secondary

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pldns/zones"
	"pldns/zones/content"
)

// Server is a secondary server (RFC 9499): it holds copies of zones. Its methods may be called at any
// time by any number of goroutines.
type Server struct {
	options  Options
	log      *slog.Logger
	observer Observer

	holding sync.Mutex // held by Hold, which reads the disk without mu

	mu     sync.Mutex
	ctx    context.Context // of Run; nil while it does not run
	held   map[string]*held
	byZone map[zones.Name][]*held
	hosts  map[netip.AddrPort]*host
	turns  []*host // those that zones wait for
	active int     // attempts under way
	news   map[string]bool
	dirty  []*held // in the order in which they are to be saved

	attempts sync.WaitGroup
	told     chan struct{} // holds a token when there are news
	unsaved  chan struct{} // holds a token when something is dirty
}

// New makes a server that holds nothing.
func New(options Options) *Server {
	options.Logger = cmp.Or(options.Logger, slog.New(slog.DiscardHandler))
	options.Observer = cmp.Or[Observer](options.Observer, nobody{})
	if options.Dial == nil {
		options.Dial = func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr.String())
		}
	}
	if options.Changed == nil {
		options.Changed = func([]string) {}
	}
	return &Server{
		options: options, log: options.Logger, observer: options.Observer,
		held: make(map[string]*held), byZone: make(map[zones.Name][]*held), hosts: make(map[netip.AddrPort]*host),
		news: make(map[string]bool), told: make(chan struct{}, 1), unsaved: make(chan struct{}, 1),
	}
}

// Run asks primaries until the context ends, and has written all copies to disk then. The error is
// always nil.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	for _, h := range s.held {
		s.arm(h)
	}
	s.mu.Unlock()

	var others sync.WaitGroup
	saving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	others.Go(func() { s.tell(ctx) })
	others.Go(func() { s.save(saving) })
	<-ctx.Done()

	s.mu.Lock()
	s.ctx = nil
	for _, h := range s.held {
		h.disarm()
	}
	s.mu.Unlock()
	s.attempts.Wait()
	stop()
	others.Wait()
	return nil
}

// Hold says which zones are to be held from now on. What is held already, and is asked for in the
// same way, goes on; other copies are read from disk before Hold returns, so that they are served
// before any primary is asked; what is not among the sources is dropped, and its file stays. A source
// whose ID is new begins with the copy of one that it succeeds: see inherit. No two sources have one ID.
func (s *Server) Hold(sources []Source) {
	s.holding.Lock()
	defer s.holding.Unlock()
	read := s.readNew(sources)

	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[string]*held, len(sources))
	for _, source := range sources {
		h := s.held[source.ID]
		if h == nil || h.source.Zone != source.Zone {
			h = &held{source: source}
			if kept := read[source.ID]; kept != nil {
				h.take(kept)
			}
		} else if !h.source.same(source) {
			h.anew = h.anew || h.zone != nil && source.isAnew(h.source.head())
			h.source = source
			h.restart()
		}
		h.source = source // certificates may be others
		next[source.ID] = h
	}
	s.inherit(next)
	for id, h := range s.held {
		if next[id] != h {
			h.drop()
		}
	}
	s.held = next
	clear(s.byZone)
	for _, h := range next {
		s.byZone[h.source.Zone] = append(s.byZone[h.source.Zone], h)
		if s.ctx != nil && h.phase == idle && h.refresh == nil {
			s.arm(h)
		}
	}
	s.forget()
}

// inherit gives sources that are new, and of which there is no copy, that of the source that they
// succeed, so that an edit of the primaries of a zone, or of their key, does not leave it without an
// answer. Server.mu is held.
func (s *Server) inherit(next map[string]*held) {
	for id, heir := range next {
		if s.held[id] == heir {
			continue
		}
		for _, h := range s.byZone[heir.source.Zone] {
			if heir.source.isHeir(h.source.head()) {
				heir.inherit(h)
			}
		}
	}
}

// inherit takes the copy of another source, if it has none that was confirmed later.
func (h *held) inherit(from *held) {
	if from.zone == nil || h.zone != nil && !from.confirmed.After(h.confirmed) {
		return
	}
	h.zone, h.expired, h.confirmed, h.changed, h.primary = from.zone, from.expired, from.confirmed, from.changed, from.primary
	h.anew = from.anew || h.source.isAnew(from.source.head())
	h.saving.stored = nil
}

// readNew reads the copies of sources that are not held yet from disk, by id, several at once: a zone
// of 10^6 records takes seconds.
func (s *Server) readNew(sources []Source) map[string]*kept {
	s.mu.Lock()
	var missing []Source
	for _, source := range sources {
		if h := s.held[source.ID]; h == nil || h.source.Zone != source.Zone {
			missing = append(missing, source)
		}
	}
	s.mu.Unlock()
	siblings := sync.OnceValue(s.onDisk)
	read := make(map[string]*kept)
	var mu sync.Mutex
	var readers errgroup.Group
	readers.SetLimit(runtime.GOMAXPROCS(0))
	for _, source := range missing {
		readers.Go(func() error {
			found := s.read(source, siblings)
			mu.Lock()
			defer mu.Unlock()
			read[source.ID] = found
			return nil
		})
	}
	_ = readers.Wait() // none of them fails
	return read
}

// areStrangers tells whether two lists of addresses have none in common.
func areStrangers(a, b []string) bool {
	return !slices.ContainsFunc(a, func(addr string) bool { return slices.Contains(b, addr) })
}

// Copies are what is held, by the ids of the sources. Those of which there is no copy yet are among
// them.
func (s *Server) Copies() map[string]content.Copy {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]content.Copy, len(s.held))
	for id, h := range s.held {
		all[id] = h.copy()
	}
	return all
}

// States are what is known of each copy, sorted by zone and id.
func (s *Server) States() []State {
	s.mu.Lock()
	all := make([]State, 0, len(s.held))
	for _, h := range s.held {
		all = append(all, h.state())
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b State) int { return cmp.Or(a.Zone.Compare(b.Zone), cmp.Compare(a.ID, b.ID)) })
	return all
}

// Notify takes a NOTIFY (RFC 1996) that came from an address, signed with a key whose name is zero if
// it was not signed. It is false if that is no primary of the zone; otherwise the primaries are asked
// at once, but for a zone at most once a second.
func (s *Server) Notify(zone zones.Name, from netip.Addr, key zones.Name) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := false
	for _, h := range s.byZone[zone] {
		first := h.notifier(from, key)
		if first < 0 {
			continue
		}
		taken = true
		h.first = first
		s.host(h.source.Primaries[first].Addr).until = time.Time{} // it is there
		if h.phase != idle {
			h.told = true
		} else if due := later(time.Now(), h.begun.Add(pace)); s.ctx != nil && due.Before(h.next) {
			s.due(h, due)
		}
	}
	s.observer.Notified(taken)
	return taken
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// change notes that what is served of a zone is something else. Server.mu is held.
func (s *Server) change(h *held) {
	s.news[h.source.ID] = true
	select {
	case s.told <- struct{}{}:
	default: // there is a token already
	}
}

// tellPace is the least time between two calls of Options.Changed.
const tellPace = time.Second

// tell calls Options.Changed for as long as the context lives.
func (s *Server) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.told:
		}
		s.mu.Lock()
		ids := slices.Sorted(maps.Keys(s.news))
		clear(s.news)
		s.mu.Unlock()
		s.options.Changed(ids)
		select {
		case <-ctx.Done():
			return
		case <-time.After(tellPace):
		}
	}
}
