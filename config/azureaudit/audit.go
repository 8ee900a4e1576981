package azureaudit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pldns/config/azureimport"
	"pldns/zones"
	"pldns/zones/azure"
)

// Options say what an audit looks at besides the inventory.
type Options struct {
	// Catalogue pairs names with zones. It must not be nil.
	Catalogue *azure.Catalogue
	// Asked are names that clients ask for, as a list of unmapped names has them: a
	// link without fallback matters where they are those of other tenants.
	Asked []zones.Name
	// Managed are files that hold what one tool manages, such as a state of Terraform,
	// and so not all records of a zone.
	Managed []string
	// Table, if it is not nil, is what pldns answers, to be compared.
	Table *zones.Table
	// VNets are the ids or names of VNets and the networks of Table that their clients
	// belong to. A VNet that is not among them belongs to the network of its name.
	VNets map[string]string
	// Reach is how far the listing goes where the inventory is one of a live Azure; nil
	// where it is an export.
	Reach *Reach
}

// Report is what an audit found.
type Report struct {
	Findings []Finding // the worst first, in a stable order
	// Notes say what was not looked at, because the export does not hold it.
	Notes []string
	// VNets, Zones and Endpoints are how many were looked at.
	VNets, Zones, Endpoints int
}

// Worst reports whether there is a finding that is more than a note.
func (r *Report) Worst() Severity {
	if len(r.Findings) == 0 {
		return Note
	}
	return r.Findings[0].Severity
}

// auditor makes a report.
type auditor struct {
	*estate
	options  Options
	findings []Finding
	notes    []string
	partial  bool // pages are missing, so that nothing is known to be absent
	// word is what reports call the inventory.
	word string
	// withheld are what was not reported, because it may be where nothing was read.
	withheld withheld
}

// Audit looks at everything that an export holds.
func Audit(inventory azureimport.Inventory, options Options) *Report {
	a := &auditor{estate: newEstate(inventory, options), options: options, word: "the export"}
	if options.Reach != nil {
		a.word = "the listing"
	}
	a.readGaps()
	a.zoneNames()
	a.zonesTwice()
	a.links()
	a.endpointStates()
	a.zoneGroups()
	a.missingRecords()
	a.records()
	a.unlinkedZones()
	if options.Table != nil {
		a.compare()
	}
	a.tellWithheld()
	sortFindings(a.findings)
	return &Report{Findings: a.findings, Notes: a.notes, VNets: len(a.vnets), Zones: len(a.zones), Endpoints: len(a.endpoints)}
}

func (a *auditor) find(f Finding) { a.findings = append(a.findings, f) }

func (a *auditor) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

// readGaps tells what the export lacks, and whether anything may be taken for absent.
func (a *auditor) readGaps() {
	for _, gap := range a.inventory.Gaps {
		if gap.Reason == azureimport.MorePages {
			a.partial = true
		}
		a.notes = append(a.notes, gap.Text)
	}
	if a.partial {
		a.note("the export is one page of several: what it lacks is not reported")
	}
	a.readReach()
	for _, kind := range []struct {
		held          bool
		what, command string
		right         string // to read them
	}{
		{len(a.inventory.Endpoints) > 0, "private endpoints: whether they are approved was not looked at",
			"az network private-endpoint list", "privateEndpoints/read"},
		{len(a.inventory.Interfaces) > 0, "network interfaces: addresses that nobody has were not looked for",
			"az network nic list", "networkInterfaces/read"},
		{len(a.inventory.Records) > 0, "record sets: records that are missing or stale were not looked for",
			"az network private-dns record-set list", "privateDnsZones/*/read"},
		{len(a.inventory.Links) > 0, "links of zones: what each VNet is answered was not looked at",
			"az network private-dns link vnet list", "privateDnsZones/virtualNetworkLinks/read"},
	} {
		remedy := kind.command
		if a.options.Reach != nil {
			remedy = "the identity needs Microsoft.Network/" + kind.right
		}
		if !kind.held {
			a.note("%s has no %s (%s)", a.word, kind.what, remedy)
		}
	}
}

// zoneNames finds zones whose names nothing leads to, or too much.
func (a *auditor) zoneNames() {
	for _, z := range a.zones {
		held := a.clientsOf(z)
		f := Finding{Resource: z.id, File: z.file, VNets: vnetsOf(z.links)}
		match, known := a.catalogue.ZoneOf(z.name)
		switch {
		case known && match.Entry.Legacy:
			f.ID, f.Severity = ZoneSuperseded, Warning
			f.Effect = fmt.Sprintf("no alias of Azure leads to %s any more, so its records answer nobody", z.name)
			f.Action = "create the zone that the service uses today (pldns catalog " + z.name.String() + "), " +
				"and let zone groups write there"
		case known:
			continue
		case azure.HasPrivatelink(z.name):
			f.ID, f.Severity = ZoneWrongName, Note
			f.Effect = fmt.Sprintf("the catalogue has no zone %s: if no alias leads to it, its records answer nobody", z.name)
			f.Action = "check the name; if it is that of a service which the catalogue lacks, give its row with -c FILE ([[catalogue]])"
			if guess, odd := a.catalogue.Guesser().Guess(z.name); odd && guess.IsMicrosoft {
				f.Severity = Warning
			}
			if right, ok := a.rightZone(z.name); ok {
				f.Severity = Error
				f.Effect = fmt.Sprintf("no alias of Azure leads to %s, so its records answer nobody: %s get public addresses", z.name, held)
				f.Action = fmt.Sprintf("create the zone %s, link it, and point the zone groups to it", right)
			}
		default:
			right, ok := a.publicZone(z.name)
			if !ok {
				continue // a zone of one's own
			}
			f.ID, f.Severity = ZonePublicName, Error
			f.Effect = fmt.Sprintf("%s get NXDOMAIN for every name below %s that has no record here, "+
				"those of other tenants and of Azure among them", held, z.name)
			f.Action = fmt.Sprintf("use the zone %s instead, and remove the link of this one", right)
		}
		a.find(f)
	}
}

