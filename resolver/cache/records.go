package cache

import "github.com/miekg/dns"

// withTTL gives records with the TTLs that change makes of theirs. Records that
// keep their TTL are shared with the argument, the others are shallow copies
// that share everything but the header; where none changes it is the argument.
func withTTL(records []dns.RR, change func(ttl uint32) uint32) []dns.RR {
	var changed []dns.RR
	for i, rr := range records {
		old := rr.Header().Ttl
		ttl := change(old)
		if ttl == old {
			continue
		}
		if changed == nil {
			changed = make([]dns.RR, len(records))
			copy(changed, records)
		}
		rr = shallow(rr)
		rr.Header().Ttl = ttl
		changed[i] = rr
	}
	if changed == nil {
		return records
	}
	return changed
}

// shallow copies the top of a record and shares what it points to: all that is
// wanted is a header of its own, and dns.Copy would copy addresses, texts and
// parameters too. Types that are rarely asked for go to dns.Copy.
func shallow(rr dns.RR) dns.RR {
	switch rr := rr.(type) {
	case *dns.A:
		return clone(rr)
	case *dns.AAAA:
		return clone(rr)
	case *dns.CNAME:
		return clone(rr)
	case *dns.SOA:
		return clone(rr)
	case *dns.NS:
		return clone(rr)
	case *dns.PTR:
		return clone(rr)
	case *dns.MX:
		return clone(rr)
	case *dns.TXT:
		return clone(rr)
	case *dns.SRV:
		return clone(rr)
	case *dns.HTTPS:
		return clone(rr)
	case *dns.SVCB:
		return clone(rr)
	case *dns.CAA:
		return clone(rr)
	case *dns.RRSIG:
		return clone(rr)
	case *dns.NSEC:
		return clone(rr)
	case *dns.NSEC3:
		return clone(rr)
	case *dns.DS:
		return clone(rr)
	case *dns.DNSKEY:
		return clone(rr)
	case *dns.RFC3597:
		return clone(rr)
	default:
		return dns.Copy(rr)
	}
}

func clone[T any](record *T) *T {
	copied := *record
	return &copied
}
