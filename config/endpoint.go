package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pldns/zones"
	"pldns/zones/azure"
)

// endpoints reads the mappings of one table, in the order of their keys, and adds
// them to those that other files gave for the same network or set.
func (l *loader) endpoints(t table, into *mappings) {
	if before := l.inTOML; before <= manyInTOML && before+len(t.values) > manyInTOML {
		// The line of the table would take longer to find than the file took to read.
		remedy := fmt.Sprintf(`move those of [%s] to hosts files, and name these with hosts = ["europe.hosts"]`, t.path)
		l.rep.warn(placeOf(t.file, ""), faultf(remedy,
			"more than %d names are mapped in TOML, which takes a multiple of the time and memory to load", manyInTOML))
	}
	l.inTOML += len(t.values)
	into.grow(len(t.values))
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		l.endpoint(t.place(key), key, t.values[key], into)
	}
}

// endpoint reads one mapping. A fault of its name does not hide those of its value.
func (l *loader) endpoint(at Place, key string, value any, into *mappings) {
	if names := unquoted(key, value, endpointKeys()...); len(names) > 0 {
		l.rep.add(at, unquotedFault(names))
		return
	}
	settings, settled := l.endpointValue(at, value)
	name, f := parseHost(key)
	if f != nil {
		l.rep.add(at, f)
		return
	}
	endpoint := Endpoint{Place: at}
	endpoint.Probe, endpoint.Pick = l.probeOf(settings.probe, name), settings.pick
	endpoint.Name, endpoint.Addresses, endpoint.TTL = name, settings.addresses, settings.ttl
	if settings.private != nil {
		l.namedPrivate(endpoint, *settings.private, settled, into)
		return
	}
	l.derived(endpoint, settled, into)
}

// derived finds the private name of an endpoint in the catalogue, or the public
// ones if the private name is what is written.
func (l *loader) derived(endpoint Endpoint, settled bool, into *mappings) {
	if match, private := l.catalogue.ZoneOf(endpoint.Name); private {
		if endpoint.Name == match.Zone {
			l.rep.add(endpoint.Place, faultf("write a name below it", "%s is a zone itself, not a name in it", match.Zone))
			return
		}
		if settled {
			public := l.publicNames(endpoint.Name)
			l.noteUnanswered(endpoint, match, public)
			spelledPrivate(endpoint, match.Zone, public, into)
		}
		return
	}
	match, err := l.catalogue.Derive(endpoint.Name)
	switch {
	case err == nil:
		endpoint.Private, endpoint.Zone = match.Private, match.Zone
	case !errors.Is(err, azure.ErrNotInCatalogue):
		l.rep.add(endpoint.Place, derivationFault(endpoint, err))
		return
	default:
		l.noteOdd(endpoint)
	}
	if settled {
		into.add(endpoint)
	}
}

// publicNames are the public names that a private one stands for. A wildcard of a
// zone is reached by the aliases that lead into the zone, and stands for no public
// name: that would be the resources of everybody, unless the names below it are
// one customer's own.
func (l *loader) publicNames(private zones.Name) []zones.Name {
	if private.IsWildcard() && !l.catalogue.IsCustomerWildcard(private) {
		return nil
	}
	return l.catalogue.PublicNames(private)
}

// spelledPrivate enters an endpoint whose key is a private name under its public names.
func spelledPrivate(endpoint Endpoint, zone zones.Name, public []zones.Name, into *mappings) {
	endpoint.Zone = zone
	if len(public) == 0 {
		into.add(endpoint)
		return
	}
	endpoint.Private = endpoint.Name
	for _, name := range public {
		endpoint.Name = name
		into.add(endpoint)
	}
}

// derivationFault says why a name has no private name that can be computed, and
// what to write then.
func derivationFault(endpoint Endpoint, err error) *fault {
	address := "10.0.1.4"
	if len(endpoint.Addresses) > 0 {
		address = endpoint.Addresses[0].String()
	}
	remedy := fmt.Sprintf("write { addresses = [%q], private_name = \"...\" } with the name that the "+
		"network interface of the private endpoint shows", address)
	var notDerivable *azure.NotDerivableError
	if errors.As(err, &notDerivable) {
		return faultf(remedy, "the private name cannot be derived: %s", notDerivable.Reason)
	}
	return faultf("write a name below it", "%s", err)
}

// namedPrivate takes the private name that the operator gave.
func (l *loader) namedPrivate(endpoint Endpoint, private entry, settled bool, into *mappings) {
	name, f := parseHost(private.text)
	if f == nil {
		endpoint.Private = name
		endpoint.Zone, f = l.zoneOfPrivate(endpoint)
	}
	switch {
	case f != nil:
		l.rep.add(private.place, f)
	case settled:
		into.add(endpoint)
	}
}

// zoneOfPrivate finds the zone of a private name that the operator gave: the
// catalogue's, else what begins at a label that says privatelink, else the parent.
func (l *loader) zoneOfPrivate(endpoint Endpoint) (zones.Name, *fault) {
	private := endpoint.Private
	switch _, spelled := l.catalogue.ZoneOf(endpoint.Name); {
	case private == endpoint.Name || spelled:
		return zones.Name{}, faultf("remove private_name", "%s is the private name already", endpoint.Name)
	case private.IsWildcard() != endpoint.Name.IsWildcard():
		return zones.Name{}, faultf("give both names the leftmost label *, or neither", "only one of %s and %s is a wildcard",
			endpoint.Name, private)
	}
	if match, known := l.catalogue.ZoneOf(private); known {
		return match.Zone, nil
	}
	parent, _ := private.Parent()
	for at, more := parent, true; more; at, more = at.Parent() {
		if strings.HasPrefix(at.FQDN(), "privatelink") {
			return at, nil
		}
	}
	if len(parent.Labels()) < 2 {
		return zones.Name{}, faultf(`write a name such as "mydb.privatelink.contoso.com"`, "the zone of %s would be %s", private, parent)
	}
	return parent, nil
}