// rightZone is the zone that a wrong name of one stands for.
func (a *auditor) rightZone(name zones.Name) (zones.Name, bool) {
	labels := slices.DeleteFunc(name.Labels(), func(label string) bool { return strings.HasPrefix(label, "privatelink") })
	public, err := zones.ParseName("x." + strings.Join(labels, "."))
	if err != nil {
		return zones.Name{}, false
	}
	if match, err := a.catalogue.Derive(public); err == nil {
		return match.Zone, true
	}
	if guess, odd := a.catalogue.Guesser().Guess(public); odd && !guess.Meant.IsZero() {
		if match, err := a.catalogue.Derive(guess.Meant); err == nil {
			return match.Zone, true
		}
	}
	return zones.Name{}, false
}

// publicZone is the privatelink zone of a public zone of Azure. A zone for one name
// below it takes no other.
func (a *auditor) publicZone(name zones.Name) (zones.Name, bool) {
	if _, err := a.catalogue.Derive(name); err == nil {
		return zones.Name{}, false
	}
	match, err := a.catalogue.Derive(name.Under("x"))
	return match.Zone, err == nil
}

// zonesTwice finds zones of one name.
func (a *auditor) zonesTwice() {
	byName := make(map[zones.Name][]*zone)
	for _, z := range a.zones {
		byName[z.name] = append(byName[z.name], z)
	}
	for _, name := range slices.SortedFunc(maps.Keys(byName), zones.Name.Compare) {
		twice := byName[name]
		if len(twice) < 2 {
			continue
		}
		severity, unlinked := Note, ""
		for _, z := range twice {
			if len(z.links) == 0 && len(a.inventory.Links) > 0 && !a.partial {
				severity, unlinked = Warning, z.id
			}
		}
		effect := fmt.Sprintf("%d zones are called %s, and a VNet sees the records of the one that is linked to it alone", len(twice), name)
		action := "nothing, if each is for a region or a tenant of its own; else move the records to one, and link that"
		if unlinked != "" {
			effect += "; one of them is linked to no VNet, so whatever a zone group writes there answers nobody"
			action = "move its records to the zone that is linked, and remove it"
		}
		a.find(Finding{ID: ZoneTwice, Severity: severity, Resource: cmp.Or(unlinked, twice[1].id), File: twice[1].file, Effect: effect,
			Action: action})
	}
}

// links looks at the links of privatelink zones.
func (a *auditor) links() {
	for _, z := range a.zones {
		if !azure.HasPrivatelink(z.name) {
			continue
		}
		var strict []azureimport.VNetLink
		for _, l := range z.links {
			if l.Registration {
				a.find(Finding{
					ID: Registration, Severity: Warning, Resource: l.ID, File: l.File, VNets: []string{l.VNetID},
					Effect: fmt.Sprintf("the virtual machines of %s register their names in %s, and one that "+
						"is called as a resource takes its record",
						lastPart(l.VNetID), z.name),
					Action: "turn registration off on this link: a VNet may register in one zone, which should be one of your own",
				})
			}
			if l.Resolution != "" && !strings.EqualFold(l.Resolution, "NxDomainRedirect") {
				strict = append(strict, l)
			}
		}
		if len(strict) > 0 {
			a.noFallback(z, strict)
		}
	}
}

// noFallback reports links that deny the names of other tenants. It matters where
// these are asked for.
func (a *auditor) noFallback(z *zone, strict []azureimport.VNetLink) {
	var asked []zones.Name
	var texts []string
	for _, name := range a.options.Asked {
		n, ok := a.privateOf(name)
		if ok && n.zone == z.name && a.names[n.private] == nil && z.find(n.private) == nil && !slices.Contains(asked, name) {
			asked = append(asked, name)
			texts = append(texts, name.String())
		}
	}
	f := Finding{
		ID: NoFallback, Severity: Note, Resource: z.id, File: z.file, VNets: vnetsOf(strict), Names: asked,
		Effect: fmt.Sprintf("clients in %s get NXDOMAIN for resources of other tenants in %s, from the day these have a private endpoint",
			a.named(strict), z.name),
		Action: "set resolutionPolicy of the links to NxDomainRedirect, unless other tenants are to be out of reach",
	}
	if len(asked) > 0 {
		f.Severity = Warning
		f.Effect = fmt.Sprintf("clients in %s ask for %s, which no endpoint of %s has, "+
			"and get NXDOMAIN where these have a private endpoint elsewhere",
			a.named(strict), some(texts), a.word)
	}
	a.find(f)
}

// clientsOf are those who are answered from a zone.
func (a *auditor) clientsOf(z *zone) string {
	if len(z.links) == 0 {
		return "clients in the VNets that it is linked to"
	}
	return "clients in " + a.named(z.links)
}

// named are the names of the VNets of links.
func (*auditor) named(links []azureimport.VNetLink) string {
	var texts []string
	for _, l := range links {
		texts = append(texts, lastPart(l.VNetID))
	}
	slices.Sort(texts)
	return some(slices.Compact(texts))
}

// vnetsOf are the ids of the VNets of links.
func vnetsOf(links []azureimport.VNetLink) []string {
	var ids []string
	for _, l := range links {
		ids = append(ids, l.VNetID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
