package azure

import (
	"slices"
	"strings"

	"pldns/zones"
)

// HasPrivatelink reports whether a name has the label that private zones begin with.
func HasPrivatelink(name zones.Name) bool {
	return strings.Contains(name.FQDN(), privatelink) && slices.ContainsFunc(name.Labels(), isPrivatelink)
}
