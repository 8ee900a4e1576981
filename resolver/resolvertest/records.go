package resolvertest

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// maxChain is how many CNAMEs the upstream follows within its data.
const maxChain = 100

// Records are the data a stand-in for a recursive resolver answers from, by
// canonical name and type. They may be used by many goroutines at once.
type Records struct {
	sets  map[string]map[uint16][]dns.RR
	names map[string]bool // every name that exists, empty non-terminals too
}

// ParseRecords reads a master-file text whose names are absolute or relative to the root.
// A missing TTL is 3600. The error is that of the first line that cannot be read.
func ParseRecords(text string) (*Records, error) {
	d := &Records{sets: make(map[string]map[uint16][]dns.RR), names: map[string]bool{".": true}}
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "")
	parser.SetDefaultTTL(3600)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		d.add(rr)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("read master-file text: %w", err)
	}
	return d, nil
}

// add puts one record in, and the names above it.
func (d *Records) add(rr dns.RR) {
	name := dns.CanonicalName(rr.Header().Name)
	if d.sets[name] == nil {
		d.sets[name] = make(map[uint16][]dns.RR)
	}
	t := rr.Header().Rrtype
	d.sets[name][t] = append(d.sets[name][t], rr)
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		d.names[name[off:]] = true
	}
}

// Reply is what a recursive resolver with these data says to query, which has one
// question: chains are followed within the data, and what is not in them does
// not exist.
func (d *Records) Reply(query *dns.Msg) *dns.Msg {
	reply := new(dns.Msg)
	reply.SetReply(query)
	reply.CheckingDisabled = query.CheckingDisabled
	reply.RecursionAvailable = true
	opt := query.IsEdns0()
	signed := opt != nil && opt.Do()

	name := query.Question[0].Name
	qtype := query.Question[0].Qtype
	for range maxChain {
		alias, ok := d.step(reply, name, qtype, signed)
		if !ok || answers(reply.Answer, alias) {
			break
		}
		name = alias
	}
	if opt != nil {
		reply.SetEdns0(1232, opt.Do())
	}
	return reply
}

// step adds what stands at name; it gives the name to go on with at an alias.
func (d *Records) step(reply *dns.Msg, name string, qtype uint16, signed bool) (alias string, ok bool) {
	sets, exists := d.at(name)
	switch {
	case qtype == dns.TypeANY && len(sets) > 0:
		for t := range sets {
			reply.Answer = append(reply.Answer, d.owned(name, sets[t])...)
		}
	case len(sets[qtype]) > 0:
		reply.Answer = append(reply.Answer, d.signed(name, sets, qtype, signed)...)
	case len(sets[dns.TypeCNAME]) > 0:
		reply.Answer = append(reply.Answer, d.signed(name, sets, dns.TypeCNAME, signed)...)
		return sets[dns.TypeCNAME][0].(*dns.CNAME).Target, true
	default:
		if !exists {
			reply.Rcode = dns.RcodeNameError
		}
		reply.Ns = d.denial(name, signed)
	}
	return "", false
}

// at finds the record sets of a name, by wildcard too (RFC 4592), and whether it
// exists.
func (d *Records) at(name string) (map[uint16][]dns.RR, bool) {
	name = dns.CanonicalName(name)
	if d.names[name] {
		return d.sets[name], true
	}
	for off, end := dns.NextLabel(name, 0); !end; off, end = dns.NextLabel(name, off) {
		if sets := d.sets["*."+name[off:]]; sets != nil {
			return sets, true
		}
		if d.names[name[off:]] {
			break
		}
	}
	return nil, false
}

// signed is one record set, with its signatures where they are wanted.
func (d *Records) signed(name string, sets map[uint16][]dns.RR, t uint16, signed bool) []dns.RR {
	rrs := d.owned(name, sets[t])
	for _, rr := range sets[dns.TypeRRSIG] {
		if sig, ok := rr.(*dns.RRSIG); ok && signed && sig.TypeCovered == t {
			rrs = append(rrs, d.owned(name, []dns.RR{sig})...)
		}
	}
	return rrs
}

// owned copies records and gives them the owner that was asked for.
func (d *Records) owned(name string, rrs []dns.RR) []dns.RR {
	copies := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		copies[i] = dns.Copy(rr)
		copies[i].Header().Name = name
	}
	return copies
}

// denial is the SOA of the closest zone above name, or of the root.
func (d *Records) denial(name string, signed bool) []dns.RR {
	name = dns.CanonicalName(name)
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		if sets := d.sets[name[off:]]; len(sets[dns.TypeSOA]) > 0 {
			return d.signed(name[off:], sets, dns.TypeSOA, signed)
		}
	}
	return []dns.RR{&dns.SOA{
		Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 86400},
		Ns:  "a.root-servers.net.", Mbox: "nstld.verisign-grs.com.",
		Serial: 2026010100, Refresh: 1800, Retry: 900, Expire: 604800, Minttl: 86400,
	}}
}

// answers tells whether some record stands at name already, as in a CNAME loop.
func answers(rrs []dns.RR, name string) bool {
	for _, rr := range rrs {
		if strings.EqualFold(rr.Header().Name, name) {
			return true
		}
	}
	return false
}
