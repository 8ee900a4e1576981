package azureimport

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// Mapping is one endpoint of a table.
type Mapping struct {
	Name zones.Name
	// Private is the private name, where the catalogue cannot derive it from Name;
	// zero otherwise.
	Private   zones.Name
	Addresses []netip.Addr // different, IPv4 first, in order
	Source    string       // the resource that it is of, as it stands in comments

	id    identity
	where string // the source in messages
}

// Network is a table of mappings, sorted by name.
type Network struct {
	Name     string // of a VNet or subnet; empty when the export is not split
	Mappings []Mapping
}

// Networks puts everything that was read together, and into networks. The error
// names every name that has two addresses in one network from two sources.
func (e *Export) Networks(split Split) ([]Network, error) {
	e.join()
	names := e.networkNames(split)
	drafts := make(map[string]*draft)
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(e.endpoints)) {
		p := e.endpoints[key]
		name, placed := names[placeOf(p, split)]
		mappings := e.settle(p)
		if !placed && len(mappings) > 0 {
			e.note("%s: the export does not tell its subnet: left out", p.label)
		}
		if !placed || len(mappings) == 0 {
			continue
		}
		if drafts[name] == nil {
			drafts[name] = newDraft(name)
		}
		for _, m := range mappings {
			faults = append(faults, drafts[name].add(m))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	networks := make([]Network, 0, len(drafts))
	for _, name := range slices.Sorted(maps.Keys(drafts)) {
		networks = append(networks, Network{Name: name, Mappings: drafts[name].sorted()})
	}
	return networks, nil
}

// draft is a network in the making.
type draft struct {
	network string
	byName  map[zones.Name]Mapping
	byID    map[identity]Mapping
}

func newDraft(network string) *draft {
	return &draft{network: network, byName: make(map[zones.Name]Mapping), byID: make(map[identity]Mapping)}
}

// add adds a mapping. Two names may come down to one private name, and two sources
// may tell one name, if they agree on the addresses.
func (d *draft) add(m Mapping) error {
	other, known := d.byID[m.id]
	if !known {
		other, known = d.byName[m.Name]
	}
	switch {
	case !known:
		d.byID[m.id] = m
	case !slices.Equal(other.Addresses, m.Addresses) || (other.Name == m.Name && other.Private != m.Private):
		in := ""
		if d.network != "" {
			in = " in network " + d.network
		}
		return fmt.Errorf("%s has two addresses%s: %s (%s) and %s (%s): export only one of the two, or split the export by VNet or subnet",
			m.Name, in, spell(other.Addresses), other.where, spell(m.Addresses), m.where)
	}
	if _, twice := d.byName[m.Name]; !twice {
		d.byName[m.Name] = m
	}
	return nil
}

func (d *draft) sorted() []Mapping {
	return slices.SortedFunc(maps.Values(d.byName), func(a, b Mapping) int { return a.Name.Compare(b.Name) })
}

// join brings together what is told of one endpoint in several places: a network
// interface that only the endpoint names, a record that an endpoint's zone group
// wrote, an alias and its target.
func (e *Export) join() {
	for nic, owner := range e.nics {
		p := e.endpoints[nic]
		if p == nil || p.isPE {
			continue
		}
		to := e.endpoints[strings.ToLower(owner)]
		to.take(p, byNIC)
		to.addLoose(p.loose...)
		to.subnet = cmp.Or(to.subnet, p.subnet)
		delete(e.endpoints, nic)
	}
	e.followAliases()
	owners := make(map[string][]*endpoint) // by name
	for _, p := range e.endpoints {
		if p.isPE {
			name := strings.ToLower(part(p.id, "privateEndpoints"))
			owners[name] = append(owners[name], p)
		}
	}
	for key, p := range e.endpoints {
		if owner := owners[strings.ToLower(p.creator)]; p.creator != "" && len(owner) == 1 {
			owner[0].take(p, byGroup)
			delete(e.endpoints, key)
		}
	}
}

// take moves the facts of another source here.
func (p *endpoint) take(other *endpoint, by trust) {
	for _, f := range other.facts[by] {
		if !slices.Contains(p.facts[by], f) {
			p.facts[by] = append(p.facts[by], f)
		}
	}
}

// maxAliases is how many aliases in a row are followed.
const maxAliases = 8

// followAliases gives every alias the addresses of the name that it leads to.
func (e *Export) followAliases() {
	if len(e.aliases) == 0 {
		return
	}
	addrs := make(map[zones.Name][]netip.Addr)
	for _, p := range e.endpoints {
		for _, facts := range p.facts {
			for _, f := range facts {
				addrs[f.name] = union(addrs[f.name], f.addr)
				if n, ok := nameFrom(e.catalogue, f.name); ok {
					addrs[n.id] = union(addrs[n.id], f.addr)
				}
			}
		}
	}
	targets := make(map[zones.Name]zones.Name)
	for _, a := range e.aliases {
		targets[a.name] = a.target
	}
	for _, a := range e.aliases {
		at := a.name
		for range maxAliases {
			if next, is := targets[at]; is {
				at = next
			}
		}
		if len(addrs[at]) == 0 {
			e.note("%s is an alias of %s, which the export gives no address for: left out", a.name, a.target)
		}
		for _, addr := range addrs[at] {
			e.say(a.source, byGroup, a.name.String(), addr)
		}
	}
	e.aliases = nil
}

// settle decides what the mappings of one source are.
func (e *Export) settle(p *endpoint) []Mapping {
	if status := p.status(); status != statusApproved {
		if status != statusPending || !e.options.Pending {
			hint := ""
			if status == statusPending {
				hint = "; --include-pending takes it"
			}
			e.note("%s: its connection is %s, not Approved: left out%s", p.label, plain(status), hint)
			return nil
		}
	}
	if p.id != "" && !p.isPE {
		e.note("endpoints of which only the network interface or the DNS zone group is exported are taken as approved")
	}
	names := newClaims(e, p)
	names.take(byNIC)
	names.take(byGroup)
	if names.none() {
		names.take(byCustom)
	}
	if names.none() {
		names.derive()
	}
	names.pair()
	return names.mappings()
}

// The states of a connection that matter.
const (
	statusApproved = "Approved"
	statusPending  = "Pending"
)

// status is the state of the endpoint's connections: Approved when one of them is,
// or the export does not tell.
func (p *endpoint) status() string {
	status := ""
	for _, l := range p.links {
		switch {
		case l.status == "" || strings.EqualFold(l.status, statusApproved):
			return statusApproved
		case strings.EqualFold(l.status, statusPending):
			status = statusPending
		case status == "":
			status = l.status
		}
	}
	return cmp.Or(status, statusApproved)
}
