package cache

import (
	"slices"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
)

const (
	// maxMaxTTL is the longest that anything is kept (RFC 8767 section 4).
	maxMaxTTL = 7 * 24 * time.Hour
	// minFailureTTL is the shortest that a failure is remembered (RFC 9520
	// section 3.2).
	minFailureTTL = time.Second
	// maxFailureTTL keeps recovery a matter of seconds; RFC 9520 would allow five
	// minutes.
	maxFailureTTL = 30 * time.Second
)

// verdict is what a reply is good for.
type verdict uint8

const (
	fleeting verdict = iota // an answer, good for those who asked and no longer
	lasting                 // an answer, to be kept
	failed                  // no answer
)

// limits are the bounds of a TTL, in seconds.
type limits struct {
	low, high uint32 // of what is there
	negative  uint32 // of what is not there, at most; not above high
}

// judge decides whether a reply may be kept, and for how long: the smallest TTL
// of its records (RFC 2181 section 5.2, RFC 1034 section 3.6.2 for the chain),
// and for a negative one also the SOA's MINIMUM. It gives the reply with its TTLs
// as they are kept and told from now on. TTLs with the high bit set are large,
// not zero (RFC 8767 section 4), and are cut like all large ones.
func (l limits) judge(q resolver.Question, reply resolver.Reply) (verdict, time.Duration, resolver.Reply) {
	switch {
	case !answered(reply):
		return failed, 0, reply
	case reply.Rcode == dns.RcodeSuccess && answers(q.Type, reply.Answer):
		return l.positive(reply)
	default:
		return l.denial(q, reply)
	}
}

// answered tells whether a reply says what is there, or that there is nothing.
// All other RCODEs are failures of whoever was asked.
func answered(reply resolver.Reply) bool {
	return reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError
}

// positive judges a reply that holds what was asked for. A TTL of zero is for
// this transaction only (RFC 1035 section 3.2.1), whatever the floor.
func (l limits) positive(reply resolver.Reply) (verdict, time.Duration, resolver.Reply) {
	if smallest(reply) == 0 {
		return fleeting, 0, reply
	}
	bound := func(ttl uint32) uint32 { return max(l.low, min(ttl, l.high)) }
	reply.Answer = withTTL(reply.Answer, bound)
	reply.Authority = withTTL(reply.Authority, bound)
	return lasting, seconds(smallest(reply)), reply
}

// denial judges a reply that says that there is nothing (RFC 2308 sections 3
// and 5, RFC 9077 for its proof): without an SOA of the denied name it must not
// be kept. The floor does not lift it, or new names would take long to appear.
func (l limits) denial(q resolver.Question, reply resolver.Reply) (verdict, time.Duration, resolver.Reply) {
	soa := authority(q, reply)
	if soa == nil {
		return fleeting, 0, reply
	}
	ttl := min(smallest(reply), soa.Minttl, l.negative)
	if ttl == 0 {
		return fleeting, 0, reply
	}
	reply.Answer = withTTL(reply.Answer, func(own uint32) uint32 { return min(own, l.high) })
	reply.Authority = withTTL(reply.Authority, func(own uint32) uint32 { return min(own, ttl) })
	return lasting, seconds(ttl), reply
}

// answers tells whether records hold something of the type that was asked for,
// and not just a chain that leads nowhere.
func answers(qtype uint16, records []dns.RR) bool {
	for _, rr := range records {
		if qtype == dns.TypeANY || rr.Header().Rrtype == qtype {
			return true
		}
	}
	return false
}

// authority is the SOA of the zone that the denied name is in: the asked name,
// or the end of its chain (RFC 2308 section 2.1). Nil when there is none.
func authority(q resolver.Question, reply resolver.Reply) *dns.SOA {
	denied := q.Name.FQDN()
	for _, rr := range reply.Answer {
		if alias, ok := rr.(*dns.CNAME); ok {
			denied = alias.Target
		}
	}
	for _, rr := range reply.Authority {
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, denied) {
			return soa
		}
	}
	return nil
}

// smallest is the smallest TTL of all records of a reply, which has some.
func smallest(reply resolver.Reply) uint32 {
	least := ^uint32(0)
	for _, rr := range reply.Answer {
		least = min(least, rr.Header().Ttl)
	}
	for _, rr := range reply.Authority {
		least = min(least, rr.Header().Ttl)
	}
	return least
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }

// ttlOf is a setting as a TTL. Fractions of a second count upwards, so that no
// small setting turns into zero.
func ttlOf(d time.Duration) uint32 {
	return uint32((d + time.Second - 1) / time.Second)
}

// withTTL gives records with the TTLs that change makes of theirs. Records that
// keep their TTL are shared with the argument, the others are copies; where none
// changes it is the argument.
func withTTL(records []dns.RR, change func(ttl uint32) uint32) []dns.RR {
	var changed []dns.RR
	for i, rr := range records {
		old := rr.Header().Ttl
		ttl := change(old)
		if ttl == old {
			continue
		}
		if changed == nil {
			changed = slices.Clone(records)
		}
		changed[i] = dns.Copy(rr)
		changed[i].Header().Ttl = ttl
	}
	if changed == nil {
		return records
	}
	return changed
}
