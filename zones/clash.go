package zones

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// ClashKind is a reason why networks cannot be one table.
type ClashKind uint8

// The kinds of clashes.
const (
	// MappedTwice: two endpoints, or an endpoint and a record, or records of two
	// zones, stand at one name of a network.
	MappedTwice ClashKind = iota
	// Differing: two endpoints of a network have one private name, and not the same
	// zone, addresses, TTL, pick and probe.
	Differing
	// TooMany: a network has more endpoints than fit.
	TooMany
	// SameClients: two networks have the same prefix of clients behind one ingress.
	SameClients
	// PathOfAnother: a network claims a path that is the name of another network.
	PathOfAnother
	// NoClients: a network has neither clients nor ingresses.
	NoClients
	// NoListener: queries reach no listener at which the network is looked for,
	// because other networks claim all of them.
	NoListener
	// Covered: longer prefixes of other networks leave a network no client.
	Covered
)

// String names the kind.
func (k ClashKind) String() string {
	return [...]string{"mapped twice", "different settings of one private name", "too many endpoints",
		"the same clients as another network",
		"the name of another network", "neither clients nor ingresses", "no listener is left", "longer prefixes cover all clients"}[k]
}

// Clash is one reason why networks cannot be one table: who, with whom, and what.
type Clash struct {
	Kind    ClashKind
	Network string
	// Others are the networks that it clashes with: one of SameClients, all that a
	// Covered one is covered by.
	Others  []string
	Ingress Ingress      // of SameClients and PathOfAnother; zero where there is none
	Prefix  netip.Prefix // of SameClients
	Name    Name         // that is mapped twice, or the private name
	// Later and First are what claims Name: First before Later, as the specification
	// has them, and records before endpoints.
	Later, First Claim
}

// Claim is what stands at a name.
type Claim struct {
	Record   dns.RR // the first of a zone at the name; nil where an endpoint stands there
	Endpoint int    // its number in the specification, counted from 0
}

// String is the clash in short, for those who make specifications; users want to
// know where it is written, and what to do.
func (c Clash) String() string {
	text := fmt.Sprintf("network %s: %s", c.Network, c.Kind)
	if !c.Name.IsZero() {
		text += ": " + c.Name.String()
	}
	if c.Prefix.IsValid() {
		text += ": " + c.Prefix.String()
	}
	if !c.Ingress.IsZero() {
		text += ": " + c.Ingress.String()
	}
	if len(c.Others) > 0 {
		text += ": " + strings.Join(c.Others, ", ")
	}
	return text
}

// Clashes are all reasons why networks cannot be one table.
type Clashes []Clash

// Error has one line for each clash.
func (c Clashes) Error() string {
	lines := make([]string, len(c))
	for i := range c {
		lines[i] = c[i].String()
	}
	return strings.Join(lines, "\n")
}
