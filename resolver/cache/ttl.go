package cache

import (
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
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

// judge decides whether a reply, which is in wire form, may be kept, and for how long:
// the smallest TTL of its records (RFC 2181 section 5.2, RFC 1034 section 3.6.2 for the
// chain), and for a negative one also the SOA's MINIMUM. It gives the reply with its
// TTLs as they are kept and told from now on. TTLs with the high bit set are large,
// not zero (RFC 8767 section 4), and are cut like all large ones.
func (l limits) judge(q resolver.Question, reply resolver.Reply) (verdict, time.Duration, resolver.Reply) {
	switch {
	case !answered(reply):
		return failed, 0, reply
	case reply.Rcode == dns.RcodeSuccess && answers(q.Type, reply.Wire):
		return l.positive(reply)
	default:
		return l.denial(reply)
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
	least := smallest(reply.Wire)
	if least == 0 {
		return fleeting, 0, reply
	}
	reply.Wire = reply.Wire.Bounded(wire.Answer, l.low, l.high).Bounded(wire.Authority, l.low, l.high)
	return lasting, seconds(max(l.low, min(least, l.high))), reply
}

// denial judges a reply that says that there is nothing (RFC 2308 sections 3
// and 5, RFC 9077 for its proof): without an SOA of the denied name it must not
// be kept. The floor does not lift it, or new names would take long to appear.
func (l limits) denial(reply resolver.Reply) (verdict, time.Duration, resolver.Reply) {
	minimum, found := authority(reply.Wire)
	if !found {
		return fleeting, 0, reply
	}
	ttl := min(smallest(reply.Wire), minimum, l.negative)
	if ttl == 0 {
		return fleeting, 0, reply
	}
	reply.Wire = reply.Wire.Bounded(wire.Answer, 0, l.high).Bounded(wire.Authority, 0, ttl)
	return lasting, seconds(ttl), reply
}

// answers tells whether a message holds something of the type that was asked for,
// and not just a chain that leads nowhere.
func answers(qtype uint16, m wire.Message) bool {
	for record := range m.In(wire.Answer) {
		if qtype == dns.TypeANY || record.Type == qtype {
			return true
		}
	}
	return false
}

// authority gives the MINIMUM of the SOA of the zone that the denied name is in: the
// asked name, or the end of its chain (RFC 2308 section 2.1). False when there is none.
func authority(m wire.Message) (minimum uint32, found bool) {
	denied := wire.HeaderSize
	for record := range m.In(wire.Answer) {
		if record.Type == dns.TypeCNAME {
			denied = record.Data
		}
	}
	for record := range m.In(wire.Authority) {
		if record.Type == dns.TypeSOA && wire.Within(m.Octets(), denied, record.Owner) {
			return record.MinTTL(m.Octets()), true
		}
	}
	return 0, false
}

// smallest is the smallest TTL of all records of a message, which has some.
func smallest(m wire.Message) uint32 {
	least := ^uint32(0)
	for _, section := range []wire.Section{wire.Answer, wire.Authority} {
		for record := range m.In(section) {
			least = min(least, record.TTL)
		}
	}
	return least
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }

// ttlOf is a setting as a TTL. Fractions of a second count upwards, so that no
// small setting turns into zero.
func ttlOf(d time.Duration) uint32 {
	return uint32((d + time.Second - 1) / time.Second)
}
