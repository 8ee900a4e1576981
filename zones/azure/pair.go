package azure

import (
	"slices"
	"strings"

	"pldns/zones"
)

// PairOf finds, among private names that came with a public one, the one that the
// public name is an alias of: as the zone group of a private endpoint gives them for
// a service that the catalogue does not know. That is the name that is the public
// one but for its privatelink label, or the only one that begins with the same
// label. It is not ok where none is, or several are.
func PairOf(public zones.Name, private []zones.Name) (zones.Name, bool) {
	labels := public.Labels()
	var same []zones.Name
	for _, name := range private {
		theirs := name.Labels()
		at := slices.IndexFunc(theirs, isPrivatelink)
		if at <= 0 || len(labels) == 0 {
			continue // no private name, or a zone itself
		}
		if slices.Equal(slices.Delete(theirs, at, at+1), labels) {
			return name, true
		}
		if theirs[0] == labels[0] {
			same = append(same, name)
		}
	}
	if len(same) == 1 {
		return same[0], true
	}
	return zones.Name{}, false
}

// HasPrivatelink tells whether a name has the label that private zones begin with.
func HasPrivatelink(name zones.Name) bool {
	return strings.Contains(name.FQDN(), privatelink) && slices.ContainsFunc(name.Labels(), isPrivatelink)
}
