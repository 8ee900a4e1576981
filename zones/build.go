package zones

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// Build compiles networks into a table. Of the specifications it keeps the records
// and the packed endpoints, which must not change afterwards. The listeners are the
// local addresses at which queries arrive; none says that they may arrive anywhere.
//
// The error is [Clashes]: everything that keeps the networks from being one table.
func Build(specs []NetworkSpec, listeners ...netip.AddrPort) (*Table, error) {
	table := &Table{
		open: new(prefixes), nobody: new(prefixes),
		ingresses: make(map[Ingress]*prefixes), listeners: make(map[netip.AddrPort]*prefixes),
	}
	names := make(map[string]bool, len(specs))
	for i := range specs {
		names[specs[i].Name] = true
	}
	var clashes Clashes
	for i := range specs {
		network, found := compile(&specs[i])
		network.number = uint32(i)
		table.networks = append(table.networks, network)
		clashes = slices.Concat(clashes, found, table.admit(network, &specs[i], names))
	}
	for i, network := range table.networks {
		if clash, found := table.unmatched(network, &specs[i], listeners); found && !specs[i].LearnsClients {
			clashes = append(clashes, clash)
		}
	}
	if len(clashes) > 0 {
		return nil, clashes
	}
	return table, nil
}

// admit enters the client prefixes of a network at its ingresses. A network without an
// ingress is also behind the path with its name: whoever asks there and is one of its
// clients says only which of the networks that it could belong to is meant. So no
// other network may claim that path.
func (t *Table) admit(network *Network, spec *NetworkSpec, names map[string]bool) (clashes Clashes) {
	ingresses := spec.Ingresses()
	if len(ingresses) == 0 {
		ingresses = []Ingress{{}, {Kind: PathIngress, Path: spec.Name}}
	}
	for _, ingress := range ingresses {
		if ingress.Path != "" && ingress.Path != spec.Name && names[ingress.Path] {
			clashes = append(clashes, Clash{Kind: PathOfAnother, Network: spec.Name, Others: []string{ingress.Path}, Ingress: ingress})
			continue
		}
		behind := t.ingress(ingress)
		for _, prefix := range spec.clients() {
			if other, taken := behind.Get(prefix); taken {
				clashes = append(clashes, Clash{Kind: SameClients, Network: spec.Name, Others: []string{other.name}, Ingress: ingress,
					Prefix: prefix})
				continue
			}
			behind.Insert(prefix, network)
		}
	}
	return clashes
}

// clients are the prefixes of the network's clients: everybody for one that has ingresses
// and names none.
func (s *NetworkSpec) clients() []netip.Prefix {
	if len(s.Clients) > 0 || len(s.Ingresses()) == 0 || s.LearnsClients {
		return s.Clients
	}
	return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
}

// ingress returns the table behind an ingress, made when it is first claimed; the zero Ingress
// stands for none.
func (t *Table) ingress(ingress Ingress) *prefixes {
	t.uses[ingress.Kind] = true
	switch ingress.Kind {
	case NoIngress:
		return t.open
	case ListenerIngress:
		return entered(t.listeners, ingress.Listener)
	}
	return entered(t.ingresses, ingress)
}

func entered[K comparable](ingresses map[K]*prefixes, ingress K) *prefixes {
	if ingresses[ingress] == nil {
		ingresses[ingress] = new(prefixes)
	}
	return ingresses[ingress]
}

// unmatched finds out why no client can match a network.
func (t *Table) unmatched(network *Network, spec *NetworkSpec, listeners []netip.AddrPort) (Clash, bool) {
	clients, ingresses := spec.clients(), spec.Ingresses()
	if len(clients) == 0 {
		return Clash{Kind: NoClients, Network: spec.Name}, true
	}
	if len(ingresses) == 0 {
		ingresses = []Ingress{{}}
	}
	if len(listeners) > 0 && !slices.ContainsFunc(ingresses, func(ingress Ingress) bool { return t.isReached(ingress, listeners) }) {
		return Clash{Kind: NoListener, Network: spec.Name}, true
	}
	rivals := make(map[string]bool)
	for _, ingress := range ingresses {
		for _, prefix := range clients {
			if !covered(t.ingress(ingress), prefix, network, rivals) {
				return Clash{}, false
			}
		}
	}
	return Clash{Kind: Covered, Network: spec.Name, Others: slices.Sorted(maps.Keys(rivals))}, true
}

// isReached reports whether a query that arrives at one of the listeners can be one
// for the networks behind an ingress. An ingress that is claimed by itself counts as open.
func (t *Table) isReached(ingress Ingress, listeners []netip.AddrPort) bool {
	if !ingress.IsZero() && !ingress.Listener.Addr().IsUnspecified() {
		return true
	}
	return slices.ContainsFunc(listeners, func(listener netip.AddrPort) bool {
		candidates, _ := t.behind(Client{Listener: listener})
		return candidates == t.ingress(ingress)
	})
}

// covered reports whether longer prefixes of other networks leave nothing of a prefix,
// and enters whose they are.
func covered(candidates *prefixes, prefix netip.Prefix, network *Network, rivals map[string]bool) bool {
	return Cover(prefix, func(yield func(netip.Prefix) bool) {
		for longer, other := range candidates.Subnets(prefix) {
			if other == network || longer.Bits() == prefix.Bits() {
				continue
			}
			rivals[other.name] = true
			if !yield(longer) {
				return
			}
		}
	})
}

