package traffic

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pldns/resolver/listen"
)

const (
	// defaultRoom is how many octets all histories may take.
	defaultRoom = 64 << 20
	// networkOctets is what a network takes besides what is over.
	networkOctets = 2 << 10
)

// Config says what a [Traffic] is made of. What is zero is as usual.
type Config struct {
	// Room is how many octets all histories together may take; 0 stands for 64 MiB.
	Room int
	// Changed is called when the tap wants another sample than before. It must not wait.
	Changed func()
	// Now is the clock, nil for the real one.
	Now func() time.Time
}

// Traffic keeps what was answered. Its methods may be called by many goroutines at once.
type Traffic struct {
	config   Config
	networks atomic.Pointer[map[string]*network] // by name; the empty one stands for none
	adding   sync.Mutex                          // held by who changes networks
	sample   atomic.Uint32                       // one query in so many is looked at more closely
	unlisted atomic.Bool                         // no lists are kept
	drawn    atomic.Int32                        // queries that were looked at more closely, since the last look
	crowded  chan struct{}                       // says that these are too many
	spare    spare                               // entries that the lists may still take

	mu      sync.Mutex // held while history is looked at or goes on
	began   time.Time  // of this run
	before  int64      // seconds of the runs before, and between them
	second  int64      // that goes on
	looked  time.Time  // when it was looked last
	all     histories
	started time.Time // of the hour of the lists, and
	earlier time.Time // of the one before
}

// histories are those of one network, or of all.
type histories struct{ bySecond, byMinute, byHour history }

func newHistoriesOf() *histories {
	h := new(histories)
	h.bySecond, h.byMinute, h.byHour = newHistories()
	return h
}

func (h *histories) each() [3]*history { return [3]*history{&h.bySecond, &h.byMinute, &h.byHour} }

func (h *histories) add(s *sum) {
	for _, each := range h.each() {
		each.open.add(s)
	}
}

func (h *histories) advance(second int64) {
	for _, each := range h.each() {
		each.advance(second)
	}
}

func (h *histories) octets() int {
	octets := networkOctets
	for _, each := range h.each() {
		octets += each.octets()
	}
	return octets
}

// empty tells whether nothing is remembered.
func (h *histories) empty() bool {
	for _, each := range h.each() {
		if len(each.blocks) > 0 || each.open.Counts.Total() > 0 {
			return false
		}
	}
	return true
}

// network is what is kept of one network.
type network struct {
	name    string
	tallies atomic.Pointer[map[uint32]*tally]
	mu      sync.Mutex        // held by who changes tallies, or collects what they counted
	before  map[uint32]*tally // of the configuration before
	lists   lists
	gone    bool // it was served, and is not; under Traffic.mu
	past    histories
}

// New makes a Traffic that has seen nothing.
func New(config Config) *Traffic {
	config.Room = cmp.Or(max(config.Room, 0), defaultRoom)
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Changed == nil {
		config.Changed = func() {}
	}
	now := config.Now()
	t := &Traffic{
		config: config, crowded: make(chan struct{}, 1), began: now, looked: now, started: now, earlier: now, all: *newHistoriesOf(),
	}
	t.networks.Store(&map[string]*network{})
	t.sample.Store(1)
	t.spare.left.Store(sharedEntries)
	return t
}

// network is the one of a name, which is made if it is not known.
func (t *Traffic) network(name string) *network {
	if known := (*t.networks.Load())[name]; known != nil {
		return known
	}
	t.adding.Lock()
	defer t.adding.Unlock()
	all := maps.Clone(*t.networks.Load())
	if all[name] == nil {
		all[name] = newNetwork(name)
		t.networks.Store(&all)
	}
	return all[name]
}

func newNetwork(name string) *network {
	n := &network{name: strings.Clone(name), past: *newHistoriesOf()}
	n.tallies.Store(&map[uint32]*tally{})
	return n
}

// Serve says which networks are served from now on. What others were answered is kept as
// long as that of all, but not who asked them for what.
func (t *Traffic) Serve(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look(t.config.Now())
	t.adding.Lock()
	defer t.adding.Unlock()
	all := make(map[string]*network)
	for _, name := range append([]string{""}, names...) {
		n := (*t.networks.Load())[name]
		if n == nil {
			n = newNetwork(name)
		}
		all[n.name], n.gone = n, false
	}
	for name, n := range *t.networks.Load() {
		var counted sum
		n.renew(&counted)
		n.past.advance(t.second)
		n.past.add(&counted)
		t.all.add(&counted)
		if all[name] == nil {
			n.gone = true
			n.lists.drop(&t.spare)
			if !n.past.empty() {
				all[name] = n
			}
		}
	}
	t.networks.Store(&all)
}

// Run looks at what was counted, every second until ctx ends, and once more then, and
// earlier where there is suddenly much. It returns no error.
func (t *Traffic) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			t.Look()
			return nil
		case <-ticker.C:
		case <-t.crowded:
		}
		t.Look()
	}
}

// Look looks at what was counted since it was called last. [Traffic.Run] does it every
// second, and so does whoever wants to know of this very moment.
func (t *Traffic) Look() {
	t.mu.Lock()
	total, passed := t.look(t.config.Now())
	t.mu.Unlock()
	crowded := t.drawn.Swap(0) > samples
	if (passed >= time.Second/2 || crowded) && t.resample(total, max(passed, time.Millisecond)) {
		t.config.Changed()
	}
}

// look puts what was counted into the second in which counting began, and then ends what
// is over. It gives what was counted, in which time.
func (t *Traffic) look(now time.Time) (total uint64, passed time.Duration) {
	passed = now.Sub(t.looked)
	t.looked = now
	second := max(t.second, t.before+int64(now.Sub(t.began)/time.Second))
	for _, n := range *t.networks.Load() {
		var counted sum
		n.collect(&counted)
		if counted.Counts.Total() > 0 {
			n.past.advance(t.second) // it may be new
			n.past.add(&counted)
			t.all.add(&counted)
		}
		n.past.advance(second)
		total += counted.Counts.Total()
	}
	t.all.advance(second)
	if second/60 > t.second/60 {
		t.shorten()
	}
	if second/3600 > t.second/3600 {
		t.turn(now)
	}
	t.second = second
	return total, passed
}

// shorten forgets what there is no room for, the oldest of each network first, and
// networks of which nothing is known any more.
func (t *Traffic) shorten() {
	t.adding.Lock()
	defer t.adding.Unlock()
	kept := maps.Clone(*t.networks.Load())
	maps.DeleteFunc(kept, func(_ string, n *network) bool { return n.gone && n.past.empty() })
	t.networks.Store(&kept)
	for t.octets() > t.config.Room {
		shortened := false
		for _, n := range kept {
			shortened = n.past.byHour.shorten() || shortened
			shortened = n.past.byMinute.shorten() || shortened
		}
		if !shortened {
			return
		}
	}
}

// Octets is the memory that all histories take, about.
func (t *Traffic) Octets() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.octets()
}

func (t *Traffic) octets() int {
	octets := t.all.octets()
	for _, n := range *t.networks.Load() {
		octets += n.past.octets()
	}
	return octets
}

// turn begins the lists of the next hour.
func (t *Traffic) turn(now time.Time) {
	t.earlier, t.started = t.started, now
	for _, n := range *t.networks.Load() {
		n.lists.turn(&t.spare)
	}
}

// Names are the networks of which something is known, sorted; the empty one stands for
// clients of none.
func (t *Traffic) Names() []string { return slices.Sorted(maps.Keys(*t.networks.Load())) }

var _ listen.Tap = (*Traffic)(nil)
