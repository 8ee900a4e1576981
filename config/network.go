package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// networkDraft is a network while the files are read.
type networkDraft struct {
	name      string
	place     Place
	clients   []client
	listeners []listener
	claims    []claim // the other doors
	include   []entry
	missing   zones.Missing
	limit     int    // negative where no file says it
	forward   routes // nil when the network has no table of its own
	endpoints []Endpoint
	zones     zoneDrafts
	// broken says that a client or listener is reported already, so that who can
	// match the network is not known.
	broken bool
}

// client is a prefix of a network and where it is written.
type client struct {
	prefix netip.Prefix
	place  Place
}

// listener is a door of a network and where it is written.
type listener struct {
	socket netip.AddrPort
	place  Place
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
		draft = &networkDraft{name: name, place: t.here(), limit: -1, zones: make(zoneDrafts)}
		l.drafts[name] = draft
	}
	t.only("clients", "listeners", "server_names", "link_ids", "certificates", "doh_paths", "include", "hosts",
		"missing", "limit", "forward", "endpoints", "zones")
	l.clients(t, draft)
	l.listeners(t, draft)
	l.doors(t, draft)
	include, _ := t.texts("include", "shared")
	draft.include = append(draft.include, include...)
	if missing, given := l.missing(t); given {
		draft.missing = missing
	}
	draft.limit = t.integer("limit", draft.limit, 0, maxLimit)
	draft.forward = l.forward(t, draft.forward)
	if endpoints, given := t.sub("endpoints"); given {
		draft.endpoints = l.endpoints(endpoints, draft.endpoints)
	}
	draft.endpoints = l.hosts(t, draft.endpoints)
	l.zones(t, draft.zones)
}

// clients reads the client prefixes of a network.
func (l *loader) clients(t table, draft *networkDraft) {
	if !t.has("clients") {
		return
	}
	entries, ok := t.texts("clients", "10.0.0.0/16")
	draft.broken = draft.broken || !ok
	seen := make(map[netip.Prefix]bool)
	for _, e := range entries {
		prefix, f := parsePrefix(e.text)
		if f == nil && seen[prefix] {
			f = faultf("keep one of the two", "%q is in the list already", e.text)
		}
		if f != nil {
			l.rep.add(e.place, f)
			draft.broken = true
			continue
		}
		seen[prefix] = true
		draft.clients = append(draft.clients, client{prefix, e.place})
	}
}

// listeners reads the doors of a network.
func (l *loader) listeners(t table, draft *networkDraft) {
	if !t.has("listeners") {
		return
	}
	entries, ok := t.texts("listeners", "10.0.0.4:53")
	draft.broken = draft.broken || !ok
	for _, e := range entries {
		socket, f := parseSocket(e.text, portDNS)
		if f == nil {
			f = l.listenerFault(draft, socket, e.text)
		}
		if f != nil {
			l.rep.add(e.place, f)
			draft.broken = true
			continue
		}
		draft.listeners = append(draft.listeners, listener{socket, e.place})
	}
}

// listenerFault refuses a door that stands twice or that no query comes through.
func (l *loader) listenerFault(draft *networkDraft, socket netip.AddrPort, text string) *fault {
	twice := slices.ContainsFunc(draft.listeners, func(other listener) bool {
		return zones.NewListenerDoor(other.socket) == zones.NewListenerDoor(socket)
	})
	switch {
	case socket.Port() == 0:
		return faultf("write the port that listen.dns has", "%q has port 0", text)
	case twice:
		return faultf("keep one of the two", "%q is in the list already", text)
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
			set := l.hosts(inner, l.endpointSets[name])
			delete(inner.values, "hosts") // all others are names
			l.endpointSets[name] = l.endpoints(inner, set)
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
	if !l.hasNetworks {
		l.rep.add(Place{File: l.main, table: "networks"}, &fault{"no network is defined, so every client would be refused",
			`add [networks.NAME] with clients = ["10.0.0.0/16"]`})
	}
	for _, name := range slices.Sorted(maps.Keys(l.endpointSets)) {
		set := l.endpointSets[name]
		l.endpointSets[name] = newClaims(l.rep).keep(set)
	}
	for _, name := range slices.Sorted(maps.Keys(l.drafts)) {
		l.config.Networks = append(l.config.Networks, l.finishNetwork(l.drafts[name]))
	}
	l.checkMatching()
}

// finishNetwork merges what a network shares with others into it.
func (l *loader) finishNetwork(draft *networkDraft) Network {
	network := Network{Name: draft.name, Missing: draft.missing, Forward: l.networkForward(draft.forward)}
	if network.Limit = draft.limit; draft.limit < 0 {
		network.Limit = l.config.Limit.Listed
	}
	for _, c := range draft.clients {
		network.Clients = append(network.Clients, c.prefix)
	}
	for _, d := range draft.listeners {
		network.Listeners = append(network.Listeners, d.socket)
	}
	network.claimed(draft.claims)
	l.checkPaths(draft)
	claims := newClaims(l.rep)
	network.Zones = l.composeZones(draft.zones, claims)
	network.Endpoints = claims.keep(l.included(draft))
	return network
}

// included are the endpoints of a network and of the sets it includes.
func (l *loader) included(draft *networkDraft) []Endpoint {
	endpoints := draft.endpoints
	seen := make(map[string]Place)
	for _, e := range draft.include {
		set, known := l.endpointSets[e.text]
		if first, twice := seen[e.text]; twice {
			l.rep.clash(e.place, first, faultf("keep one of the two", "%q is included twice", e.text))
			continue
		}
		if !known {
			l.rep.add(e.place, l.unknownSet(e.text))
		}
		seen[e.text] = e.place
		endpoints = append(endpoints, set...)
	}
	return endpoints
}

// unknownSet is the fault of including what no file defines.
func (l *loader) unknownSet(name string) *fault {
	remedy := fmt.Sprintf("define [%s]", join("endpoints", name))
	if len(l.endpointSets) > 0 {
		remedy += ", or write one of: " + strings.Join(slices.Sorted(maps.Keys(l.endpointSets)), ", ")
	}
	return faultf(remedy, "set %q is not defined", name)
}
