package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// networkDraft is a network while the files are read, and where its parts are written.
type networkDraft struct {
	Network
	place      Place
	clients    map[netip.Prefix]Place
	ingresses  map[zones.Ingress]Place
	include    []entry
	forward    routes // nil when the network has no table of its own
	zones      zoneDrafts
	catalogs   catalogDrafts
	azureFrom  []entry
	azurePlace Place
	dns64Place Place
	policies   []entry
	// broken says that a client or ingress is reported already, so that who can match
	// the network is not known.
	broken bool
}

// networks reads the networks of one file.
func (l *loader) networks(root table) {
	t, _ := root.sub("networks")
	l.hasNetworks = l.hasNetworks || len(t.values) > 0
	l.labelled(t, "a network", l.network)
}

// labelled reads the tables in a table whose keys are labels of the operator's.
func (l *loader) labelled(t table, what string, read func(name string, inner table)) {
	for _, name := range t.keys() {
		inner, ok := t.sub(name)
		if f := labelFault(name, what); f != nil {
			l.rep.add(t.place(name), f)
			ok = false
		}
		if ok {
			read(name, inner)
		}
	}
}

// network reads what one file says about a network.
func (l *loader) network(name string, t table) {
	draft := l.drafts[name]
	if draft == nil {
		draft = &networkDraft{
			Network: Network{Name: name, Limit: -1, mapped: newMappings()}, place: t.here(),
			clients: make(map[netip.Prefix]Place), ingresses: make(map[zones.Ingress]Place), zones: make(zoneDrafts),
			catalogs: make(catalogDrafts),
		}
		l.drafts[name] = draft
	}
	t.only("clients", "listeners", "server_names", "link_ids", "certificates", "doh_paths", "include", "hosts",
		"missing", "limit", "forward", "endpoints", "zones", "azure", "designated", "dns64", "dns64_exclude",
		"require_private", "policy", "catalogs")
	l.clients(t, draft)
	l.listeners(t, draft)
	l.ingresses(t, draft)
	include, _ := t.texts("include", "shared")
	draft.include = append(draft.include, include...)
	if missing, given := l.missing(t); given {
		draft.Missing = missing
	}
	draft.Limit = t.integer("limit", draft.Limit, 0, maxLimit)
	draft.Designated = l.designated(t, draft.Designated)
	l.dns64(t, draft)
	l.requirePrivate(t, draft)
	l.heldTo(t, draft)
	draft.forward = l.forward(t, draft.forward)
	if endpoints, given := t.sub("endpoints"); given {
		l.endpoints(endpoints, draft.mapped)
	}
	l.hosts(t, draft.mapped)
	l.zones(t, draft.zones)
	l.catalogs(t, draft.catalogs)
	l.discovery(t, draft)
}

// clients reads the client prefixes of a network.
func (l *loader) clients(t table, draft *networkDraft) {
	if !t.has("clients") {
		return
	}
	entries, ok := t.texts("clients", "10.0.0.0/16")
	list, places := distinct(l.rep, entries, parsePrefix)
	draft.broken = draft.broken || !ok || len(list) < len(entries)
	draft.Clients = append(draft.Clients, list...)
	maps.Copy(draft.clients, places)
}

// listeners reads the listeners of a network.
func (l *loader) listeners(t table, draft *networkDraft) {
	if !t.has("listeners") {
		return
	}
	entries, ok := t.texts("listeners", "10.0.0.4:53")
	draft.broken = draft.broken || !ok
	for _, e := range entries {
		socket, f := parseSocket(e.text, portDNS)
		if f == nil {
			f = l.listenerFault(socket, e.text)
		}
		if l.claim(draft, zones.NewListenerIngress(socket), e.place, e.text, f) {
			draft.Listeners = append(draft.Listeners, socket)
		}
	}
}

// listenerFault refuses a listener that no query arrives at.
func (l *loader) listenerFault(socket netip.AddrPort, text string) *fault {
	switch {
	case socket.Port() == 0:
		return faultf("write the port that listen.dns has", "%q has port 0", text)
	case l.listenKnown && !l.reachable(socket):
		return faultf(fmt.Sprintf("add %q to listen.dns, or write an address that is there", text), "listen.dns does not open %q", text)
	}
	return nil
}

// reachable tells whether queries can reach a listener of a network.
func (l *loader) reachable(socket netip.AddrPort) bool {
	return slices.ContainsFunc(l.config.Listen.All(), func(open netip.AddrPort) bool {
		return opens(open, socket) || socket.Addr().IsUnspecified() && socket.Port() == open.Port()
	})
}