// compiler makes one network of its specification.
type compiler struct {
	*Network
	order   []uint32 // the number in the specification of each mapped endpoint; nil for the same
	clashes Clashes
}

// compile makes one network of its specification.
func compile(spec *NetworkSpec) (*Network, Clashes) {
	mapped, order := spec.mapped().sorted()
	c := compiler{order: order, Network: &Network{
		name:    spec.Name,
		missing: spec.Missing.or(Forward), dns64: spec.DNS64, private: make(map[Name]bool, len(spec.RequirePrivate)),
		mapped: mapped,
		names:  newIndex(2 * mapped.Len()),
		wild:   make(map[Name]ref),
		zones:  make(map[Name]Zone),
		routes: make(map[Name]bool, len(spec.Routes)),
	}}
	for _, suffix := range spec.RequirePrivate {
		c.private[suffix] = true
	}
	for _, suffix := range spec.Routes {
		c.routes[suffix] = true
	}
	for _, zone := range spec.Zones {
		missing := c.missing
		if zone.Copy != "" {
			missing = NXDomain
		}
		c.zones[zone.Name] = Zone{Name: zone.Name, Missing: zone.Missing.or(missing), Copy: zone.Copy}
		c.ownRecords(zone)
	}
	for _, s := range mapped.settings {
		if _, known := c.zones[s.zone]; !known && !s.zone.IsZero() {
			c.zones[s.zone] = Zone{Name: s.zone, Missing: c.missing}
		}
	}
	for i := range mapped.Len() {
		c.ownEndpoint(mapped.At(i))
	}
	if mapped.full {
		c.clashes = append(c.clashes, Clash{Kind: TooMany, Network: spec.Name})
	}
	if len(c.clashes) == 0 {
		c.findAncestors()
		c.reverse = mapped.reversed()
	}
	return c.Network, c.clashes
}

// or is the policy, or the given one where it says nothing.
func (m Missing) or(otherwise Missing) Missing {
	if m == Inherit {
		return otherwise
	}
	return m
}

// ownRecords enters the records of an operator's zone under their names.
func (c *compiler) ownRecords(zone ZoneSpec) {
	byName := make(map[Name][]dns.RR)
	var names []Name // in the order of the specification, for stable clashes
	for _, rr := range zone.Records {
		name := NameOf(rr.Header().Name)
		if byName[name] == nil {
			names = append(names, name)
		}
		byName[name] = append(byName[name], rr)
	}
	for _, name := range names {
		c.own(name, c.other(name, byName[name]))
	}
}

// ownEndpoint enters both names of an endpoint. Two public names may share one private
// name, as a key vault's do, if they agree on what it is.
func (c *compiler) ownEndpoint(endpoint Mapping) {
	addresses := addressRef | ref(endpoint.number)
	if !endpoint.isAlias() {
		c.own(endpoint.Name(), addresses)
		return
	}
	c.own(endpoint.Name(), aliasRef|ref(endpoint.number))
	private := endpoint.Private()
	found := c.ownUnlessOwned(private, addresses)
	switch {
	case found == 0:
	case found.kind() != addressRef:
		c.clash(MappedTwice, private, addresses, found)
	case !c.mapped.At(int(found.number())).agrees(endpoint):
		c.clash(Differing, private, addresses, found)
	}
}

// agrees reports whether two public names of one private name say the same of it.
func (m Mapping) agrees(other Mapping) bool {
	return m.isAlias() && slices.Equal(m.Addresses(), other.Addresses()) && m.settings().alike(other.settings())
}

// own enters what stands at a name.
func (c *compiler) own(name Name, r ref) {
	if found := c.ownUnlessOwned(name, r); found != 0 {
		c.clash(MappedTwice, name, r, found)
	}
}

// clash enters what two refs disagree about.
func (c *compiler) clash(kind ClashKind, name Name, a, b ref) {
	later, first := c.claim(a), c.claim(b)
	if first.Record == nil && first.Endpoint > later.Endpoint {
		later, first = first, later
	}
	if kind == Differing && !c.mapped.At(int(b.number())).isAlias() {
		kind = MappedTwice
	}
	c.clashes = append(c.clashes, Clash{Kind: kind, Network: c.name, Name: name, Later: later, First: first})
}

// claim is what a ref stands for, as the specification has it.
func (c *compiler) claim(r ref) Claim {
	switch {
	case r.kind() == otherRef:
		return Claim{Record: c.others[r.number()].records[0]}
	case c.order != nil:
		return Claim{Endpoint: int(c.order[r.number()])}
	}
	return Claim{Endpoint: int(r.number())}
}

// other enters a name at which no endpoint stands among the others.
func (n *Network) other(name Name, records []dns.RR) ref {
	n.others = append(n.others, other{name, records})
	return otherRef | ref(len(n.others)-1)
}

// ownUnlessOwned enters what stands at a name, unless something does, which it
// returns.
func (n *Network) ownUnlessOwned(name Name, r ref) ref {
	if !name.IsWildcard() {
		return n.enter(name, r)
	}
	parent, _ := name.Parent()
	if found := n.wild[parent]; found != 0 {
		return found
	}
	n.wild[parent] = r
	return 0
}
