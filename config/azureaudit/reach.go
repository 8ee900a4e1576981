package azureaudit

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"pldns/config/azurediscovery"
	"pldns/config/azureimport"
)

// Listed is a source of a live Azure, as it was listed for an audit.
type Listed struct {
	Source  string                  // what reports call it, such as azure.corp
	Scopes  []string                // the subscriptions and management groups that it was asked for
	Listing *azurediscovery.Listing // nil where it could not be listed
	Err     error                   // why not
}

// Reach is how far a listing of a live Azure goes. Azure leaves out what an identity may
// not read without a word, so that a subscription is known to be unread only by what
// leads there.
type Reach struct {
	failed []string                  // sources that could not be listed, and why
	read   map[string]bool           // subscriptions, by id in lower case
	unread map[string]string         // those that something leads to, and what does
	spaces map[string][]netip.Prefix // of VNets that were read, by id in lower case
	others []netip.Prefix            // of VNets that are peered with these, and were not read
	nics   map[string]bool           // subscriptions of which an endpoint's interface was read
}

// Inventory is what listings hold together, and how far they go.
func Inventory(all []Listed) (azureimport.Inventory, *Reach) {
	r := &Reach{
		read: make(map[string]bool), unread: make(map[string]string), spaces: make(map[string][]netip.Prefix), nics: make(map[string]bool),
	}
	var listings []*azurediscovery.Listing
	for _, l := range all {
		if l.Listing == nil {
			r.failed = append(r.failed, fmt.Sprintf("%s was not listed: %v", l.Source, l.Err))
			continue
		}
		listings = append(listings, l.Listing)
		for id := range l.Listing.Subscriptions {
			r.read[id] = true
		}
	}
	for _, l := range all {
		for _, scope := range l.Scopes {
			r.leads(scope, "the scopes of "+l.Source)
		}
	}
	for _, l := range listings {
		for id, v := range l.VNets() {
			r.spaces[id] = v.Prefixes
		}
	}
	inventory := azurediscovery.Inventory(listings...)
	r.follow(listings, inventory)
	return inventory, r
}

// Whole tells whether every source was listed. Of nothing live, it is true.
func (r *Reach) Whole() bool { return r == nil || len(r.failed) == 0 }

// follow finds subscriptions that were not read by what leads there.
func (r *Reach) follow(listings []*azurediscovery.Listing, inventory azureimport.Inventory) {
	for _, l := range listings {
		vnets := l.VNets()
		for _, id := range slices.Sorted(maps.Keys(vnets)) {
			for _, peer := range vnets[id].Peers {
				r.leads(peer.ID, "a peering of the VNet "+lastPart(id))
				if _, known := r.spaces[peer.ID]; !known {
					r.others = append(r.others, peer.Prefixes...)
				}
			}
		}
	}
	for _, l := range inventory.Links {
		r.leads(l.VNetID, "a link of the zone "+azureimport.ZoneName(l.ZoneID))
	}
	for _, p := range inventory.Endpoints {
		r.leads(p.SubnetID, "the subnet of the endpoint "+lastPart(p.ID))
	}
	for _, n := range inventory.Interfaces {
		r.nics[azurediscovery.SubscriptionOf(n.ID)] = true
	}
}

// leads notes that something leads to a resource.
func (r *Reach) leads(id, what string) {
	subscription := azurediscovery.SubscriptionOf(id)
	if subscription == "" || r.read[subscription] {
		return
	}
	if _, known := r.unread[subscription]; !known {
		r.unread[subscription] = what
	}
}

// covers tells whether an endpoint that has an address would have been read: the address
// lies in a VNet, and an endpoint is in the subscription of its VNet.
func (r *Reach) covers(addr netip.Addr) bool {
	contains := func(prefix netip.Prefix) bool { return prefix.Contains(addr) }
	if slices.ContainsFunc(r.others, contains) {
		return false
	}
	for id, prefixes := range r.spaces {
		if slices.ContainsFunc(prefixes, contains) && r.nics[azurediscovery.SubscriptionOf(id)] {
			return true
		}
	}
	return false
}

// withheld is what a listing lacks and nobody is told of, because it may stand where
// nothing was read.
type withheld struct {
	unrecorded, unlinked, uncompared, unknown []string
}

// readReach tells how far a listing goes.
func (a *auditor) readReach() {
	r := a.options.Reach
	if r == nil {
		return
	}
	a.notes = append(a.notes, r.failed...)
	for _, id := range slices.Sorted(maps.Keys(r.unread)) {
		a.note("subscription %s is not among those that were read, and %s leads there: what lies in it is not known "+
			"(give the identity the role Reader on it)", id, r.unread[id])
	}
	unread := slices.ContainsFunc(a.inventory.Gaps, func(gap azureimport.Gap) bool { return gap.Reason == azureimport.Unknown })
	if len(r.failed) > 0 || unread {
		a.partial = true
		a.note("the listing is not whole: what it lacks is not reported")
	}
	var bare []string
	for _, p := range a.endpoints {
		if p.seen && p.works() && len(p.addrs) == 0 && len(a.inventory.Interfaces) > 0 {
			bare = append(bare, lastPart(p.ID))
		}
	}
	if len(bare) > 0 {
		a.note("no network interface was read of %s: their names and addresses were not looked at "+
			"(the identity needs Microsoft.Network/networkInterfaces/read)", some(bare))
	}
}

// mayBeRecorded tells whether a name that no zone has may stand in one that was not read:
// in a subscription that was not, or where the zone group of its endpoint writes. An
// endpoint tells names of its own only while it has no such group.
func (a *auditor) mayBeRecorded(n *named) bool {
	if a.options.Reach == nil {
		return false
	}
	grouped := func(l located) bool { return l.endpoint.works() && len(l.endpoint.Names) == 0 }
	return len(a.options.Reach.unread) > 0 || slices.ContainsFunc(n.at, grouped) ||
		!slices.ContainsFunc(a.zones, func(z *zone) bool { return z.name == n.zone })
}

// mayBeLinked tells whether a VNet that is linked to no zone of a name may be linked to
// one that was not read.
func (a *auditor) mayBeLinked(n *named) bool {
	return a.options.Reach != nil && (len(a.options.Reach.unread) > 0 || !a.isRecorded(n))
}

// nobodyHas tells whether addresses of a record are surely those of no endpoint.
func (a *auditor) nobodyHas(r *record, addrs []netip.Addr) bool {
	if a.options.Reach == nil {
		return true
	}
	outside := slices.DeleteFunc(slices.Clone(addrs), a.options.Reach.covers)
	if len(outside) > 0 {
		a.withheld.unknown = append(a.withheld.unknown, fmt.Sprintf("%s (%s)", r.name, spell(outside)))
	}
	return len(outside) == 0
}

// tellWithheld notes what was not reported.
func (a *auditor) tellWithheld() {
	for _, kind := range []struct {
		what  []string
		about string
	}{
		{a.withheld.unrecorded, "whether a zone has a record was not looked at, because none that was read is theirs: %s"},
		{a.withheld.unlinked, "whether a VNet has a link was not looked at, because not every zone of the name was read: %s"},
		{a.withheld.unknown, "whether somebody has their addresses was not looked at, because these lie in no VNet that was read: %s"},
		{a.withheld.uncompared, "what Azure DNS says of them is not known, because not every zone of the name was read: %s"},
	} {
		if len(kind.what) > 0 {
			slices.Sort(kind.what)
			a.note(kind.about, some(slices.Compact(kind.what)))
		}
	}
}
