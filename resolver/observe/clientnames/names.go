// Package clientnames knows what clients are called, for people who read logs and pages:
// from hosts files, from the leases of DHCP servers, and by reverse look-ups. Nothing
// depends on it that is answered. Names are what clients call themselves, or what others
// call them: they prove nothing.
package clientnames

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Config says where names come from.
type Config struct {
	// Files are hosts files, and leases of dnsmasq, ISC DHCP and Kea, by the network that
	// they hold for; those of the empty name hold for all, where the network's own say
	// nothing.
	Files map[string][]string
	// Open opens a file of at most so many octets, and says how many it has. It must not be
	// nil where there are Files.
	Open func(path string, most int64) (file *os.File, size int64, err error)
	// Reverse looks an address up, as the network of the client does, and gives its name,
	// empty for none, and for how long that holds. Nil looks nothing up.
	Reverse func(ctx context.Context, network string, client netip.Addr) (name string, ttl time.Duration)
	// Log is told of files that cannot be read. Nil discards.
	Log *slog.Logger
}

// The bounds of what is remembered, and of what is asked.
const (
	maxAsked   = 10_000 // clients that were looked up
	maxQueued  = 256    // clients that wait for that
	lookers    = 4      // look-ups at a time
	perSecond  = 50     // look-ups
	lookUpTime = 5 * time.Second
	leastTTL   = time.Minute // so that a client is not looked up for each query
	mostTTL    = time.Hour   // so that a name does not outlive its lease by much
	noneTTL    = 10 * time.Minute
	fileTime   = 5 * time.Second // between two looks at the files
)

// Names are what clients are called. Run it; [Names.Of] may be called by any number of
// goroutines, before, while and after it runs.
type Names struct {
	config Config
	files  atomic.Pointer[map[string]map[netip.Addr]string] // by network
	asked  *lru.Cache[client, answer]                       // nil where nothing is looked up
	mu     sync.Mutex                                       // held while a client is queued
	queue  chan client
	pace   *rate.Limiter   // of look-ups: clients may be many, and forged
	seen   map[string]seen // the files as they were read, for Run alone
}

// client is an address in a network: another one may have the same.
type client struct {
	network string
	addr    netip.Addr
}

// answer is what a client is called, until a time. While it is looked up, that is what
// it was called before.
type answer struct {
	name  string
	until time.Time
}

// New reads the files. What cannot be read is told to the log, and read when it can be.
func New(c Config) *Names {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	n := &Names{config: c, queue: make(chan client, maxQueued), pace: rate.NewLimiter(perSecond, lookers), seen: make(map[string]seen)}
	if c.Reverse != nil {
		n.asked, _ = lru.New[client, answer](maxAsked) // the error is that of a size below 1
	}
	n.read()
	return n
}

// Of is what a client of a network is called; empty where that is not known, or not yet. It
// does not wait.
func (n *Names) Of(network string, addr netip.Addr) string {
	if n == nil || !addr.IsValid() {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	files := *n.files.Load()
	for _, of := range [...]string{network, ""} {
		if name := files[of][addr]; name != "" {
			return name
		}
	}
	if n.asked == nil {
		return ""
	}
	who := client{network, addr}
	known, found := n.asked.Get(who)
	if !found || time.Now().After(known.until) {
		n.enqueue(who, known.name)
	}
	return known.name
}

// enqueue has a client looked up, once; where many wait, the next time it is seen.
func (n *Names) enqueue(who client, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, found := n.asked.Peek(who); found && time.Now().Before(known.until) {
		return // somebody else was faster
	}
	select {
	case n.queue <- who:
		n.asked.Add(who, answer{name, time.Now().Add(leastTTL)})
	default:
	}
}

// Run keeps the names up to date until ctx ends. The error is always nil.
func (n *Names) Run(ctx context.Context) error {
	var group sync.WaitGroup
	if n.asked != nil {
		for range lookers {
			group.Go(func() { n.lookUp(ctx) })
		}
	}
	tick := time.NewTicker(fileTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			group.Wait()
			return nil
		case <-tick.C:
			n.read()
		}
	}
}

// lookUp looks clients up, one after the other.
func (n *Names) lookUp(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case who := <-n.queue:
			if n.pace.Wait(ctx) != nil {
				return
			}
			limited, cancel := context.WithTimeout(ctx, lookUpTime)
			name, ttl := n.config.Reverse(limited, who.network, who.addr)
			cancel()
			if name = fit(name); name == "" {
				ttl = noneTTL
			}
			n.asked.Add(who, answer{name, time.Now().Add(min(max(ttl, leastTTL), mostTTL))})
		}
	}
}
