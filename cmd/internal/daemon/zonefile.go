package daemon

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pldns/config"
	"pldns/resolver"
	"pldns/resolver/primary"
	"pldns/zones"
	"pldns/zones/content"
)

// ZoneContent is what a network of a configuration sees of a zone: the last good copy, from disk,
// or what is made of its endpoints and records. Notes say what whoever answers from that answers
// otherwise than this program does. An empty name of a network stands for the only one. The error
// says that there is no such network or zone, no copy of it, or that it is no zone.
func ZoneContent(c *config.Config, network string, zone zones.Name) (z *content.Zone, notes []string, err error) {
	snapshot, err := NewSnapshot(c, true)
	if err != nil {
		return nil, nil, err
	}
	seen, known, err := seenZone(snapshot, network, zone)
	if err != nil {
		return nil, nil, err
	}
	if z, err = contentOf(snapshot, seen, known, primary.Serial(0, time.Now())); err != nil {
		return nil, nil, err
	}
	if known.Copy == "" {
		notes = notesOf(seen, known)
	}
	return z, notes, nil
}

// zoneFile is what a network sees of a zone now, with the serial that other servers are told.
func (s *Server) zoneFile(network string, zone zones.Name) (*content.Zone, error) {
	now := s.now()
	seen, known, err := seenZone(now.snapshot, network, zone)
	if err != nil {
		return nil, err
	}
	if given, is := now.primary.Content(seen.Name(), zone); is && known.Copy == "" {
		return given, nil
	}
	return contentOf(now.snapshot, seen, known, primary.Serial(0, now.loaded))
}

// seenZone finds a zone as a network sees it.
func seenZone(snapshot *resolver.Snapshot, name string, zone zones.Name) (*zones.Network, zones.Zone, error) {
	all := snapshot.Table().Networks()
	var names []string
	for _, network := range all {
		names = append(names, network.Name())
	}
	at := slices.Index(names, name)
	switch {
	case name == "" && len(all) == 1:
		at = 0
	case name == "":
		return nil, zones.Zone{}, fmt.Errorf("each network has zones of its own: name one of %s", strings.Join(names, ", "))
	case at < 0:
		return nil, zones.Zone{}, fmt.Errorf("there is no network %s: name one of %s", name, strings.Join(names, ", "))
	}
	list := all[at].Zones()
	found := slices.IndexFunc(list, func(z zones.Zone) bool { return z.Name == zone })
	if found < 0 {
		return nil, zones.Zone{}, fmt.Errorf("network %s has no zone %s%s", all[at].Name(), zone, havingZones(list))
	}
	return all[at], list[found], nil
}

// havingZones names some of the zones that there are.
func havingZones(list []zones.Zone) string {
	const some = 20
	var names []string
	for _, z := range list[:min(len(list), some)] {
		names = append(names, z.Name.String())
	}
	switch {
	case len(names) == 0:
		return ", and no other"
	case len(list) > some:
		names = append(names, fmt.Sprintf("and %d more", len(list)-some))
	}
	return ": it has " + strings.Join(names, ", ")
}

// contentOf is what a network sees of a zone; what is made here gets a serial.
func contentOf(snapshot *resolver.Snapshot, network *zones.Network, zone zones.Zone, serial uint32) (*content.Zone, error) {
	if zone.Copy == "" {
		return primary.Make(network, zone.Name, serial)
	}
	held := snapshot.Copies()[zone.Copy]
	switch {
	case held.Zone == nil:
		return nil, fmt.Errorf("there is no copy of zone %s yet", zone.Name)
	case held.Expired:
		return nil, fmt.Errorf("the copy of zone %s has expired: its primaries have not confirmed it for too long", zone.Name)
	}
	return held.Zone, nil
}

// notesOf says what a server that has the zone answers otherwise.
func notesOf(network *zones.Network, zone zones.Zone) (notes []string) {
	switch zone.Missing {
	case zones.Forward:
		notes = append(notes, "names that the zone lacks are forwarded here, and denied by whoever answers from the file")
	case zones.Refuse:
		notes = append(notes, "names that the zone lacks are refused here, and denied by whoever answers from the file")
	}
	for endpoint := range network.Endpoints() {
		if endpoint.Zone() == zone.Name && !endpoint.Probe().IsZero() {
			return append(notes, "addresses that are probed are all written, whether they are healthy or not")
		}
	}
	return notes
}
