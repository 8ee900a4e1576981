package azureaudit

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/config/azureimport"
	"pldns/zones"
	"pldns/zones/azure"
)

// endpointStates finds endpoints that lead nowhere.
func (a *auditor) endpointStates() {
	for _, p := range a.endpoints {
		if !p.seen || p.works() {
			continue
		}
		names, texts := namesOf(p.names)
		f := Finding{ID: NotApproved, Severity: Warning, Resource: p.ID, File: p.File, Names: names}
		state := p.state()
		recorded := slices.ContainsFunc(p.names, func(n *named) bool { return a.leadsTo(n, p) })
		if recorded {
			f.Severity = Error
		}
		about := "clients"
		if len(texts) > 0 {
			about = "clients of " + some(texts)
		}
		switch {
		case state == "":
			f.ID = EndpointFailed
			f.Effect = fmt.Sprintf("its provisioning state is %s: %s are not served by it", p.Provisioning, about)
			f.Action = "deploy it anew, or delete it with its records"
		case strings.EqualFold(state, "Pending"):
			f.Effect = fmt.Sprintf("its connection waits for approval: until then it carries nothing for %s", about)
			f.Action = "let the owner of the resource approve it"
		default:
			f.Effect = fmt.Sprintf("its connection is %s: it carries nothing for %s, and does not come back by itself", state, about)
			f.Action = "delete it with its records, and create it anew if it is needed"
		}
		if recorded {
			f.Effect += "; a record leads to it, so that connections time out"
		}
		a.find(f)
	}
}

// leadsTo reports whether a record has an address of the endpoint.
func (a *auditor) leadsTo(n *named, p *endpoint) bool {
	for _, z := range a.zones {
		r := z.records[n.private]
		if r != nil && slices.ContainsFunc(r.addrs, func(addr netip.Addr) bool { return slices.Contains(p.addrs, addr) }) {
			return true
		}
	}
	return false
}

// zoneGroups finds endpoints whose records nobody keeps. An endpoint tells its own
// names only while it has no group; where the export has groups, one that has none
// of them has none either.
func (a *auditor) zoneGroups() {
	for _, p := range a.endpoints {
		certain := len(p.Names) > 0 || len(a.inventory.Groups) > 0 && !a.partial
		if !p.seen || p.grouped || !p.works() || !certain {
			continue
		}
		names, texts := namesOf(p.names)
		if len(names) == 0 && len(p.Names) > 0 {
			continue // nothing of it belongs in a privatelink zone
		}
		f := Finding{
			ID: NoZoneGroup, Severity: Note, Resource: p.ID, File: p.File, Names: names,
			Effect: "nothing writes its records, or changes them when it gets another address",
			Action: "attach a DNS zone group to it (az network private-endpoint dns-zone-group create), " +
				"or say that records are kept by hand",
		}
		if len(texts) > 0 {
			f.Effect = fmt.Sprintf("nothing writes the records of %s, or changes them when it gets another address", some(texts))
		}
		missing := func(n *named) bool { return !a.isRecorded(n) && !a.mayBeRecorded(n) }
		if slices.ContainsFunc(p.names, missing) && len(a.inventory.Records) > 0 {
			f.Severity = Warning
		}
		a.find(f)
	}
}

// isRecorded reports whether some zone has a record for a name.
func (a *auditor) isRecorded(n *named) bool {
	return slices.ContainsFunc(a.zones, func(z *zone) bool { return z.name == n.zone && z.find(n.private) != nil })
}

