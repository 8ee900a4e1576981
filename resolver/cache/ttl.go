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

// judgement is what becomes of a reply.
type judgement struct {
	verdict verdict
	ttl     uint32 // in seconds: for how long it is kept
	aliased bool   // the answer leads over a CNAME or DNAME
}

// judge decides whether a reply, which is in wire form, may be kept, and for how long:
// the smallest TTL of its records (RFC 2181 section 5.2, RFC 1034 section 3.6.2 for the
// chain), and for a negative one also the SOA's MINIMUM. The TTLs of the reply become
// those that are kept and told from now on. TTLs with the high bit set are large,
// not zero (RFC 8767 section 4), and are cut like all large ones.
func (l limits) judge(q resolver.Question, reply *resolver.Reply) judgement {
	if !answered(*reply) {
		return judgement{verdict: failed}
	}
	s := surveyOf(q.Type, reply.Wire)
	if reply.Rcode == dns.RcodeSuccess && s.answers {
		return l.positive(&s, reply)
	}
	return l.denial(&s, reply)
}

// answered tells whether a reply says what is there, or that there is nothing.
// All other RCODEs are failures of whoever was asked.
func answered(reply resolver.Reply) bool {
	return reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError
}

// survey is what the records of a message say about how long it may be kept.
type survey struct {
	least, most uint32 // of their TTLs
	answers     bool   // they hold something of the type that was asked for, and not just a chain that leads nowhere
	aliased     bool   // they lead over a CNAME or DNAME
	zoned       bool   // there is the SOA of the zone that the denied name is in
	minimum     uint32 // its MINIMUM
}

// surveyOf goes through the records of a message once. The denied name is the asked name,
// or the end of its chain (RFC 2308 section 2.1).
func surveyOf(qtype uint16, m wire.Message) survey {
	s := survey{least: ^uint32(0)}
	r, denied, answers := m.Read(), wire.HeaderSize, m.Count(wire.Answer)
	for i := range answers + m.Count(wire.Authority) {
		record, ok := r.Record()
		if !ok {
			break
		}
		s.least, s.most = min(s.least, record.TTL), max(s.most, record.TTL)
		if i >= answers {
			if record.Type == dns.TypeSOA && !s.zoned && wire.Within(m.Octets(), denied, record.Owner) {
				s.zoned, s.minimum = true, record.MinTTL(m.Octets())
			}
			continue
		}
		s.answers = s.answers || qtype == dns.TypeANY || record.Type == qtype
		switch record.Type {
		case dns.TypeCNAME:
			denied, s.aliased = record.Data, true
		case dns.TypeDNAME:
			s.aliased = true
		}
	}
	return s
}

// positive judges a reply that holds what was asked for. A TTL of zero is for
// this transaction only (RFC 1035 section 3.2.1), whatever the floor.
func (l limits) positive(s *survey, reply *resolver.Reply) judgement {
	if s.least == 0 {
		return judgement{verdict: fleeting}
	}
	if s.least < l.low || s.most > l.high {
		reply.Wire = reply.Wire.Bounded(wire.Answer, l.low, l.high).Bounded(wire.Authority, l.low, l.high)
	}
	return judgement{lasting, max(l.low, min(s.least, l.high)), s.aliased}
}

// denial judges a reply that says that there is nothing (RFC 2308 sections 3
// and 5, RFC 9077 for its proof): without an SOA of the denied name it must not
// be kept. The floor does not lift it, or new names would take long to appear.
func (l limits) denial(s *survey, reply *resolver.Reply) judgement {
	ttl := min(s.least, s.minimum, l.negative)
	if !s.zoned || ttl == 0 {
		return judgement{verdict: fleeting}
	}
	reply.Wire = reply.Wire.Bounded(wire.Answer, 0, l.high).Bounded(wire.Authority, 0, ttl)
	return judgement{lasting, ttl, s.aliased}
}

// ttlOf is a setting as a TTL. Fractions of a second count upwards, so that no
// small setting turns into zero.
func ttlOf(d time.Duration) uint32 {
	return uint32((d + time.Second - 1) / time.Second)
}
