package zones

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// Table says who sees which records. It is immutable: any number of goroutines
// may use it.
type Table struct {
	networks []*Network
	// doors holds, for each listener that a network claims, the networks behind
	// it; open holds those that claim none. A client that comes through a claimed
	// door can only ever belong to a network behind that door.
	doors map[netip.AddrPort]*prefixes
	open  *prefixes
}

// prefixes is the longest-prefix table of the networks behind one door.
type prefixes = bart.Table[*Network]

// Match is the network of a client, and what decided it.
type Match struct {
	Network *Network
	Prefix  netip.Prefix   // the longest client prefix that holds the client
	Door    netip.AddrPort // the listener that narrowed the candidates; zero when none did
}

// NetworkFor finds the network of a client: its door narrows the candidates, then
// the longest client prefix wins. It finds none for a client that nobody listed.
func (t *Table) NetworkFor(client Client) (Match, bool) {
	candidates, door := t.behind(client.Listener)
	if !client.Addr.IsValid() {
		return Match{}, false
	}
	prefix, network, found := candidates.LookupPrefixLPM(netip.PrefixFrom(client.Addr, client.Addr.BitLen()))
	if !found {
		return Match{Door: door}, false
	}
	return Match{Network: network, Prefix: prefix, Door: door}, true
}

// NetworkOf finds the same network as [Table.NetworkFor] and does not say what
// decided it, which makes it quick enough for every packet.
func (t *Table) NetworkOf(client Client) (*Network, bool) {
	candidates, _ := t.behind(client.Listener)
	return candidates.Lookup(client.Addr)
}

// behind gives the networks behind the door that a query came through: the exact
// address, else every address with that port, else those without a door.
func (t *Table) behind(listener netip.AddrPort) (*prefixes, netip.AddrPort) {
	if len(t.doors) == 0 || !listener.IsValid() {
		return t.open, netip.AddrPort{}
	}
	for _, door := range [...]netip.AddrPort{listener, anyAddress(listener.Port())} {
		if candidates, claimed := t.doors[door]; claimed {
			return candidates, door
		}
	}
	return t.open, netip.AddrPort{}
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