// requirePrivate reads the suffixes whose names have to have private addresses.
func (l *loader) requirePrivate(t table, draft *networkDraft) {
	entries, _ := t.texts("require_private", "privatelink.database.windows.net")
	list, _ := distinct(l.rep, entries, parseSuffix)
	draft.RequirePrivate = append(draft.RequirePrivate, list...)
}

// missing reads what is done with names that have no endpoint.
func (l *loader) missing(t table) (zones.Missing, bool) {
	text, given := t.text("missing", "forward")
	if !given {
		return zones.Inherit, false
	}
	for _, missing := range []zones.Missing{zones.Forward, zones.NXDomain, zones.Refuse} {
		if text == missing.String() {
			return missing, true
		}
	}
	l.rep.add(t.place("missing"), faultf(`write "forward", "nxdomain" or "refuse"`, "%q is no policy for missing names", text))
	return zones.Inherit, false
}

// sets reads the endpoint sets of one file.
func (l *loader) sets(root table) {
	t, _ := root.sub("endpoints")
	for _, name := range t.keys() {
		if l.looseEndpoint(t, name) {
			continue
		}
		inner, ok := t.sub(name)
		if f := labelFault(name, "a set of endpoints"); f != nil {
			l.rep.add(t.place(name), f)
			ok = false
		}
		if ok {
			set := l.endpointSets[name]
			if set == nil {
				set = newMappings()
				l.endpointSets[name] = set
			}
			l.hosts(inner, set)
			delete(inner.values, "hosts") // all others are names
			l.endpoints(inner, set)
		}
	}
}

// looseEndpoint reports a mapping that stands where the sets are.
func (l *loader) looseEndpoint(t table, name string) bool {
	_, f := parseHost(name)
	value, _ := t.get(name)
	_, isTable := value.(map[string]any)
	if f != nil && isTable {
		return false
	}
	remedy := "move it under [endpoints.NAME], a set that networks include, or under [networks.NAME.endpoints]"
	l.rep.add(t.place(name), &fault{"is a mapping outside a set of endpoints", remedy})
	return true
}

// finishNetworks makes the networks that all files together define.
func (l *loader) finishNetworks() {
	if !l.hasNetworks && l.config.Store == nil && !l.own { // whose release may have them
		l.rep.add(placeOf(l.main, "networks"), &fault{"no network is defined, so every client would be refused",
			`add [networks.NAME] with clients = ["10.0.0.0/16"]`})
	}
	for _, name := range slices.Sorted(maps.Keys(l.drafts)) {
		l.finishNetwork(l.drafts[name])
		l.config.Networks = append(l.config.Networks, l.drafts[name].Network)
	}
	l.build()
}

// finishNetwork merges what a network shares with others into it.
func (l *loader) finishNetwork(draft *networkDraft) {
	draft.Forward = l.networkForward(draft.forward)
	if draft.Limit < 0 {
		draft.Limit = l.config.Limit.Listed
	}
	draft.Zones = l.composeZones(draft)
	l.finishPolicies(draft)
	l.include(draft)
}

// include adds the endpoints of the sets that a network includes.
func (l *loader) include(draft *networkDraft) {
	seen := make(map[string]Place)
	for _, e := range draft.include {
		set, known := l.endpointSets[e.text]
		if first, twice := seen[e.text]; twice {
			if e.place.Released() && !first.Released() {
				continue
			}
			l.rep.clash(e.place, first, faultf("keep one of the two", "%q is included twice", e.text))
			continue
		}
		seen[e.text] = e.place
		switch {
		case !known:
			l.rep.add(e.place, l.unknownSet(e.text))
		case draft.mapped.count() == 0 && len(draft.include) == 1:
			draft.mapped = set // which takes no more memory than the set alone
		default:
			draft.mapped.addAll(set)
		}
		draft.Sets = append(draft.Sets, e.text)
		l.included[e.text] = true
	}
}

// unknownSet is the fault of including what no file defines.
func (l *loader) unknownSet(name string) *fault {
	remedy := fmt.Sprintf("define [%s]", join("endpoints", name))
	if len(l.endpointSets) > 0 {
		remedy += ", or write one of: " + strings.Join(slices.Sorted(maps.Keys(l.endpointSets)), ", ")
	}
	return faultf(remedy, "set %q is not defined", name)
}