// missingRecords finds names of endpoints that zones lack.
func (a *auditor) missingRecords() {
	if a.partial {
		return
	}
	byName := make(map[zones.Name][]*zone)
	for _, z := range a.zones {
		byName[z.name] = append(byName[z.name], z)
	}
	unlisted := make(map[zones.Name]bool)
	for _, private := range slices.SortedFunc(maps.Keys(a.names), zones.Name.Compare) {
		n := a.names[private]
		if len(n.working()) == 0 {
			continue
		}
		if len(byName[n.zone]) == 0 && (len(a.inventory.Zones) > 0 || a.options.Reach != nil) {
			a.unlisted(n)
		}
		reported := a.isRecorded(n)
		for _, z := range byName[n.zone] {
			switch {
			case z.find(private) != nil:
			case !z.listed:
				unlisted[z.name] = len(a.inventory.Records) > 0
			case len(z.links) > 0:
				a.missing(n, z)
				reported = true
			case !reported && len(a.inventory.Links) > 0:
				a.unlisted(n)
				reported = true
			}
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(unlisted), zones.Name.Compare) {
		if !unlisted[name] {
			continue // the note about record sets says it
		}
		a.note("%s has no record set of %s: whether it lacks records was not looked at", a.word, name)
	}
}

// unlisted reports a name that no zone has.
func (a *auditor) unlisted(n *named) {
	if a.mayBeRecorded(n) {
		a.withheld.unrecorded = append(a.withheld.unrecorded, n.public.String())
		return
	}
	p := n.at[0].endpoint
	a.find(Finding{
		ID: InterfaceUnlisted, Severity: Warning, Resource: p.ID, File: p.File, Names: []zones.Name{n.public},
		Answer: answer{}.String(), Want: spell(n.working()),
		Effect: fmt.Sprintf("no zone of %s has a record for %s, so clients everywhere get its public address", a.word, n.private),
		Action: fmt.Sprintf("create the zone %s, link it, and attach a DNS zone group to %s (it has %s)", n.zone, lastPart(p.ID),
			spell(n.working())),
	})
}

// missing reports a zone that is linked and lacks a name: for links that deny it, and
// for those that give the public address.
func (a *auditor) missing(n *named, z *zone) {
	var denied, public []azureimport.VNetLink
	for _, l := range z.links {
		if decides := a.vnet(l.VNetID).decides(n.private); decides != nil && decides.zone != z {
			continue // a zone for this name alone, or another of this name
		}
		if falls, _ := (&link{VNetLink: l}).fallsBack(); falls {
			public = append(public, l)
		} else {
			denied = append(denied, l)
		}
	}
	relative := strings.TrimSuffix(n.private.FQDN(), "."+z.name.FQDN())
	action := fmt.Sprintf("add an A record %s with %s to it, or the zone to the zone group of %s", relative, spell(n.working()),
		lastPart(n.at[0].endpoint.ID))
	f := Finding{ID: RecordMissing, Resource: z.id, File: z.file, Names: []zones.Name{n.public}, Want: spell(n.working()), Action: action}
	worst := Error
	if !z.whole {
		worst, f.Action = Warning, f.Action+", unless it is kept by something else than what wrote the file"
	}
	if len(denied) > 0 {
		f.Severity, f.VNets, f.Answer = worst, vnetsOf(denied), answer{denied: true}.String()
		f.Effect = fmt.Sprintf("clients in %s get NXDOMAIN for %s: its alias leads to %s, which the zone lacks", a.named(denied), n.public,
			n.private)
		a.find(f)
	}
	if len(public) > 0 {
		f.Severity, f.VNets, f.Answer = Warning, vnetsOf(public), answer{}.String()
		f.Effect = fmt.Sprintf("clients in %s get the public address of %s, past its private endpoint: "+
			"the zone lacks %s, and its link falls back to the internet",
			a.named(public), n.public, n.private)
		a.find(f)
	}
}

// records finds addresses that are not those of an endpoint.
func (a *auditor) records() {
	if len(a.addresses) == 0 {
		return
	}
	endpoints := make(map[string]bool)
	for _, p := range a.endpoints {
		endpoints[strings.ToLower(lastPart(p.ID))] = true
	}
	for _, z := range a.zones {
		if !azure.HasPrivatelink(z.name) {
			continue
		}
		for _, name := range slices.SortedFunc(maps.Keys(z.records), zones.Name.Compare) {
			r := z.records[name]
			unknown := slices.DeleteFunc(slices.Clone(r.addrs), func(addr netip.Addr) bool { return a.addresses[addr] })
			switch n := a.names[name]; {
			case r.registered:
			case n != nil && len(n.working()) > 0 && len(r.addrs) > 0 && !overlaps(n, r.addrs):
				a.differs(n, z, r)
			case len(unknown) > 0 && !a.partial && a.nobodyHas(r, unknown):
				a.stale(z, r, unknown, endpoints[strings.ToLower(r.creator)])
			}
		}
	}
}

// overlaps reports whether one of the addresses is that of an endpoint of the name.
func overlaps(n *named, addrs []netip.Addr) bool {
	return slices.ContainsFunc(n.at, func(l located) bool {
		return slices.ContainsFunc(l.addrs, func(addr netip.Addr) bool { return slices.Contains(addrs, addr) })
	})
}

// differs reports a record that has another address than its endpoint.
func (a *auditor) differs(n *named, z *zone, r *record) {
	a.find(Finding{
		ID: RecordDiffers, Severity: Error, Resource: cmp.Or(r.id, z.id), File: r.file,
		VNets: vnetsOf(z.links), Names: []zones.Name{n.public},
		Answer: spell(r.addrs), Want: spell(n.working()),
		Effect: fmt.Sprintf("%s are led to %s for %s, and the endpoint has %s", a.clientsOf(z), spell(r.addrs), n.public,
			spell(n.working())),
		Action: fmt.Sprintf("change the record to %s, or let the zone group of %s keep it", spell(n.working()),
			lastPart(n.at[0].endpoint.ID)),
	})
}

// stale reports a record whose address no interface has. Where the endpoint that
// wrote it is in no file, it may be one of a subscription that was not exported.
func (a *auditor) stale(z *zone, r *record, unknown []netip.Addr, isKnown bool) {
	public := r.name
	if n, ok := a.privateOf(r.name); ok {
		public = n.public
	}
	f := Finding{
		ID: RecordStale, Severity: Warning, Resource: cmp.Or(r.id, z.id), File: r.file,
		VNets: vnetsOf(z.links), Names: []zones.Name{public},
		Answer: spell(r.addrs),
		Effect: fmt.Sprintf("%s are led to %s for %s, which no interface of %s has: connections time out if nobody has it",
			a.clientsOf(z), spell(unknown), public, a.word),
		Action: "remove the record, unless its endpoint is in a subscription that was not exported: then export that, too",
	}
	if a.options.Reach != nil {
		f.Action = "remove the record, unless something else than a private endpoint has the address"
	}
	if isKnown {
		f.Severity = Error
		f.Action = fmt.Sprintf("remove the record: %s, which wrote it, has it no more", r.creator)
	}
	a.find(f)
}

// unlinkedZones finds endpoints whose own VNet is not answered with their addresses.
func (a *auditor) unlinkedZones() {
	if len(a.inventory.Links) == 0 || a.partial {
		return
	}
	type pair struct {
		vnet string // in lower case
		zone zones.Name
	}
	held := make(map[zones.Name]bool) // zones of which the export tells the links
	for _, z := range a.zones {
		held[z.name] = held[z.name] || len(z.links) > 0 || len(a.inventory.Zones) > 0
	}
	lost := make(map[pair][]*named)
	ids := make(map[string]string)
	for _, p := range a.endpoints {
		id := p.vnetID()
		if id == "" || !p.works() {
			continue
		}
		key := strings.ToLower(id)
		ids[key] = id
		for _, n := range p.names {
			switch {
			case !held[n.zone] || a.vnet(id).decides(n.private) != nil:
			case a.mayBeLinked(n):
				a.withheld.unlinked = append(a.withheld.unlinked, n.zone.String()+" to "+lastPart(id))
			default:
				lost[pair{key, n.zone}] = append(lost[pair{key, n.zone}], n)
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(lost), func(x, y pair) int { return cmp.Or(cmp.Compare(x.vnet, y.vnet), x.zone.Compare(y.zone)) })
	for _, key := range keys {
		names, texts := namesOf(lost[key])
		a.find(Finding{
			ID: ZoneNotLinked, Severity: Warning, Resource: ids[key.vnet], File: lost[key][0].at[0].endpoint.File,
			VNets: []string{ids[key.vnet]}, Names: names,
			Answer: answer{}.String(), Want: "the private addresses",
			Effect: fmt.Sprintf("clients in %s that ask Azure DNS get the public addresses of %s, whose endpoint lies in their own VNet",
				lastPart(ids[key.vnet]), some(texts)),
			Action: fmt.Sprintf("link the zone %s to it, unless its DNS servers are others, "+
				"which answer from a VNet that the zone is linked to", key.zone),
		})
	}
}

// namesOf are the names that clients ask for, sorted.
func namesOf(all []*named) ([]zones.Name, []string) {
	var names []zones.Name
	for _, n := range all {
		names = append(names, n.public)
	}
	slices.SortFunc(names, zones.Name.Compare)
	names = slices.Compact(names)
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = name.String()
	}
	return names, texts
}
