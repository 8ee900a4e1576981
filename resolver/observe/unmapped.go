package observe

import (
	"bytes"
	"cmp"
	"iter"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/zones"
)

// Observer is told of unmapped names. Its method is called by many goroutines at once.
type Observer interface {
	// AnsweredOutside counts an answer to a network that came from outside though
	// somebody has a private endpoint for its name.
	AnsweredOutside(network string)
}

// Unmapped watches for names that should perhaps be mapped and are not, and for mappings
// that nobody asks for: a privatelink name that an upstream answered says that somebody
// has a private endpoint, and that this network uses it over the public Internet. What is
// given again from the reply cache it does not see: a name is seen when it is decided,
// every few seconds.
//
// What it remembers is bounded for each network and for all together, and lives no longer
// than the process: see [ranking] for which names those are. Its methods may be called by
// many goroutines at once.
type Unmapped struct {
	config UnmappedConfig

	mu       sync.Mutex
	networks map[string]*seen
	estimate estimate
	spare    int // names that networks may remember beyond those that each may always
}

// UnmappedConfig says what an [Unmapped] is made of. What is zero is as usual.
type UnmappedConfig struct {
	// Names is how many names of a network are remembered at most. 0 stands for 1,000.
	Names int
	// Private tells whether a name is one that Azure has private endpoints for: others
	// do not count. It is called with names that hold "privatelink" alone. Nil stands for
	// all of them.
	Private func(zones.Name) bool
	// Observer counts; nil is nobody.
	Observer Observer
	// Now is the clock; nil is the real one.
	Now func() time.Time
}

const (
	// defaultNames is how many names of a network are remembered, ownNames how many
	// always, and sharedNames how many all networks have together besides.
	defaultNames = 1000
	ownNames     = 64
	sharedNames  = 64_000
)

// seen is what was seen of one network.
type seen struct {
	unmapped ranking
	asked    map[zones.Name]bool // endpoints that were asked for
}

// UnmappedName is a privatelink name that was answered from outside.
type UnmappedName struct {
	// Private is the privatelink name, and Asked a name that led to it.
	Private, Asked zones.Name
	// Count is how often it was answered, and Clients is how many clients that went to,
	// about.
	Count, Clients int
	First, Last    time.Time
	// Address is an address that was answered; not valid if none was.
	Address netip.Addr
}

// Report is what was seen of one network.
type Report struct {
	Network string
	// Names are its unmapped names, the most frequent first; of equal ones that of the
	// most clients.
	Names []UnmappedName
}

// NewUnmapped makes an Unmapped.
func NewUnmapped(c UnmappedConfig) *Unmapped {
	c.Names = cmp.Or(max(c.Names, 0), defaultNames)
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Unmapped{config: c, networks: make(map[string]*seen), spare: sharedNames, estimate: newEstimate()}
}

// Wants is no more than what is decided.
func (*Unmapped) Wants() listen.Wants { return listen.Wants{} }

