package zones

import (
	"net/netip"
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
	Copied              // in a zone that is held as a copy, which says what there is: see Zone.Copy
)

// String is the word used in explanations.
func (k Kind) String() string {
	return [...]string{"not ours", "records", "alias", "no data", "no name", "copied"}[k]
}

// Result is the outcome of a look-up.
type Result struct {
	Kind    Kind
	Records []dns.RR // of Records and Alias; they may be shared and must not be changed
	Target  Name     // of Alias
	SOA     *dns.SOA // of NoData and NoName
	Zone    Zone     // the zone that the name is in, if it is in one
	// Owner is the name that matched: the asked one, or the wildcard. Of Copied it is the
	// apex of a zone below, which the copy is asked about; else zero.
	Owner Name
	// Endpoint is the mapping that decided; zero when it was a record or a zone.
	Endpoint Mapping
	// Missed is the wildcard of an endpoint that a name of NotOurs or NoName lies
	// below and that does not match it, because it is no name of a host; zero for none.
	Missed Name
}

// Owned reports whether the look-up decides the answer whatever the outside says.
// A missing name that is to be asked upstream does not. A copy may yet say that the
// outside is to be asked.
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
//
// A zone that is held as a copy says all that endpoints and records of the operator do
// not, so that the special zones (RFC 6303) give way to it.
func (n *Network) Lookup(name Name, qtype uint16) Result {
	found := n.refOf(name)
	if owner := n.owner(found); !owner.isEmpty() {
		return n.answer(owner, name, name, qtype)
	}
	zone, inZone := n.zoneAt(name)
	if zone.Copy == "" {
		if special, decided := n.lookupSpecial(name, qtype); decided {
			return special
		}
	}
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
	case zone.Copy != "":
		return Result{Kind: Copied, Zone: zone, Missed: missed}
	case zone.Missing != Forward && name == zone.Name:
		return n.apex(zone, qtype)
	case zone.Missing != Forward && found != 0:
		return Result{Kind: NoData, SOA: SOA(zone.Name), Zone: zone, Owner: name}
	default:
		return Result{Kind: NoName, SOA: SOA(zone.Name), Zone: zone, Missed: missed}
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
		if result.Zone.Copy != "" {
			return Result{Kind: Copied, Zone: result.Zone}
		}
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
	result.Kind, result.SOA = NoData, SOA(n.authorityOf(result, source))
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
	result := Result{Kind: NoData, SOA: SOA(zone.Name), Zone: zone, Owner: zone.Name}
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
// A copy knows what to say to those for whom the outside is not asked.
func (n *Network) delegation(zone Zone) Result {
	parent, _ := zone.Name.Parent()
	above, local := n.zoneAt(parent)
	if !local && zone.Copy != "" {
		return Result{Kind: Copied, Zone: zone}
	}
	if !local && !zone.Special {
		return Result{Kind: NotOurs}
	}
	if !local {
		above = zone
	}
	if above.Copy != "" {
		return Result{Kind: Copied, Zone: above, Owner: zone.Name}
	}
	if above.Missing == Forward {
		return Result{Kind: NoName, SOA: SOA(above.Name), Zone: above}
	}
	return Result{Kind: NoData, SOA: SOA(above.Name), Zone: above, Owner: zone.Name}
}

// owner is what stands at a name that is answered here.
type owner struct {
	kind     ref      // 0 for nothing
	endpoint Mapping  // of an alias, or of addresses
	records  []dns.RR // of the operator; none where only names below the name exist
}

// other is a name at which no endpoint stands: with ordinary records of the
// operator, or an empty non-terminal, which exists because names below it do (RFC
// 8020, RFC 4592 section 2.2.2).
type other struct {
	name    Name
	records []dns.RR
}

// owner is what a ref stands for.
func (n *Network) owner(r ref) owner {
	switch r.kind() {
	case aliasRef, addressRef:
		return owner{kind: r.kind(), endpoint: n.mapped.At(int(r.number()))}
	case otherRef:
		return owner{kind: otherRef, records: n.others[r.number()].records}
	}
	return owner{}
}

// isEmpty reports whether nothing is said here of a name: it does not exist, or only
// because others do below it.
func (o *owner) isEmpty() bool { return o.endpoint.IsZero() && o.records == nil }

// rrset gives the records of the type at the name, which has an alias or not; nil when there
// are none.
func (o *owner) rrset(name, alias Name, qtype uint16) []dns.RR {
	switch {
	case o.endpoint.IsZero():
		return recordsAt(o.records, name, qtype)
	case alias.IsZero():
		return addressRecords(o.endpoint.Addresses(), o.endpoint.TTL(), name, qtype)
	case qtype == dns.TypeCNAME:
		return []dns.RR{&dns.CNAME{Hdr: header(name, qtype, o.endpoint.TTL()), Target: alias.FQDN()}}
	}
	return nil
}

// alias gives the target of the name's CNAME, the zero Name when it has none.
//
// The target of a wildcard keeps what the "*" stood for: a.env.X is an alias of
// a.env.privatelink.X when *.env.X is one of *.env.privatelink.X. A name so long
// that its alias would be none (RFC 1035 section 2.3.4) has no alias: the addresses
// stand at the name itself.
func (o *owner) alias(name Name) Name {
	switch {
	case o.endpoint.IsZero():
		return targetAt(o.records)
	case o.kind != aliasRef:
		return Name{}
	}
	private := o.endpoint.Private()
	if !private.IsWildcard() {
		return private
	}
	parent, _ := o.endpoint.Name().Parent()
	target, _ := private.Parent()
	stem := name.text[:len(name.text)-len(parent.text)-1]
	alias := target.Under(stem)
	if _, fits := dns.IsDomainName(alias.text); !fits {
		return Name{}
	}
	return alias
}

// first is the type of the records that are best for ANY; ANY when the name has none.
func (o *owner) first(alias Name) uint16 {
	switch {
	case !alias.IsZero():
		return dns.TypeCNAME
	case len(o.records) > 0:
		return o.records[0].Header().Rrtype
	case !o.endpoint.IsZero() && len(o.endpoint.Addresses()) > 0:
		if o.endpoint.Addresses()[0].Is6() {
			return dns.TypeAAAA
		}
		return dns.TypeA
	}
	return dns.TypeANY
}

// addressRecords are the records of the type that hold the addresses.
func addressRecords(addrs []netip.Addr, ttl uint32, name Name, qtype uint16) []dns.RR {
	var records []dns.RR
	for _, addr := range addrs {
		switch {
		case qtype == dns.TypeA && addr.Is4():
			records = append(records, &dns.A{Hdr: header(name, qtype, ttl), A: addr.AsSlice()})
		case qtype == dns.TypeAAAA && addr.Is6():
			records = append(records, &dns.AAAA{Hdr: header(name, qtype, ttl), AAAA: addr.AsSlice()})
		}
	}
	return records
}

// recordsAt are the operator's records of the type, at the name that was asked for.
func recordsAt(all []dns.RR, name Name, qtype uint16) []dns.RR {
	var records []dns.RR
	for _, rr := range all {
		if rr.Header().Rrtype != qtype {
			continue
		}
		if rr.Header().Name != name.FQDN() { // a wildcard, or the operator's letter case
			rr = dns.Copy(rr)
			rr.Header().Name = name.FQDN()
		}
		records = append(records, rr)
	}
	return records
}

// targetAt is the target of the CNAME among the records.
func targetAt(all []dns.RR) Name {
	for _, rr := range all {
		if cname, is := rr.(*dns.CNAME); is {
			return NameOf(cname.Target)
		}
	}
	return Name{}
}

func header(name Name, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name.FQDN(), Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

// SOA is the SOA record of a zone served here. It has no primary and nobody to
// write to; the values are those of RFC 6303 section 3 with Azure's minimum.
func SOA(zone Name) *dns.SOA {
	return &dns.SOA{
		Hdr: header(zone, dns.TypeSOA, NegativeTTL),
		Ns:  zone.FQDN(), Mbox: "nobody.invalid.",
		Serial: 1, Refresh: 3600, Retry: 1200, Expire: 604800, Minttl: NegativeTTL,
	}
}
