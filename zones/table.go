package zones

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// Table says who sees which records. It is immutable: any number of goroutines
// may use it.
type Table struct {
	networks []*Network
	// ingresses holds, for each ingress that a network claims, the networks behind it;
	// open holds those that claim none. A client that comes through a claimed ingress
	// can only ever belong to a network behind that ingress. The listeners stand
	// apart, because every packet has one.
	ingresses map[Ingress]*prefixes
	listeners map[netip.AddrPort]*prefixes
	open      *prefixes
	nobody    *prefixes          // stays empty
	uses      [ingressKinds]bool // whether any network claims an ingress of the kind
}

// prefixes is the longest-prefix table of the networks behind one ingress.
type prefixes = bart.Table[*Network]

// Match is the network of a client, and what decided it.
type Match struct {
	Network *Network
	Prefix  netip.Prefix // the longest client prefix that holds the client
	Ingress Ingress      // what narrowed the candidates; zero when nothing did
}

// NetworkFor finds the network of a client: its ingress narrows the candidates, then
// the longest client prefix wins. It finds none for a client that nobody listed,
// nor for one of which too little is known to tell two networks apart.
func (t *Table) NetworkFor(client Client) (Match, bool) {
	candidates, ingress := t.behind(client)
	known := client.Prefix()
	if !known.IsValid() {
		return Match{}, false
	}
	prefix, network, found := candidates.LookupPrefixLPM(known)
	if !found || ambiguous(candidates, known, network) {
		return Match{Ingress: ingress}, false
	}
	return Match{Network: network, Prefix: prefix, Ingress: ingress}, true
}

// NetworkOf finds the same network as [Table.NetworkFor] and does not say what
// decided it, which makes it quick enough for every packet.
func (t *Table) NetworkOf(client Client) (*Network, bool) {
	if client.Bits != 0 {
		match, found := t.NetworkFor(client)
		return match.Network, found
	}
	candidates, _ := t.behind(client)
	return candidates.Lookup(client.Addr)
}

// ambiguous reports whether a client of which only a prefix is known may belong to
// another network that has a part of that prefix.
func ambiguous(candidates *prefixes, known netip.Prefix, network *Network) bool {
	if known.IsSingleIP() {
		return false
	}
	for _, other := range candidates.Subnets(known) {
		if other != network {
			return true
		}
	}
	return false
}

// behind gives the networks behind the ingress that a query came through: the first
// claimed one of what the client shows, else its listener, the exact address
// before every address with that port, else those without an ingress.
func (t *Table) behind(client Client) (*prefixes, Ingress) {
	if client.Shown != nil {
		if candidates, ingress, decided := t.behindShown(client.Shown); decided {
			return candidates, ingress
		}
	}
	if len(t.listeners) == 0 || !client.Listener.IsValid() {
		return t.open, Ingress{}
	}
	for _, listener := range [...]netip.AddrPort{client.Listener, anyAddress(client.Listener.Port())} {
		if candidates, claimed := t.listeners[listener]; claimed {
			return candidates, Ingress{Kind: ListenerIngress, Listener: listener}
		}
	}
	return t.open, Ingress{}
}

// anyAddress is the one form of "every local address with this port".
func anyAddress(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.IPv6Unspecified(), port)
}

// Networks are all networks, in the order they were given to [Build].
func (t *Table) Networks() []*Network { return t.networks }

// Network finds a network by its name.
func (t *Table) Network(name string) (*Network, bool) {
	for _, network := range t.networks {
		if network.name == name {
			return network, true
		}
	}
	return nil, false
}
