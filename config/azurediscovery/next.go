package azurediscovery

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"pldns/config/azureimport"
)

const (
	// needed is how many complete listings in a row must lack something for it to go.
	needed = 2
	// usualRemovals and usualPart are how much may go at once without being accepted:
	// 20, and one in ten. One removal is never too many.
	usualRemovals = 20
	usualPart     = 10
)

// Loss is something that networks would no longer be served.
type Loss struct {
	Network  string `json:"network"`
	What     string `json:"what"` // a name or a prefix
	Resource string `json:"resource"`
}

// Losses tells what networks see of one listing and not of another, and how many
// resources stand behind all that they see of the first.
type Losses func(before, after *Listing) (lost []Loss, of int)

// Next is what counts after a complete listing. What the listing lacks is kept as the
// rules say; what it adds or changes counts at once. The second result tells whether
// anything differs but times.
func (l *Listing) Next(fresh *Listing, losses Losses) (next *Listing, changed bool) {
	next = &Listing{Taken: fresh.Taken, Subscriptions: maps.Clone(fresh.Subscriptions), Rows: maps.Clone(fresh.Rows), Unread: fresh.Unread}
	gone := l.goneSubscriptions(next)
	var leaving, held []*Row
	interfaces := sync.OnceValue(l.interfacesOf)
	for id, old := range l.Rows {
		row := fresh.Rows[id]
		if row == old {
			continue
		}
		why := old.lostIn(row)
		if why == "" {
			next.Rows[id] = row.after(old)
			continue
		}
		kept := *old
		kept.Why, kept.Held = why, false
		if kept.Seen.IsZero() {
			kept.Seen = l.Taken
		}
		next.Rows[id] = &kept
		switch {
		case gone[SubscriptionOf(old.ID)] != nil:
			kept.Why = "its subscription is not listed any more"
		case fresh.Unread[id] != "":
			kept.Why = "it cannot be read: " + fresh.Unread[id]
		case row == nil && fresh.hasPartner(old, interfaces):
			kept.Why = "only a part of it is not listed any more"
		default:
			kept.Missed++
			if old.Held {
				held = append(held, &kept)
			} else if kept.Missed >= needed {
				leaving = append(leaving, &kept)
			}
		}
	}
	// What was held before is no reason to hold what is usual.
	next.release(leaving, fresh, losses)
	next.release(held, fresh, losses)
	return next, !l.same(next)
}

// goneSubscriptions enters the subscriptions that are there no more, and gives them.
// One that an operator let go of leaves with all that it had.
func (l *Listing) goneSubscriptions(next *Listing) map[string]*Subscription {
	gone := make(map[string]*Subscription)
	for id, old := range l.Subscriptions {
		if next.Subscriptions[id] != nil {
			continue
		}
		kept := *old
		if kept.Gone.IsZero() {
			kept.Gone = next.Taken
		}
		next.Subscriptions[id], gone[id] = &kept, &kept
	}
	return gone
}

// release lets go of what has been missing for long enough: all of it, if that is
// usual; else what an operator has accepted, and the rest is held.
func (l *Listing) release(leaving []*Row, fresh *Listing, losses Losses) {
	if len(leaving) == 0 {
		return
	}
	without := func(rows []*Row) *Listing {
		after := &Listing{Taken: l.Taken, Subscriptions: l.Subscriptions, Rows: maps.Clone(l.Rows)}
		for _, row := range rows {
			id := row.key()
			if now := fresh.Rows[id]; now != nil {
				after.Rows[id] = now.after(row)
			} else {
				delete(after.Rows, id)
			}
		}
		return after
	}
	accepted := slices.DeleteFunc(slices.Clone(leaving), func(r *Row) bool { return !r.Accepted })
	rest := slices.DeleteFunc(slices.Clone(leaving), func(r *Row) bool { return r.Accepted })
	l.Rows = without(accepted).Rows
	after := without(rest)
	if lost, of := losses(l, after); usual(countResources(lost), of) {
		l.Rows = after.Rows
		return
	}
	for _, row := range rest {
		row.Held = true
	}
}

// usual tells whether so many removals at once need nobody's consent.
func usual(lost, of int) bool { return lost <= 1 || lost <= usualRemovals && lost*usualPart <= of }

func countResources(lost []Loss) int {
	ids := make(map[string]bool)
	for _, loss := range lost {
		ids[loss.Resource] = true
	}
	return len(ids)
}

// lostIn says what a listing lacks of a row, by the row that it has, nil for none;
// empty where it lacks nothing.
func (r *Row) lostIn(now *Row) string {
	switch {
	case now == nil:
		return "it is not listed any more"
	case r.Kind == KindEndpoint && r.Endpoint.works() && !now.Endpoint.works():
		return now.Endpoint.state()
	case r.Kind == KindInterface:
		return lostNames(r.Interface.Configurations, now.Interface.Configurations)
	case r.Kind == KindRecord && isEmpty(now.Record) && !isEmpty(r.Record):
		return "it is empty"
	case r.Kind == KindVNet:
		return r.VNet.lostIn(now.VNet)
	case r.Kind == KindGateway:
		return lostPrefix("it", r.Gateway.Pool, now.Gateway.Pool)
	}
	return ""
}

func isEmpty(r *azureimport.Record) bool { return len(r.Addresses) == 0 && r.Target == "" }

