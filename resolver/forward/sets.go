package forward

import (
	"github.com/miekg/dns"

	"pldns/resolver"
)

// setKey tells record sets apart. The signatures over a set have a key of their
// own.
type setKey struct {
	name      string // canonical
	rrtype    uint16
	signature bool
}

// sets are the records of a section by owner and type, in their order. They are
// looked up and never searched, so that the work stays in proportion to the
// message (the class of CVE-2023-4408).
type sets struct {
	by    map[setKey][]dns.RR
	order []setKey // of the first record of each set, signatures left out
	types map[uint16]bool
}

// collect sorts records of class IN into sets.
func collect(rrs []dns.RR) sets {
	s := sets{by: make(map[setKey][]dns.RR, len(rrs)), types: make(map[uint16]bool)}
	for _, rr := range rrs {
		h := rr.Header()
		if h.Class != dns.ClassINET {
			continue
		}
		key := setKey{dns.CanonicalName(h.Name), h.Rrtype, false}
		if len(s.by[key]) == 0 {
			s.order = append(s.order, key)
			s.types[key.rrtype] = true
		}
		s.by[key] = append(s.by[key], rr)
		if sig, ok := rr.(*dns.RRSIG); ok {
			key := setKey{key.name, sig.TypeCovered, true}
			s.by[key] = append(s.by[key], rr)
		}
	}
	return s
}

// has tells whether there is any record of type t.
func (s sets) has(t uint16) bool { return s.types[t] }

// get is one record set made tidy, with its signatures after it if they are
// wanted.
func (s sets) get(name string, t uint16, signed bool) []dns.RR {
	set := s.by[setKey{name, t, false}]
	if len(set) == 0 {
		return nil
	}
	n := len(set)
	if signed && t != dns.TypeRRSIG {
		set = append(set[:n:n], s.by[setKey{name, t, true}]...)
	}
	return tidy(set)
}

// any is one record set of a name, whichever, which is all that somebody who asks
// for ANY needs to know (RFC 8482 section 4.1): the alias, else the first of those
// that are no signatures.
func (s sets) any(name string, signed bool) []dns.RR {
	if alias := s.get(name, dns.TypeCNAME, signed); len(alias) > 0 {
		return alias
	}
	for _, key := range s.order {
		if key.name == name && key.rrtype != dns.TypeRRSIG {
			return s.get(name, key.rrtype, signed)
		}
	}
	return nil
}

// maxTTL is the largest TTL in seconds (RFC 2181 section 8).
const maxTTL = 1<<31 - 1

// tidy drops duplicates and gives the whole set the lowest of its TTLs (RFC 2181
// sections 5 and 5.2), where one with the top bit set counts as 0 (section 8).
func tidy(set []dns.RR) []dns.RR {
	if len(set) > 1 {
		set = unique(set)
	}
	lowest := uint32(maxTTL)
	for _, rr := range set {
		ttl := rr.Header().Ttl
		if ttl > maxTTL {
			ttl = 0
		}
		lowest = min(lowest, ttl)
	}
	for _, rr := range set {
		rr.Header().Ttl = lowest
	}
	return set
}

// unique drops records whose type and data are there already.
func unique(set []dns.RR) []dns.RR {
	seen := make(map[string]bool, len(set))
	var first []dns.RR
	for _, rr := range set {
		if data := dataOf(rr); !seen[data] {
			seen[data] = true
			first = append(first, rr)
		}
	}
	return first
}

// dataOf is a record in wire format as if it stood at the root with TTL 0.
func dataOf(rr dns.RR) string {
	h := rr.Header()
	name, ttl := h.Name, h.Ttl
	h.Name, h.Ttl = ".", 0
	defer func() { h.Name, h.Ttl = name, ttl }()
	wire := make([]byte, dns.Len(rr)+1)
	end, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		return rr.String()
	}
	return string(wire[:end])
}

// authority keeps what belongs to the answer of an authority section: of a
// negative answer the SOA of a zone that the end of the chain lies in, and, if
// DNSSEC is asked for, the NSEC and NSEC3 records, which also prove the wildcard
// behind a positive answer (RFC 4035 section 3.1.3.3). Servers and delegations
// are nobody's business: they are how forwarders get poisoned.
func authority(q resolver.Question, rrs []dns.RR, names []string, negative bool) []dns.RR {
	if len(rrs) == 0 {
		return nil
	}
	s := collect(rrs)
	var keep []dns.RR
	if negative {
		keep = s.soa(names[len(names)-1], q.DNSSEC)
	}
	if q.DNSSEC {
		keep = append(keep, s.proofs(names)...)
	}
	return keep
}

// soa is the SOA of the closest zone around name.
func (s sets) soa(name string, signed bool) []dns.RR {
	for off, end := 0, false; ; off, end = dns.NextLabel(name, off) {
		zone := name[off:]
		if end {
			zone = "."
		}
		if set := s.get(zone, dns.TypeSOA, signed); len(set) > 0 {
			return oneSOA(set)
		}
		if zone == "." {
			return nil
		}
	}
}

// oneSOA drops every SOA but the first: a zone has one (RFC 1035 section 5.2).
func oneSOA(set []dns.RR) []dns.RR {
	var one []dns.RR
	found := false
	for _, rr := range set {
		if rr.Header().Rrtype == dns.TypeSOA {
			if found {
				continue
			}
			found = true
		}
		one = append(one, rr)
	}
	return one
}

// proofs are the signed NSEC and NSEC3 sets of zones that the chain leads
// through.
func (s sets) proofs(names []string) []dns.RR {
	zones := map[string]bool{".": true}
	for _, name := range names {
		for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
			zones[name[off:]] = true
		}
	}
	var keep []dns.RR
	for _, key := range s.order {
		proves := key.rrtype == dns.TypeNSEC || key.rrtype == dns.TypeNSEC3
		if proves && s.signedWithin(key, zones) {
			keep = append(keep, s.get(key.name, key.rrtype, true)...)
		}
	}
	return keep
}

// signedWithin tells whether a set is signed by one of the zones and lies in it.
func (s sets) signedWithin(key setKey, zones map[string]bool) bool {
	for _, rr := range s.by[setKey{key.name, key.rrtype, true}] {
		signer := dns.CanonicalName(rr.(*dns.RRSIG).SignerName)
		if zones[signer] && dns.IsSubDomain(signer, key.name) {
			return true
		}
	}
	return false
}
