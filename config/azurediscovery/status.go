package azurediscovery

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"pldns/config/azuregraph"
	"pldns/config/azureimport"
)

// Status is how a discoverer is doing. Lists are in a stable order.
type Status struct {
	Name  string
	Taken time.Time // of the last complete listing; zero where there was none
	Tried time.Time // when the last listing began; zero where none did
	Error error     // why it is not complete; nil where it is
	// Restored says why the listing on disk could not be used at the start, and Saving
	// why the last one is not there; nil where all is well.
	Restored, Saving error
	Calls, Throttled int64
	Runs, Failures   int64 // listings that were tried, and those of them that failed
	Took             time.Duration
	Every            time.Duration
	Subscriptions    []Subscription
	// States are how many private endpoints there are in each state, by subscription.
	States map[string]map[string]int
	// Pending wait for approval, Leaving for a second listing, Held for an operator.
	Pending       []Resource
	Leaving, Held []Resource
	// Kept are not listed as they stand, and stay: their subscription is gone, or only a
	// part of them is.
	Kept     []Resource
	Left     []azureimport.Gap
	Warnings []string
	// By is the instance of the fleet that lists; empty where each lists for itself.
	By      string
	Serving int // mappings, in all networks
}

// Resource is a resource that something is said of.
type Resource struct {
	ID    string
	Since time.Time
	Why   string
	Names []string // what networks are served by it
}

// Restored says why there was nothing on disk at the start; nil where there was.
func (d *Discoverer) Restored() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.restored
}

// Status is the state of the discoverer.
func (d *Discoverer) Status() Status {
	d.mutex.Lock()
	ask, listing, view := d.ask, d.listing, d.view
	s := Status{Name: d.Name(), Tried: d.tried, Error: d.err, Saving: d.saving, Every: d.options.Azure.Every}
	s.States = make(map[string]map[string]int)
	s.Runs, s.Failures, s.Took = d.runs, d.failures, d.took
	s.Calls, s.Throttled = d.calls, d.throttled
	s.By = d.by
	s.Error = cmp.Or(s.Error, d.sharing)
	if d.restored != nil && d.restored != ErrNoState {
		s.Restored = d.restored
	}
	d.mutex.Unlock()
	if client, is := ask.(*azuregraph.Client); is {
		calls, throttled := client.Calls()
		s.Calls, s.Throttled = s.Calls+calls, s.Throttled+throttled
	}
	if listing == nil {
		return s
	}
	s.Taken = listing.Taken
	s.ofListing(listing, view)
	if view != nil && view.seen != nil {
		s.Left, s.Warnings, s.Serving = view.seen.Left, slices.Clone(view.seen.Warnings), view.seen.Set.Endpoints()
		s.Warnings = append(s.Warnings, unseen(view)...)
	}
	for _, why := range listing.Unread {
		s.Warnings = append(s.Warnings, "a row has an unknown shape: "+why)
	}
	slices.Sort(s.Warnings)
	s.Warnings = slices.Compact(s.Warnings)
	return s
}

// unseen are the VNets that networks name and the identity does not see, where no other
// source could.
func unseen(v *View) (warnings []string) {
	for _, n := range v.networks {
		if n.Azure == nil || len(n.Azure.From) > 1 || !slices.Contains(n.Azure.From, strings.TrimPrefix(v.name, "azure.")) {
			continue
		}
		for _, id := range n.Azure.VNets {
			if v.listing.Rows[key(KindVNet, id)] == nil {
				warnings = append(warnings, "network "+n.Name+": "+id+" is not seen: correct its id, or let the identity read it")
			}
		}
	}
	return warnings
}

// namesOf are what networks are served, by resource.
func namesOf(v *View) map[string][]string {
	names := make(map[string][]string)
	if v == nil || v.seen == nil {
		return names
	}
	for f, resource := range facts(v.seen.Set) {
		resource = strings.ToLower(resource)
		names[resource] = append(names[resource], f.what+" in "+f.network)
	}
	return names
}

func (s *Status) ofListing(l *Listing, v *View) {
	for _, id := range slices.Sorted(maps.Keys(l.Subscriptions)) {
		s.Subscriptions = append(s.Subscriptions, *l.Subscriptions[id])
	}
	var kept []*Row
	for _, row := range l.Rows {
		if row.Endpoint != nil {
			s.ofEndpoint(row)
		}
		if row.Why != "" {
			kept = append(kept, row)
		}
	}
	slices.SortFunc(s.Pending, func(a, b Resource) int { return cmp.Compare(a.ID, b.ID) })
	if len(kept) == 0 {
		return
	}
	slices.SortFunc(kept, func(a, b *Row) int { return cmp.Compare(a.key(), b.key()) })
	names, told := namesOf(v), make(map[string]bool) // by owner
	for _, row := range kept {
		if owner := row.owner(); !told[owner] {
			told[owner] = true
			s.ofKept(row, names[owner])
		}
	}
}

func (s *Status) ofEndpoint(row *Row) {
	subscription := SubscriptionOf(row.ID)
	if s.States[subscription] == nil {
		s.States[subscription] = make(map[string]int)
	}
	state := cmp.Or(row.Endpoint.state(), "Approved")
	s.States[subscription][state]++
	if state == "Pending" {
		s.Pending = append(s.Pending, Resource{ID: row.ID, Since: row.Since})
	}
}

// ofKept tells of a row that stays though listings lack it.
func (s *Status) ofKept(row *Row, served []string) {
	slices.Sort(served)
	resource := Resource{ID: row.ID, Since: row.Seen, Why: row.Why, Names: served}
	switch {
	case row.Held:
		s.Held = append(s.Held, resource)
	case row.Missed > 0:
		s.Leaving = append(s.Leaving, resource)
	default:
		s.Kept = append(s.Kept, resource)
	}
}

// Seen is when a resource was last seen; zero where it is not known.
func (d *Discoverer) Seen(resource string) time.Time {
	d.mutex.Lock()
	listing := d.listing
	d.mutex.Unlock()
	if listing == nil {
		return time.Time{}
	}
	for _, kind := range []Kind{KindEndpoint, KindRecord} {
		if row := listing.Rows[key(kind, resource)]; row != nil {
			if row.Seen.IsZero() {
				return listing.Taken
			}
			return row.Seen
		}
	}
	return time.Time{}
}
