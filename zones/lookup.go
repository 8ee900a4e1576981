package zones

import (
	"strings"

	"github.com/miekg/dns"
)

// Kind is what a network has for a name and type.
type Kind uint8

// The outcomes of a look-up.
const (
	NotOurs Kind = iota // nothing here holds the name: it is for the outside
	Records             // the records asked for
	Alias               // one CNAME; the answer goes on at its target
	NoData              // the name is owned, and has nothing of this type
	NoName              // in a zone of the network, which has no such name: Zone.Missing says what to do
)

// String is the word used in explanations.
func (k Kind) String() string {
	return [...]string{"not ours", "records", "alias", "no data", "no name"}[k]
}

// Result is the outcome of a look-up.
type Result struct {
	Kind    Kind
	Records []dns.RR // of Records and Alias; they may be shared and must not be changed
	Target  Name     // of Alias
	SOA     *dns.SOA // of NoData and NoName
	Zone    Zone     // the zone that the name is in, if it is in one
	Owner   Name     // the name that matched: the asked one, or the wildcard
	// Endpoint is the mapping that decided; zero when it was a record or a zone.
	Endpoint Mapping
	// Missed is the wildcard of an endpoint that a name of NotOurs or NoName lies
	// below and that does not match it, because it is no name of a host; zero for none.
	Missed Name
}

// Owned reports whether the look-up decides the answer whatever the outside says.
// A missing name that is to be asked upstream does not.
func (r Result) Owned() bool {
	return r.Kind != NotOurs && !(r.Kind == NoName && r.Zone.Missing == Forward)
}

// Lookup finds what the network has for a name and a type: the exact name, else the
// closest wildcard (RFC 4592), else what its zone says of a missing name. A name
// with an endpoint or records of its own is owned for every type.
//
// A name that exists by structure alone, as the apex of a zone or because other names
// lie below it, is one of those that a zone says something of: where it
// forwards, the outside knows better than to say that there is nothing.
func (n *Network) Lookup(name Name, qtype uint16) Result {
	found := n.refOf(name)
	if owner := n.owner(found); !owner.isEmpty() {
		return n.answer(owner, name, name, qtype)
	}
	if special, decided := n.lookupSpecial(name, qtype); decided {
		return special
	}
	zone, inZone := n.zoneAt(name)
	var missed Name
	if found == 0 {
		wildcard, source := n.wildcardFor(name)
		switch {
		case wildcard == 0:
		case wildcard.kind() != otherRef && !isHostBelow(name, source):
			missed = source
		default:
			return n.answer(n.owner(wildcard), name, source, qtype)
		}
	}
	switch {
	case !inZone:
		return Result{Kind: NotOurs, Missed: missed}
	case name == zone.Name && qtype == dns.TypeDS:
		return n.delegation(zone)
	case zone.Missing != Forward && name == zone.Name:
		return n.apex(zone, qtype)
	case zone.Missing != Forward && found != 0:
		return Result{Kind: NoData, SOA: soa(zone.Name), Zone: zone, Owner: name}
	default:
		return Result{Kind: NoName, SOA: soa(zone.Name), Zone: zone, Missed: missed}
	}
}

// refOf is what stands at a name, which may be a wildcard's own; 0 for nothing.
func (n *Network) refOf(name Name) ref {
	if found := n.find(name); found != 0 || !name.IsWildcard() {
		return found
	}
	parent, _ := name.Parent()
	return n.wild[parent]
}

// isHostBelow reports whether a name below a wildcard may be one of a host. Labels that
// begin with "_" name services, keys and proofs of ownership (RFC 8552), never what
// an address belongs to: _acme-challenge is looked for where certificates are
// issued, whoever the address behind the wildcard is.
func isHostBelow(name, wildcard Name) bool {
	parent, _ := wildcard.Parent()
	for at, more := name, true; more && at != parent; at, more = at.Parent() {
		if strings.HasPrefix(at.text, "_") {
			return false
		}
	}
	return true
}

// wildcardFor finds the wildcard that covers a name which does not exist: the
// one right below its closest encloser, the nearest ancestor that exists (RFC
// 4592 section 3.3.1). The second result is the wildcard's own name.
func (n *Network) wildcardFor(name Name) (ref, Name) {
	if len(n.wild) == 0 {
		return 0, Name{}
	}
	for at, more := name.Parent(); more; at, more = at.Parent() {
		if found, exists := n.wild[at]; exists {
			return found, at.Under("*")
		}
		if n.find(at) != 0 {
			return 0, Name{}
		}
		if _, apex := n.zones[at]; apex {
			return 0, Name{}
		}
	}
	return 0, Name{}
}

// answer says what an owner has for a type. The source is the name that matched.
func (n *Network) answer(found owner, name, source Name, qtype uint16) Result {
	result := Result{Owner: source, Endpoint: found.endpoint}
	result.Zone, _ = n.zoneAt(name)
	if qtype == dns.TypeSOA && name == result.Zone.Name {
		return n.apex(result.Zone, qtype)
	}
	if qtype == dns.TypeDS && name == result.Zone.Name {
		return n.delegation(result.Zone)
	}
	alias := found.alias(name)
	if qtype == dns.TypeANY { // one RRset is enough (RFC 8482 section 4.1)
		qtype = found.first(alias)
	}
	if records := found.rrset(name, alias, qtype); len(records) > 0 {
		result.Kind, result.Records = Records, records
		return result
	}
	if !alias.IsZero() {
		result.Kind, result.Target, result.Records = Alias, alias, found.rrset(name, alias, dns.TypeCNAME)
		return result
	}
	result.Kind, result.SOA = NoData, soa(n.authorityOf(result, source))
	return result
}

// authorityOf is the zone whose SOA goes with a NODATA. A mapped name outside
// every zone is a zone of its own, so that nothing is claimed about its siblings;
// of a wildcard it is the name that the "*" stands before.
func (n *Network) authorityOf(result Result, source Name) Name {
	if !result.Zone.Name.IsZero() {
		return result.Zone.Name
	}
	if source.IsWildcard() {
		parent, _ := source.Parent()
		return parent
	}
	return source
}

// apex answers for the name of a zone at which nothing else stands.
func (n *Network) apex(zone Zone, qtype uint16) Result {
	result := Result{Kind: NoData, SOA: soa(zone.Name), Zone: zone, Owner: zone.Name}
	switch qtype {
	case dns.TypeSOA, dns.TypeANY:
		result.Kind, result.Records, result.SOA = Records, []dns.RR{result.SOA}, nil
	case dns.TypeDS:
		return n.delegation(zone)
	}
	return result
}

// delegation answers a DS question at the apex of a zone. DS records belong to
// the parent (RFC 4035 section 3.1.4.1), which is the outside unless a zone of
// the network holds it, and even then where that one forwards what it does not have.
func (n *Network) delegation(zone Zone) Result {
	parent, _ := zone.Name.Parent()
	above, local := n.zoneAt(parent)
	if !local && !zone.Special {
		return Result{Kind: NotOurs}
	}
	if !local {
		above = zone
	}
	if above.Missing == Forward {
		return Result{Kind: NoName, SOA: soa(above.Name), Zone: above}
	}
	return Result{Kind: NoData, SOA: soa(above.Name), Zone: above, Owner: zone.Name}
}
