package zones

import (
	"net/netip"

	"github.com/miekg/dns"
)

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
	if o.kind != aliasRef {
		return targetAt(o.records)
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
		return addressType(o.endpoint.Addresses()[0])
	}
	return dns.TypeANY
}

// addressRecords are the records of the type that hold the addresses.
func addressRecords(addrs []netip.Addr, ttl uint32, name Name, qtype uint16) []dns.RR {
	var records []dns.RR
	for _, addr := range addrs {
		switch {
		case addressType(addr) != qtype:
		case qtype == dns.TypeA:
			records = append(records, &dns.A{Hdr: header(name, qtype, ttl), A: addr.AsSlice()})
		default:
			records = append(records, &dns.AAAA{Hdr: header(name, qtype, ttl), AAAA: addr.AsSlice()})
		}
	}
	return records
}

// addressType is the type of the record that holds an address.
func addressType(addr netip.Addr) uint16 {
	if addr.Is4() {
		return dns.TypeA
	}
	return dns.TypeAAAA
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

// soa is the SOA record of a zone served here. It has no primary and nobody to
// write to; the values are those of RFC 6303 section 3 with Azure's minimum.
func soa(zone Name) *dns.SOA {
	return &dns.SOA{
		Hdr: header(zone, dns.TypeSOA, NegativeTTL),
		Ns:  zone.FQDN(), Mbox: "nobody.invalid.",
		Serial: 1, Refresh: 3600, Retry: 1200, Expire: 604800, Minttl: NegativeTTL,
	}
}
