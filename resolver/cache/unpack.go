package cache

import (
	"encoding/binary"
	"net"
	"slices"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
)

// reply is what e says at a moment, with the TTLs that are left of it; stale is the
// form in which it is told after it has expired. The name is that of the question,
// which the records share. It is false if e cannot be read, which newEntry rules out.
func (e *entry) reply(name string, now moment, stale bool) (resolver.Reply, error, bool) {
	reply := resolver.Reply{
		Rcode: int(e.rcode), Authenticated: e.traits.has(authenticated), Source: resolver.FromCache,
		Group: e.group, Server: e.server,
	}
	var err error
	if e.also != nil {
		reply.Errors, err = slices.Clip(e.also.errors), e.also.err
	}
	if stale {
		outdate(&reply)
	}
	answers, authority := e.counts()
	r := reader{wire: e.wire, name: name, at: headerSize + e.nameSize() + 4, passed: e.passed(now), stale: stale}
	var read bool
	if reply.Answer, read = r.section(answers); read {
		reply.Authority, read = r.section(authority)
	}
	return reply, err, read
}

// outdate says of a reply that it is stale: with the extended error of RFC 8914
// sections 4.3 and 4.19, and not vouched for.
func outdate(reply *resolver.Reply) {
	reply.Source, reply.Authenticated = resolver.FromStale, false
	code := dns.ExtendedErrorCodeStaleAnswer
	if reply.Rcode == dns.RcodeNameError {
		code = dns.ExtendedErrorCodeStaleNXDOMAINAnswer
	}
	reply.Errors = slices.Concat(reply.Errors, []resolver.Error{{Code: code, Text: staleText}})
}

// nameSize is the length of the name in the question.
func (e *entry) nameSize() int {
	at := headerSize
	for e.wire[at] != 0 {
		at += int(e.wire[at]) + 1
	}
	return at + 1 - headerSize
}

// passed are the whole seconds since the TTLs of e were true.
func (e *entry) passed(now moment) uint32 { return uint32(max(0, now-e.asOf) / time.Second) }

// reader reads the records of a message that pack has written. Addresses and the
// aliases that lead to them have a short way that makes as little garbage as there
// can be; what comes out is what the library would have made of them (FuzzPack).
type reader struct {
	wire   []byte
	name   string // the one in the question
	at     int
	passed uint32 // seconds that TTLs are lowered by
	stale  bool

	target   string // of the last alias
	targetAt int    // where that is
	left     int    // records of the section that are not read yet
	v4       []heldA
	v6       []heldAAAA
}

// maxHeld is how many addresses are made in one piece of memory at most.
const maxHeld = 32

// heldA and heldAAAA are records together with their addresses.
type (
	heldA struct {
		dns.A
		addr [net.IPv4len]byte
	}
	heldAAAA struct {
		dns.AAAA
		addr [net.IPv6len]byte
	}
)

// section reads so many records.
func (r *reader) section(count int) ([]dns.RR, bool) {
	if count == 0 {
		return nil, true
	}
	records := make([]dns.RR, count)
	for i := range records {
		r.left = count - i
		rr := r.plain()
		if rr == nil {
			var err error
			if rr, r.at, err = dns.UnpackRR(r.wire, r.at); err != nil {
				return nil, false
			}
			rr.Header().Ttl = r.ttl(rr.Header().Ttl)
		}
		records[i] = rr
	}
	return records, true
}

// ttl is what is left of a TTL: of what has expired, and of nothing more than
// that, what RFC 8767 section 4 says.
func (r *reader) ttl(ttl uint32) uint32 {
	ttl -= min(ttl, r.passed)
	if r.stale && (ttl == 0 || ttl > staleTTL) {
		return staleTTL
	}
	return ttl
}

// plain reads a record that has a short way, nil if it has none.
func (r *reader) plain() dns.RR {
	const fixed = 2 + recordSize // with a pointer as the owner
	be := binary.BigEndian
	from := r.wire[r.at:]
	if len(from) < fixed || be.Uint16(from[4:]) != dns.ClassINET {
		return nil
	}
	header := dns.RR_Header{
		Rrtype: be.Uint16(from[2:]), Class: dns.ClassINET, Ttl: r.ttl(be.Uint32(from[6:])), Rdlength: be.Uint16(from[10:]),
	}
	switch owner := int(be.Uint16(from)); {
	case owner == pointer|headerSize:
		header.Name = r.name
	case r.targetAt > 0 && owner == pointer|r.targetAt:
		header.Name = r.target
	default:
		return nil
	}
	start, end := r.at+fixed, r.at+fixed+int(header.Rdlength)
	if end > len(r.wire) {
		return nil
	}
	rr := r.data(header, start, end)
	if rr != nil {
		r.at = end
	}
	return rr
}

// data reads what a record with the header says, nil if that has no short way.
func (r *reader) data(header dns.RR_Header, start, end int) dns.RR {
	switch length := end - start; {
	case header.Rrtype == dns.TypeA && length == net.IPv4len:
		if len(r.v4) == 0 {
			r.v4 = make([]heldA, min(r.left, maxHeld))
		}
		held := &r.v4[0]
		r.v4 = r.v4[1:]
		copy(held.addr[:], r.wire[start:end])
		held.A = dns.A{Hdr: header, A: held.addr[:]}
		return &held.A
	case header.Rrtype == dns.TypeAAAA && length == net.IPv6len:
		if len(r.v6) == 0 {
			r.v6 = make([]heldAAAA, min(r.left, maxHeld))
		}
		held := &r.v6[0]
		r.v6 = r.v6[1:]
		copy(held.addr[:], r.wire[start:end])
		held.AAAA = dns.AAAA{Hdr: header, AAAA: held.addr[:]}
		return &held.AAAA
	case header.Rrtype == dns.TypeCNAME:
		target, after, err := dns.UnpackDomainName(r.wire, start)
		if err != nil || after != end {
			return nil
		}
		r.target, r.targetAt = target, start
		return &dns.CNAME{Hdr: header, Target: target}
	}
	return nil
}