// Exchanged records an answer, if it says something of unmapped names or of endpoints.
func (w *Unmapped) Exchanged(e *listen.Exchange) {
	if e.Why != listen.Accepted || e.Remembered {
		return
	}
	a := e.Answer
	if bytes.Contains(a.Wire.Octets(), []byte(privateLink)) { // else there is nothing to look at
		a = a.Unpacked()
	}
	private, unmapped := w.unmappedOf(a)
	if a.Network == "" || !unmapped && a.Endpoint.IsZero() {
		return
	}
	if unmapped && w.config.Observer != nil {
		w.config.Observer.AnsweredOutside(a.Network)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.network(a.Network)
	if !a.Endpoint.IsZero() {
		if !s.asked[a.Endpoint] {
			s.asked[a.Endpoint.Clone()] = true // its text belongs to the table, which a reload lets go
		}
	}
	if unmapped {
		w.count(a.Network, s, private, e)
	}
}

// count counts a name. The lock is held.
func (w *Unmapped) count(network string, s *seen, private zones.Name, e *listen.Exchange) {
	now := w.config.Now()
	name := s.unmapped.known[private]
	if name == nil {
		if name = w.admit(network, s, private); name == nil {
			return
		}
		name.First = now
	}
	name.Count++
	s.unmapped.moved(name)
	name.Asked, name.Last = e.Query.Name, now
	if addr := lastAddress(e.Answer.Unpacked().Records); addr.IsValid() {
		name.Address = addr
	}
	name.clients.add(w.estimate.client(e.Query.Client.Prefix()))
}

// admit takes a name in that is not remembered; nil if there is no room for it, because
// all others come more often.
func (w *Unmapped) admit(network string, s *seen, private zones.Name) *ranked {
	r := &s.unmapped
	switch {
	case len(r.heap) >= w.config.Names:
	case len(r.heap) < ownNames:
		return r.add(private, 0)
	case w.spare > 0:
		w.spare--
		return r.add(private, 0)
	}
	// From here on it is known how often names came that were not let in.
	least := r.heap[0]
	came := w.estimate.add(network, private)
	if came <= least.Count {
		return nil
	}
	w.estimate.atLeast(network, least.Private, least.Count) // for when it comes back
	r.remove(least)
	return r.add(private, min(came-1, math.MaxUint16))
}

// network is what was seen of a network. The lock is held.
func (w *Unmapped) network(name string) *seen {
	s := w.networks[name]
	if s == nil {
		s = &seen{unmapped: newRanking(), asked: make(map[zones.Name]bool)}
		w.networks[name] = s
	}
	return s
}

// privateLink is in a label of every privatelink name.
const privateLink = "privatelink"

// unmappedOf finds the privatelink name that the outside answered: the name asked for,
// or one of its chain. A chain that ends in the network's own data has none.
func (w *Unmapped) unmappedOf(a resolver.Answer) (zones.Name, bool) {
	if a.Source == resolver.FromLocal || a.Source == resolver.FromNowhere || a.Rcode != dns.RcodeSuccess || len(a.Records) == 0 {
		return zones.Name{}, false
	}
	for _, rr := range a.Records {
		if !bytes.Contains([]byte(rr.Header().Name), []byte(privateLink)) {
			continue
		}
		name := zones.NameOf(rr.Header().Name)
		if w.config.Private == nil || w.config.Private(name) {
			return name, true
		}
	}
	return zones.Name{}, false
}

// lastAddress is the address that an answer ends in.
func lastAddress(records []dns.RR) netip.Addr {
	var addr netip.Addr
	for _, rr := range records {
		switch rr := rr.(type) {
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA)
		}
	}
	return addr.Unmap()
}

// Report tells the unmapped names of the networks of a table, in its order.
func (w *Unmapped) Report(table *zones.Table) []Report {
	reports := make([]Report, 0, len(table.Networks()))
	for _, network := range table.Networks() {
		report := Report{Network: network.Name()}
		for _, name := range w.unmapped(network.Name()) {
			// It may be mapped by now.
			if result := network.Lookup(name.Private, dns.TypeA); !result.Owned() {
				report.Names = append(report.Names, name)
			}
		}
		slices.SortFunc(report.Names, func(a, b UnmappedName) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.Clients, a.Clients), a.Private.Compare(b.Private))
		})
		reports = append(reports, report)
	}
	return reports
}

// unmapped are the names of a network as they are now, in no order.
func (w *Unmapped) unmapped(network string) []UnmappedName {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.networks[network]
	if s == nil {
		return nil
	}
	names := make([]UnmappedName, 0, len(s.unmapped.heap))
	for _, name := range s.unmapped.heap {
		name.UnmappedName.Clients = name.clients.count()
		names = append(names, name.UnmappedName)
	}
	return names
}

// atOnce is how many endpoints are looked at before queries have their turn.
const atOnce = 1000

// Unasked goes through the endpoints of a network that nobody has asked for, by name.
func (w *Unmapped) Unasked(network *zones.Network) iter.Seq[zones.Name] {
	return func(yield func(zones.Name) bool) {
		for place := 0; place < network.CountEndpoints(); place += atOnce {
			for _, name := range w.unasked(network, place) {
				if !yield(name) {
					return
				}
			}
		}
	}
}

// unasked looks at some endpoints from a place on.
func (w *Unmapped) unasked(network *zones.Network, place int) []zones.Name {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.networks[network.Name()]
	var names []zones.Name
	for end := min(place+atOnce, network.CountEndpoints()); place < end; place++ {
		if name := network.Endpoint(place).Name(); s == nil || !s.asked[name] {
			names = append(names, name)
		}
	}
	return names
}
