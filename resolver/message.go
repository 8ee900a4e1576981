package resolver

import (
	"slices"

	"github.com/miekg/dns"
)

// UDPSize is the largest UDP message in octets that is sent, and that senders
// are told to send: it passes every path unfragmented (RFC 9715).
const UDPSize = 1232

// Message makes the reply to q that says what a says: header bits by RFC 1035, 4035
// and 6840, an OPT record only if q came with one (RFC 6891 section 7), extended errors
// in it (RFC 8914), the question as it was spelled. It has no id yet, and is not yet cut
// to the size of a transport. The reply shares the records of a; pack it, do not change
// it.
func (a Answer) Message(q Query, edns bool) *dns.Msg {
	reply := &dns.Msg{
		MsgHdr: dns.MsgHdr{
			Response: true, RecursionDesired: q.RecursionDesired, CheckingDisabled: q.CheckingDisabled, RecursionAvailable: true,
			Authoritative: a.Authoritative, AuthenticatedData: a.Authenticated && (q.WantsAD || q.DNSSEC), Rcode: a.Rcode,
			Truncated: a.Truncated,
		},
		Compress: true,
		Question: []dns.Question{{Name: q.Spelling, Qtype: q.Type, Qclass: q.Class}},
		Answer:   spell(a.Records, q.Spelling),
		Ns:       a.Authority,
	}
	reply.Extra = a.Additional
	if edns {
		reply.Extra = append(slices.Clip(a.Additional), a.opt(q.DNSSEC))
	}
	return reply
}

// opt is the OPT record of a reply to a query that has one, with the DO bit as given.
func (a Answer) opt(dnssec bool) *dns.OPT {
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(UDPSize)
	if dnssec {
		opt.SetDo()
	}
	for _, e := range a.Errors {
		opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: e.Code, ExtraText: e.Text})
	}
	return opt
}

// spell gives the records that stand at the asked name that name's spelling, so
// that they compress against the question and a client that compares letter by
// letter finds its own.
func spell(records []dns.RR, name string) []dns.RR {
	canonical := dns.CanonicalName(name)
	differs := func(rr dns.RR) bool {
		own := rr.Header().Name
		return own != name && dns.CanonicalName(own) == canonical
	}
	if !slices.ContainsFunc(records, differs) {
		return records
	}
	spelled := make([]dns.RR, len(records))
	for i, rr := range records {
		if differs(rr) {
			rr = dns.Copy(rr)
			rr.Header().Name = name
		}
		spelled[i] = rr
	}
	return spelled
}
