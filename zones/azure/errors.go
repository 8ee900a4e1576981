package azure

import (
	"errors"
	"fmt"

	"pldns/zones"
)

// ErrNotInCatalogue says that no public zone of Private Link covers a name, such
// as one of the operator's own: it has no private name, and needs none.
var ErrNotInCatalogue = errors.New("no public zone of Azure Private Link covers the name")

// ErrAlreadyPrivate says that a name lies in a privatelink zone, so that there is
// nothing to derive: [Catalogue.ZoneOf] finds its zone and
// [Catalogue.PublicNames] what clients call it.
var ErrAlreadyPrivate = errors.New("the name lies in a privatelink zone itself")

// NotDerivableError says that a name is in a public zone of Private Link, but
// that its private name cannot be computed from it. The text tells an operator
// why, and where to find the name.
type NotDerivableError struct {
	Name   zones.Name
	Entry  Entry // the row that covers the name
	Reason string
}

// Error implements error.
func (e *NotDerivableError) Error() string {
	return fmt.Sprintf("the private name of %s (%s) cannot be derived: %s; where the name is right, give private_name, "+
		"as the network interface of the private endpoint or the CNAME chain of the name shows it",
		e.Name, e.Entry.Service, e.Reason)
}
