package observe

import (
	"bytes"
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/zones"
)

// defaultNames is how many names of a network are remembered.
const defaultNames = 1000

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
// What it remembers is bounded for each network, and lives no longer than the process.
// Its methods may be called by many goroutines at once.
type Unmapped struct {
	names    int
	observer Observer // nil is nobody
	now      func() time.Time

	mu       sync.Mutex
	networks map[string]*seen
}

// seen is what was seen of one network.
type seen struct {
	unmapped *simplelru.LRU[zones.Name, *UnmappedName] // by private name
	asked    map[zones.Name]bool                       // endpoints that were asked for
}

// UnmappedName is a privatelink name that was answered from outside.
type UnmappedName struct {
	// Private is the privatelink name, and Asked a name that led to it.
	Private, Asked zones.Name
	Count          int
	First, Last    time.Time
	// Address is an address that was answered; not valid if none was.
	Address netip.Addr
}

// Report is what was seen of one network.
type Report struct {
	Network string
	// Names are its unmapped names, the most frequent first.
	Names []UnmappedName
}

// NewUnmapped makes an Unmapped that remembers so many names for each network; 0
// stands for 1,000. The observer may be nil.
func NewUnmapped(names int, observer Observer) *Unmapped {
	return &Unmapped{names: cmp.Or(max(names, 0), defaultNames), observer: observer, now: time.Now, networks: make(map[string]*seen)}
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
	private, unmapped := unmappedOf(a)
	if a.Network == "" || !unmapped && a.Endpoint.IsZero() {
		return
	}
	if unmapped && w.observer != nil {
		w.observer.AnsweredOutside(a.Network)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.network(a.Network)
	if !a.Endpoint.IsZero() {
		if !s.asked[a.Endpoint] {
			s.asked[a.Endpoint.Clone()] = true // its text belongs to the table, which a reload lets go
		}
	}
	if !unmapped {
		return
	}
	name, known := s.unmapped.Get(private)
	if !known {
		name = &UnmappedName{Private: private, First: w.now()}
		s.unmapped.Add(private, name)
	}
	name.Asked, name.Last = e.Query.Name, w.now()
	name.Count++
	if addr := lastAddress(a.Records); addr.IsValid() {
		name.Address = addr
	}
}

// network is what was seen of a network. The lock is held.
func (w *Unmapped) network(name string) *seen {
	s := w.networks[name]
	if s == nil {
		// The only error is a size that is not positive.
		names, _ := simplelru.NewLRU[zones.Name, *UnmappedName](w.names, nil)
		s = &seen{unmapped: names, asked: make(map[zones.Name]bool)}
		w.networks[name] = s
	}
	return s
}

// privateLink is in a label of every privatelink name.
const privateLink = "privatelink"

// unmappedOf finds the privatelink name that the outside answered: the name asked for,
// or one of its chain. A chain that ends in the network's own data has none.
func unmappedOf(a resolver.Answer) (zones.Name, bool) {
	if a.Source == resolver.FromLocal || a.Source == resolver.FromNowhere || a.Rcode != dns.RcodeSuccess || len(a.Records) == 0 {
		return zones.Name{}, false
	}
	for _, rr := range a.Records {
		if strings.Contains(rr.Header().Name, privateLink) {
			return zones.NameOf(rr.Header().Name), true
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
			return cmp.Or(cmp.Compare(b.Count, a.Count), a.Private.Compare(b.Private))
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
	names := make([]UnmappedName, 0, s.unmapped.Len())
	for _, name := range s.unmapped.Values() {
		names = append(names, *name)
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
