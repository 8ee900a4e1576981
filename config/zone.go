package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/azure"
)

// zoneDraft is a zone as one part of the files declares it.
type zoneDraft struct {
	place        Place
	missing      zones.Missing
	records      []record
	recordsPlace Place
	hasRecords   bool // whether the key is given
	hasMissing   bool // the same
	from         fromDraft
	transfer     transferDraft
}

// isCopy tells whether the zone is one of somebody else.
func (d *zoneDraft) isCopy() bool { return d.from.given() }

// zoneDrafts are the zones of a network, or those that all share.
type zoneDrafts map[zones.Name]*zoneDraft

// record is a record of an operator's zone and where it is written.
type record struct {
	rr    dns.RR
	owner zones.Name
	place Place
}

func zoneKeys() []string {
	return []string{"records", "missing", "from", "tsig", "transfer", "transfer_tsig"}
}

// zones reads the zones that one file declares for a network or for all.
func (l *loader) zones(parent table, into zoneDrafts) {
	t, _ := parent.sub("zones")
	for _, key := range t.keys() {
		at := t.place(key)
		value, _ := t.get(key)
		if names := unquoted(key, value, zoneKeys()...); len(names) > 0 {
			l.rep.add(at, unquotedFault(names))
			continue
		}
		name, f := parseSuffix(key)
		if key == "." {
			f = &fault{"the root is no zone of this server", `write forward = { "." = ... } to say who is asked about everything else`}
		}
		inner, ok := t.sub(key)
		if f != nil {
			l.rep.add(at, f)
			ok = false
		}
		if ok {
			l.zone(inner, name, into)
		}
	}
}

// zone reads what one file says about a zone.
func (l *loader) zone(t table, name zones.Name, into zoneDrafts) {
	draft := into[name]
	switch {
	case draft == nil:
		draft = &zoneDraft{place: t.here()}
		into[name] = draft
	case draft.place.Key() != t.path:
		l.rep.clash(t.here(), draft.place, faultf("write both under one spelling", "zone %s is declared twice", name))
		return
	}
	t.only(zoneKeys()...)
	if missing, given := l.missing(t); given {
		draft.missing = missing
	}
	records, _ := t.texts("records", "db 300 IN A 10.0.1.4")
	for _, e := range records {
		rr, f := parseRecord(e.text, name)
		if f == nil {
			f = l.missingDotFault(rr, name)
		}
		if f != nil {
			l.rep.add(e.place, f)
			continue
		}
		draft.records = append(draft.records, record{rr, zones.NameOf(rr.Header().Name), e.place})
		l.recordPlaces[rr] = e.place
	}
	draft.hasRecords = draft.hasRecords || t.has("records")
	draft.hasMissing = draft.hasMissing || t.has("missing")
	if t.has("records") {
		draft.recordsPlace = t.place("records")
	}
	l.from(t, "from", "tsig", &draft.from)
	l.transfer(t, &draft.transfer)
}

// finishZones checks the zones of all files, those that all networks share first.
func (l *loader) finishZones() {
	l.finishZoneDrafts(l.shared)
	for _, name := range slices.Sorted(maps.Keys(l.drafts)) {
		l.finishZoneDrafts(l.drafts[name].zones)
	}
}

// finishZoneDrafts checks each zone by itself.
func (l *loader) finishZoneDrafts(drafts zoneDrafts) {
	for _, name := range slices.SortedFunc(maps.Keys(drafts), zones.Name.Compare) {
		draft := drafts[name]
		if !draft.hasRecords && !draft.hasMissing && !draft.isCopy() && draft.transfer.place == (Place{}) {
			l.rep.add(draft.place, &fault{"says neither records nor from nor missing",
				`add missing = "nxdomain", records = ["db 300 IN A 10.0.1.4"] or from = ["10.20.0.4"]`})
		}
		l.onlyOne(draft)
		l.finishFrom(&draft.from)
		l.finishTransfer(&draft.transfer)
		draft.records = l.consistent(draft)
	}
}

// onlyOne refuses a zone that has records and primaries. What the machine says of a zone
// takes the place of what a release does.
func (l *loader) onlyOne(draft *zoneDraft) {
	if !draft.hasRecords || !draft.isCopy() {
		return
	}
	switch records, from := draft.recordsPlace.Released(), draft.from.place.Released(); {
	case records && !from:
		draft.hasRecords, draft.records = false, nil
	case from && !records:
		draft.from = fromDraft{}
	default:
		l.rep.clash(draft.from.place, draft.recordsPlace, &fault{"a zone has records, or is taken from primaries", "remove one of the two"})
	}
}

// composeZones merges the zones of a network over those that all share: its records or
// primaries take the place of the shared ones, and so do its policy and who may take it.
func (l *loader) composeZones(network *networkDraft) []zones.ZoneSpec {
	own := network.zones
	names := maps.Clone(l.shared)
	maps.Copy(names, own)
	var specs []zones.ZoneSpec
	for _, name := range slices.SortedFunc(maps.Keys(names), zones.Name.Compare) {
		spec := zones.ZoneSpec{Name: name}
		content := new(zoneDraft)
		var transfer *transferDraft
		for _, draft := range []*zoneDraft{l.shared[name], own[name]} {
			if draft == nil {
				continue
			}
			if draft.hasRecords || draft.isCopy() {
				content = draft
			}
			if draft.missing != zones.Inherit {
				spec.Missing = draft.missing
			}
			if draft.transfer.place != (Place{}) {
				transfer = &draft.transfer
			}
		}
		for _, r := range content.records {
			spec.Records = append(spec.Records, r.rr)
		}
		if content.isCopy() {
			spec.Copy = l.copyOf(name, &content.from, network.Name)
			if spec.Missing == zones.Inherit {
				spec.Missing = zones.NXDomain
			}
		}
		specs = append(specs, spec)
		l.give(transfer, network, spec)
	}
	return specs
}

// missingDotFault finds a target that was meant to be complete but has no final dot,
// and so is taken to be below the zone: a name of the catalogue.
func (l *loader) missingDotFault(rr dns.RR, zone zones.Name) *fault {
	target := targetOf(rr)
	if target == "" {
		return nil
	}
	name := zones.NameOf(target)
	relative, below := strings.CutSuffix(name.FQDN(), "."+zone.FQDN())
	if !below {
		return nil
	}
	meant, f := parseHost(relative)
	if f != nil {
		return nil
	}
	if _, err := l.catalogue.Derive(meant); errors.Is(err, azure.ErrNotInCatalogue) {
		return nil
	}
	return faultf(fmt.Sprintf("end the name with a dot: %s", meant.FQDN()), "%s lacks its final dot, which makes it %s", meant, name)
}
