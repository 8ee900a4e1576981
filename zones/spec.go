package zones

import (
	"net/netip"

	"github.com/miekg/dns"
)

// Missing is what a network does with a name in one of its zones that has no
// endpoint and no record.
type Missing uint8

// The zero Missing stands for "as the network says", and in a network for
// [Forward].
const (
	Inherit  Missing = iota
	Forward          // ask upstream, so that another tenant's resource still works
	NXDomain         // say that it does not exist, as Azure's private zones do
	Refuse           // do not answer
)

// String is the word used in the configuration file.
func (m Missing) String() string {
	switch m {
	case NXDomain:
		return "nxdomain"
	case Refuse:
		return "refuse"
	default:
		return "forward"
	}
}

// DefaultTTL is the TTL in seconds of an endpoint that names none: what Azure
// writes into a private zone.
const DefaultTTL = 10

// NegativeTTL is the SOA minimum in seconds of every zone served here (RFC 2308
// section 5), the value of Azure's private zones.
const NegativeTTL = 10

// NetworkSpec is one consumer network as [Build] takes it. All of it has been
// checked by whoever made it; Build finds what keeps networks from being one table.
type NetworkSpec struct {
	Name string
	// Clients are the prefixes its clients ask from. A network with an ingress and
	// no prefix takes every client of that ingress.
	Clients []netip.Prefix
	// Listeners are the local addresses it is reached by; an unspecified address
	// (0.0.0.0 or ::) stands for every local address with that port.
	Listeners []netip.AddrPort
	// LearnsClients says that its clients may change by themselves: there may be none,
	// which does not stand for every client of an ingress, or none that others leave it.
	LearnsClients bool
	// Links are the link ids of the Private Link Services that it comes through.
	Links []uint32
	// Certificates are DNS names of which its clients have a certificate.
	Certificates []Name
	// Paths follow [DoHPath] in the URLs that it asks.
	Paths []string
	// ServerNames are the names that it knows the server by, over TLS and HTTPS.
	ServerNames []Name
	Missing     Missing
	// RequirePrivate are suffixes: the addresses of names below them are answered only if
	// they are private, wherever they come from.
	RequirePrivate []Name
	// DNS64 makes IPv6 addresses of those of IPv4; nil makes none.
	DNS64     *DNS64
	Endpoints []Endpoint
	// Mapped takes the place of Endpoints where it is not nil: many endpoints in little
	// memory, which the network goes on using.
	Mapped *Endpoints
	Zones  []ZoneSpec
	// Routes are the suffixes, other than the root, that the operator sends to an
	// upstream by name. The zones that are answered locally only because nobody
	// should ask the public about them (RFC 6303, RFC 6761) give way to these.
	Routes []Name
}

// mapped are the endpoints, however they are given.
func (s *NetworkSpec) mapped() *Endpoints {
	if s.Mapped != nil {
		return s.Mapped
	}
	mapped := new(Endpoints)
	mapped.Grow(len(s.Endpoints))
	for i := range s.Endpoints {
		mapped.Add(&s.Endpoints[i])
	}
	return mapped
}

// Endpoint is one mapping: a real name and the private addresses it has in a
// network.
type Endpoint struct {
	// Name is the name that clients ask for; its leftmost label may be "*".
	Name Name
	// Private is the privatelink name that Name is an alias of. The zero Name
	// says that there is none and the addresses stand at Name itself.
	Private Name
	// Zone is the privatelink zone of Private; zero where Private is.
	Zone      Name
	Addresses []netip.Addr
	TTL       uint32 // seconds
	Pick      Pick
	Probe     Probe
}

// Pick is which of an endpoint's addresses are answered, of those that its probe
// finds healthy if it has one.
type Pick uint8

// The ways to pick.
const (
	PickAll          Pick = iota // all of them
	PickFirstHealthy             // the first of them
)

// String is the word used in the configuration file.
func (p Pick) String() string {
	if p == PickFirstHealthy {
		return "first-healthy"
	}
	return "all"
}

// ZoneSpec is a zone that the operator wrote down: a policy, records, or both, or that it
// is held as a copy of somebody else's.
type ZoneSpec struct {
	Name    Name
	Missing Missing
	// Records are of class IN, at or below Name. They are kept, not copied.
	Records []dns.RR
	// Copy is the id of the copy that the zone is answered from: whoever answers knows
	// them by it. Empty for none. What a copy does not have is missing: Inherit stands for
	// NXDomain then, whatever the network says. The zone has no Records.
	Copy string
}
