package zones

import (
	"net/netip"

	"github.com/miekg/dns"
)

// owner is what stands at a name that is answered here. Its implementations are
// pointers into the specification, so that a name costs no more than its key.
type owner interface {
	// rrset gives the records of the type at the name, nil when there are none.
	rrset(name Name, qtype uint16) []dns.RR
	// alias gives the target of the name's CNAME, the zero Name when it has none.
	alias(name Name) Name
	// types are the types of which rrset has records, the best for ANY first.
	types() []uint16
}

// aliasOwner is the public side of an endpoint: an alias of its private name.
type aliasOwner Endpoint

func (o *aliasOwner) rrset(name Name, qtype uint16) []dns.RR {
	target := o.alias(name)
	if qtype != dns.TypeCNAME || target.IsZero() {
		return nil
	}
	return []dns.RR{&dns.CNAME{Hdr: header(name, dns.TypeCNAME, o.TTL), Target: target.FQDN()}}
}

// alias of a wildcard keeps what the "*" stood for: a.env.X is an alias of
// a.env.privatelink.X when *.env.X is one of *.env.privatelink.X. A name so long
// that its alias would be none (RFC 1035 section 2.3.4) has no alias.
func (o *aliasOwner) alias(name Name) Name {
	if !o.Private.IsWildcard() {
		return o.Private
	}
	parent, _ := o.Name.Parent()
	target, _ := o.Private.Parent()
	stem := name.text[:len(name.text)-len(parent.text)-1]
	alias := target.Under(stem)
	if _, fits := dns.IsDomainName(alias.text); !fits {
		return Name{}
	}
	return alias
}

func (o *aliasOwner) types() []uint16 { return []uint16{dns.TypeCNAME} }

// addressOwner is the name of an endpoint at which its addresses stand.
type addressOwner Endpoint

func (o *addressOwner) rrset(name Name, qtype uint16) []dns.RR {
	var records []dns.RR
	for _, addr := range o.Addresses {
		switch {
		case addressType(addr) != qtype:
		case qtype == dns.TypeA:
			records = append(records, &dns.A{Hdr: header(name, qtype, o.TTL), A: addr.AsSlice()})
		default:
			records = append(records, &dns.AAAA{Hdr: header(name, qtype, o.TTL), AAAA: addr.AsSlice()})
		}
	}
	return records
}

func (o *addressOwner) alias(Name) Name { return Name{} }

func (o *addressOwner) types() []uint16 {
	types := make([]uint16, 0, len(o.Addresses))
	for _, addr := range o.Addresses {
		types = append(types, addressType(addr))
	}
	return types
}

// addressType is the type of the record that holds an address.
func addressType(addr netip.Addr) uint16 {
	if addr.Is4() {
		return dns.TypeA
	}
	return dns.TypeAAAA
}

// recordOwner is a name with ordinary records of the operator.
type recordOwner []dns.RR

func (o *recordOwner) rrset(name Name, qtype uint16) []dns.RR {
	var records []dns.RR
	for _, rr := range *o {
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

func (o *recordOwner) alias(Name) Name {
	for _, rr := range *o {
		if cname, is := rr.(*dns.CNAME); is {
			return NameOf(cname.Target)
		}
	}
	return Name{}
}

func (o *recordOwner) types() []uint16 {
	types := make([]uint16, 0, len(*o))
	for _, rr := range *o {
		types = append(types, rr.Header().Rrtype)
	}
	return types
}

// emptyOwner is an empty non-terminal: a name that exists because names below
// it do (RFC 8020, RFC 4592 section 2.2.2).
type emptyOwner struct{}

func (emptyOwner) rrset(Name, uint16) []dns.RR { return nil }
func (emptyOwner) alias(Name) Name             { return Name{} }
func (emptyOwner) types() []uint16             { return nil }

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