// lostNames says what is missing of the addresses of an interface. Another address of a
// name is a change, and counts at once.
func lostNames(before, now []azureimport.IPConfiguration) string {
	names := make(map[string]bool)
	for _, c := range now {
		for _, name := range c.Names {
			names[strings.ToLower(name)] = true
		}
	}
	for _, c := range before {
		for _, name := range c.Names {
			if !names[strings.ToLower(name)] {
				return fmt.Sprintf("it does not have the name %s any more", name)
			}
		}
	}
	if len(now) < len(before) {
		return "it has fewer addresses"
	}
	return ""
}

func (v *VNet) lostIn(now *VNet) string {
	if why := lostPrefix("it", v.Prefixes, now.Prefixes); why != "" {
		return why
	}
	for _, peer := range v.Peers {
		at := slices.IndexFunc(now.Peers, func(other Peer) bool { return other.ID == peer.ID })
		if at < 0 {
			return "it is not peered with " + peer.ID + " any more"
		}
		if why := lostPrefix(peer.ID, peer.Prefixes, now.Peers[at].Prefixes); why != "" {
			return why
		}
	}
	return ""
}

func lostPrefix(who string, before, now []netip.Prefix) string {
	for _, prefix := range before {
		if !slices.Contains(now, prefix) {
			return fmt.Sprintf("%s does not have %s any more", who, prefix)
		}
	}
	return ""
}

// works tells whether clients should be led to the endpoint.
func (p *Endpoint) works() bool { return p.state() == "" }

// state says why clients are not led to the endpoint; empty where they are.
func (p *Endpoint) state() string {
	switch strings.ToLower(p.Provisioning) {
	case "deleting":
		return "Deleting"
	case "failed":
		return "Failed"
	}
	status := p.Status()
	for _, known := range []string{"Pending", "Rejected", "Disconnected"} {
		if strings.EqualFold(status, known) {
			return known
		}
	}
	if !strings.EqualFold(status, "Approved") {
		return "Other" // there are few, so that they can be counted by it
	}
	return ""
}

// after is a row that follows another one of its resource: it is as old as its state.
func (r *Row) after(old *Row) *Row {
	if old.facts() != r.facts() {
		return r
	}
	dated := *r
	dated.Since = old.Since
	return &dated
}

// facts is the state of an endpoint; other rows have none.
func (r *Row) facts() string {
	if r.Endpoint == nil {
		return ""
	}
	return r.Endpoint.state()
}

// hasPartner tells whether a listing lacks only the endpoint of an interface or only the
// interface of an endpoint: both are made and deleted together, so that the identity
// cannot read one of them, or one of the two tables is late.
func (l *Listing) hasPartner(lost *Row, interfaces func() map[string][]string) bool {
	switch lost.Kind {
	case KindInterface:
		partner := l.Rows[key(KindEndpoint, lost.Interface.EndpointID)]
		return partner != nil && partner.Endpoint.works()
	case KindEndpoint:
		return slices.ContainsFunc(interfaces()[strings.ToLower(lost.ID)], func(id string) bool { return l.Rows[id] != nil })
	}
	return false
}

// interfacesOf are the keys of the interfaces of each endpoint.
func (l *Listing) interfacesOf() map[string][]string {
	keys := make(map[string][]string)
	for id, row := range l.Rows {
		if row.Interface != nil {
			endpoint := strings.ToLower(row.Interface.EndpointID)
			keys[endpoint] = append(keys[endpoint], id)
		}
	}
	return keys
}

// same tells whether two listings differ in nothing but times.
func (l *Listing) same(other *Listing) bool {
	if len(l.Rows) != len(other.Rows) || len(l.Subscriptions) != len(other.Subscriptions) {
		return false
	}
	for id, s := range other.Subscriptions {
		if old := l.Subscriptions[id]; old == nil || old.Gone.IsZero() != s.Gone.IsZero() {
			return false
		}
	}
	for id, row := range other.Rows {
		old := l.Rows[id]
		if old == nil {
			return false
		}
		if old.Missed != row.Missed || old.Why != row.Why || old.Held != row.Held || old.Accepted != row.Accepted || !old.sameFacts(row) {
			return false
		}
	}
	return true
}

// Accept marks everything that is held as accepted, and lets go of subscriptions that
// are gone: their rows are marked, too. It gives the listing with the marks, and how
// many resources have one that had none.
func (l *Listing) Accept(subscriptions []string) (next *Listing, marked int) {
	next = &Listing{Taken: l.Taken, Subscriptions: maps.Clone(l.Subscriptions), Rows: maps.Clone(l.Rows), Unread: l.Unread}
	let, owners := make(map[string]bool), make(map[string]bool)
	for _, id := range subscriptions {
		if s := l.Subscriptions[strings.ToLower(id)]; s != nil && !s.Gone.IsZero() {
			let[s.ID] = true
			delete(next.Subscriptions, s.ID)
		}
	}
	for id, row := range l.Rows {
		leaves := let[SubscriptionOf(row.ID)]
		if row.Accepted || !row.Held && !leaves {
			continue
		}
		copied := *row
		copied.Accepted = true
		owners[row.owner()] = true
		if leaves {
			copied.Missed = needed
		}
		next.Rows[id] = &copied
	}
	return next, len(owners)
}

// owner is the id, in lower case, of what operators know a row by: an endpoint and its
// interface are one thing.
func (r *Row) owner() string {
	if r.Interface != nil && r.Interface.EndpointID != "" {
		return strings.ToLower(r.Interface.EndpointID)
	}
	return strings.ToLower(r.ID)
}
