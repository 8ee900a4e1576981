package azureimport

import (
	"cmp"
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
	Private zones.Name
	// Addresses are different, IPv4 first, in order; of two endpoints of one
	// resource, in the order that was asked for.
	Addresses []netip.Addr
	Source    string // the resource that it is of, as it stands in comments

	id    identity
	by    trust
	of    *source
	zones []string // ids of the private zones that hold it, where that is told
	more  []string // ids of the other endpoints whose addresses it has
}

// Resources are the ids of what tells the mapping, the first one first: private
// endpoints, or a record set.
func (m Mapping) Resources() []string { return append([]string{m.of.id}, m.more...) }

// Network is a table of mappings, sorted by name.
type Network struct {
	Name     string // of a VNet or subnet; empty when the export is not split
	Mappings []Mapping
}

// Layout is how mappings are put into networks.
type Layout struct {
	Split Split
	// Names are the networks of VNets or subnets, by the id of these, by their name,
	// or for a subnet by both names with a slash between them. Others are named
	// after themselves.
	Names map[string]string
	// Both takes the addresses of two endpoints that lead to one resource. Without
	// it, they are a conflict.
	Both bool
	// Any does so whatever the endpoints lead to.
	Any bool
	// Unchecked takes mappings as they are, for who makes endpoints of them and not a
	// file.
	Unchecked bool
	// Prefer are regions: with Both or Any, the endpoints there come first, in this
	// order.
	Prefer []string
}

// Result is what an export comes to.
type Result struct {
	Networks  []Network // sorted by name
	Conflicts []Conflict
	// Gaps are what is left out, and what the files lack. They are in a stable order.
	Gaps []Gap
	// Notes are what the operator should know besides, in a stable order.
	Notes []string

	read  int
	scope scope
}

// Taken is how many mappings there are in all networks.
func (r *Result) Taken() int {
	taken := 0
	for _, network := range r.Networks {
		taken += len(network.Mappings)
	}
	return taken
}

// Read tells whether the files held anything at all.
func (r *Result) Read() bool { return r.read > 0 }

// Networks decides what the export means, and puts it into networks.
func (e *Export) Networks(l Layout) *Result {
	d := e.decide()
	places := d.placesOf(l)
	drafts := make(map[string]*draft)
	for _, key := range slices.Sorted(maps.Keys(d.sources)) {
		p := d.sources[key]
		for _, m := range d.accept(p) {
			for _, network := range places.networks(p, m) {
				if drafts[network] == nil {
					drafts[network] = &draft{decision: d, layout: l, network: network, byID: make(map[identity][]Mapping)}
				}
				drafts[network].byID[m.id] = append(drafts[network].byID[m.id], m)
			}
		}
	}
	places.unused()
	result := &Result{read: e.read, scope: e.scope()}
	for _, name := range slices.Sorted(maps.Keys(drafts)) {
		at := drafts[name]
		mappings := at.resolve()
		result.Conflicts = append(result.Conflicts, at.conflicts...)
		if !l.Unchecked {
			mappings = d.checked(name, mappings)
		}
		if len(mappings) > 0 {
			result.Networks = append(result.Networks, Network{Name: name, Mappings: mappings})
		}
	}
	result.Gaps, result.Notes = d.said()
	return result
}

// said are the gaps and the notes, in a stable order.
func (d *decision) said() ([]Gap, []string) {
	slices.SortStableFunc(d.gaps.list, func(a, b Gap) int { return cmp.Compare(a.Text, b.Text) })
	slices.Sort(d.notes.list)
	return d.gaps.list, d.notes.list
}

// accept are the mappings of a source that counts. One that does not is a gap.
func (d *decision) accept(p *source) []Mapping {
	c := d.settle(p)
	if reason, text := d.stateOf(p); reason != "" {
		names := c.names()
		for _, n := range d.targets(p) {
			names = addTo(names, n.name, n.id)
		}
		d.leave(Gap{Reason: reason, Resource: p.id, File: p.file, Names: names}, "%s: %s", p.label, text)
		for _, at := range c.byName {
			d.dead[at.id] = deadName{reason, p.label, union(d.dead[at.id].addrs, at.addrs...)}
		}
		return nil
	}
	c.finish()
	return slices.DeleteFunc(c.mappings(), d.isDead)
}

// deadName is a name of endpoints that are left out for their state.
type deadName struct {
	reason Reason
	label  string // of one of them
	addrs  []netip.Addr
}

// isDead tells whether a record leads to an endpoint that is left out: the record
// stays in the zone, and the endpoint does not work. Endpoints are decided about
// before records, since their ids come first in the order of keys.
func (d *decision) isDead(m Mapping) bool {
	dead, is := d.dead[m.id]
	if !is || !m.of.isRecord || slices.ContainsFunc(m.Addresses, func(a netip.Addr) bool { return !slices.Contains(dead.addrs, a) }) {
		return false
	}
	d.leave(Gap{Reason: dead.reason, Resource: m.of.id, File: m.of.file, Names: []zones.Name{m.Name, m.id}},
		"%s: %s leads to %s, which is left out: left out, too", m.Source, m.Name, dead.label)
	return true
}

// The states of a connection that matter.
const (
	statusApproved = "approved"
	statusPending  = "pending"
	statusRejected = "rejected"
)

// stateOf says why a source does not count; empty when it does.
func (d *decision) stateOf(p *source) (Reason, string) {
	switch {
	case p.isRecord:
		return "", ""
	case !p.isPE && d.e.options.AssumeApproved:
		return "", ""
	case !p.isPE:
		return NotSeen, "its private endpoint is in no file of the export, so that nothing tells whether it is approved: left out; " +
			"export the endpoints too (az network private-endpoint list), or take it with --assume-approved"
	}
	switch strings.ToLower(p.endpoint.Provisioning) {
	case "deleting":
		return Deleting, "it is being deleted: left out"
	case "failed":
		return Failed, "its provisioning state is Failed: left out; update it in Azure, or map it by hand"
	}
	switch status := p.endpoint.status(); strings.ToLower(status) {
	case statusApproved:
		return "", ""
	case statusPending:
		if d.e.options.Pending {
			d.notes.add("%s: its connection is Pending, and is taken as if it were approved", p.label)
			return "", ""
		}
		return Pending, "its connection is Pending, not Approved: left out; --include-pending takes it"
	case statusRejected:
		return Rejected, "its connection is Rejected, not Approved: left out"
	default:
		return Disconnected, "its connection is " + plain(status) + ", not Approved: left out"
	}
}

// status is the state of the endpoint's connections: Approved when one of them is,
// or the export does not tell.
func (p *PrivateEndpoint) status() string {
	status := ""
	for _, c := range p.Connections {
		switch {
		case c.Status == "" || strings.EqualFold(c.Status, statusApproved):
			return statusApproved
		case strings.EqualFold(c.Status, statusPending):
			status = statusPending
		case status == "":
			status = c.Status
		}
	}
	return cmp.Or(status, statusApproved)
}
