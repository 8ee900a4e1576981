package resolver

import (
	"slices"

	"github.com/miekg/dns"
)

// UDPSize is the largest UDP message in octets that is sent, and that senders
// are told to send: it passes every path unfragmented (RFC 9715).
const UDPSize = 1232

// Message makes the reply to request that says what a says: header bits by RFC
// 1035, 4035 and 6840, an OPT record only if request has one (RFC 6891 section
// 7), extended errors in it (RFC 8914), the question as it was spelled. It is not
// yet cut to the size of a transport. The reply shares the records of a; pack it,
// do not change it.
func (a Answer) Message(request *dns.Msg) *dns.Msg {
	reply := new(dns.Msg)
	reply.SetReply(request) // ID, RD, CD and the question
	reply.CheckingDisabled = request.CheckingDisabled
	reply.RecursionAvailable = true
	reply.Authoritative = a.Authoritative
	reply.Rcode = a.Rcode
	reply.Answer = spell(a.Records, request.Question[0].Name)
	reply.Ns = a.Authority
	reply.Compress = true

	opt := request.IsEdns0()
	wantsAD := request.AuthenticatedData || opt != nil && opt.Do()
	reply.AuthenticatedData = a.Authenticated && wantsAD
	if opt != nil {
		reply.Extra = []dns.RR{a.opt(opt)}
	}
	return reply
}

// opt is the OPT record of a reply to a request that has the given one.
func (a Answer) opt(request *dns.OPT) *dns.OPT {
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(UDPSize)
	if request.Do() {
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
