package config

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// build makes the table of the networks, and says of what keeps them from being one
// where it is written and what to do. Sets that no network includes are looked at as
// networks of their own.
func (l *loader) build() {
	var listeners []netip.AddrPort
	if l.listenKnown {
		listeners = l.config.Listen.All()
	}
	specs := make([]zones.NetworkSpec, len(l.config.Networks))
	for i := range specs {
		specs[i] = l.config.Networks[i].Spec()
	}
	table, err := zones.Build(specs, listeners...)
	l.clashes(err, func(name string) *networkDraft { return l.drafts[name] })
	l.config.Table = table
	for _, name := range slices.Sorted(maps.Keys(l.endpointSets)) {
		if !l.included[name] {
			set := &networkDraft{Network: Network{Name: name, mapped: l.endpointSets[name]}, broken: true}
			_, err := zones.Build([]zones.NetworkSpec{set.Spec()})
			l.clashes(err, func(string) *networkDraft { return set })
		}
	}
}

// clashes reports what package zones says of networks.
func (l *loader) clashes(err error, draftOf func(name string) *networkDraft) {
	var clashes zones.Clashes
	errors.As(err, &clashes)
	for _, clash := range clashes {
		draft := draftOf(clash.Network)
		switch clash.Kind {
		case zones.MappedTwice, zones.Differing:
			l.nameClash(draft, clash)
		case zones.SameClients:
			l.clientsClash(draft, draftOf(clash.Others[0]), clash)
		case zones.PathOfAnother:
			l.rep.add(draft.ingresses[clash.Ingress], faultf("write another path", "%q is the name of another network", clash.Ingress.Path))
		case zones.TooMany:
			l.rep.add(draft.place, &fault{"has more endpoints than a network can have", "divide them between networks"})
		default:
			if !draft.broken {
				l.rep.add(draft.clientsPlace(), unmatchedFault(clash))
			}
		}
	}
}

// nameClash reports two endpoints, or records, of one network that claim one name.
func (l *loader) nameClash(draft *networkDraft, clash zones.Clash) {
	place := func(c zones.Claim) Place {
		if c.Record != nil {
			return l.recordPlaces[c.Record]
		}
		return draft.mapped.place(c.Endpoint)
	}
	f := faultf("keep one of the two", "%s is mapped twice", clash.Name)
	switch name := func(c zones.Claim) zones.Name { return draft.mapped.list.At(c.Endpoint).Name() }; {
	case clash.Kind == zones.Differing:
		f = faultf("give both the same addresses and settings, or remove one",
			"%s and %s have the same private name %s and differ", name(clash.First), name(clash.Later), clash.Name)
	case clash.Later.Record != nil:
		f = faultf("keep the records of one zone", "%s has records in two zones", clash.Name)
	case clash.First.Record != nil:
		f.remedy = "keep the mapping or the records"
	}
	l.rep.clash(place(clash.Later), place(clash.First), f)
}

// clientsClash reports two networks that one client matches equally well. What makes
// them so is written where the clients are or, where all are meant, the ingress.
func (l *loader) clientsClash(later, first *networkDraft, clash zones.Clash) {
	place := func(draft *networkDraft) Place {
		if at, written := draft.clients[clash.Prefix]; written {
			return at
		}
		return draft.ingresses[clash.Ingress]
	}
	clients := "clients of " + clash.Prefix.String()
	if clash.Prefix.Bits() == 0 {
		clients = "all clients"
	}
	l.rep.clash(place(later), place(first), faultf("give one of them a longer prefix, or listeners of its own",
		"%s match networks %s and %s equally well", clients, first.Name, later.Name))
}

// unmatchedFault says why no client can match a network.
func unmatchedFault(clash zones.Clash) *fault {
	switch clash.Kind {
	case zones.NoClients:
		return &fault{"no client can match this network: it has neither clients nor listeners",
			`add clients = ["10.0.0.0/16"] or listeners = ["10.0.0.4:53"]`}
	case zones.NoListener:
		return &fault{"no client can match this network: every address of listen.dns is a listener of other networks",
			"give it listeners of its own, or open another address in listen.dns"}
	}
	return faultf("give it clients that are not in those, or remove it",
		"no client can match this network: longer prefixes of %s cover all its clients", strings.Join(clash.Others, ", "))
}

// clientsPlace is where the clients of a network are written, or else the network.
func (d *networkDraft) clientsPlace() Place {
	for _, at := range d.clients {
		return placeOf(at.File(), d.place.below("clients").Key())
	}
	return d.place
}
