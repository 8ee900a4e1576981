package policy_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/policy"
)

// FuzzRead: whatever a file holds, it is refused, or what is found of it can be said in a
// message.
func FuzzRead(f *testing.F) {
	for _, format := range []policy.Format{policy.ByContent, policy.RPZ, policy.List} {
		f.Add(zone, uint8(format), "a.many.example")
		f.Add("$TTL 1\n@ SOA . . 1 1 1 1 1\n*.example CNAME *."+strings.Repeat("a", 60)+".test.\n* TXT x\n", uint8(format), "x.example")
		f.Add("0.0.0.0 ads.example\n||track.example^\n@@||ok.track.example^\n*.wild.example\nplain.example\n", uint8(format), "ok.track.example")
	}
	addr := netip.MustParseAddr("203.0.113.7")
	f.Fuzz(func(t *testing.T, text string, format uint8, asked string) {
		b := policy.NewBuilder()
		found, err := b.Read(strings.NewReader(text), policy.Format(format%3), zones.Name{})
		if err != nil {
			return
		}
		p := b.Build(policy.Options{Name: "fuzz"})
		if p.Len() != found.Entries {
			t.Errorf("%d entries are found, and %d are there", found.Entries, p.Len())
		}
		matches := make([]policy.Match, 0, 2)
		if m, _, is := p.MatchAddress(addr); is {
			matches = append(matches, m)
		}
		name, err := zones.ParseName(asked)
		if err != nil {
			return
		}
		if m, is := p.Match(name); is {
			matches = append(matches, m)
		}
		for _, m := range matches {
			reply := new(dns.Msg).SetQuestion(name.FQDN(), dns.TypeANY)
			reply.Answer, reply.Ns = m.Rule.Answer(name, dns.TypeANY), []dns.RR{p.SOA(name)}
			if target, leads := m.Rule.TargetOf(name); m.Rule.Action == policy.Redirect && leads {
				reply.Answer = append(reply.Answer, &dns.CNAME{
					Hdr: dns.RR_Header{Name: name.FQDN(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: target.FQDN(),
				})
			}
			if packed, err := reply.Pack(); err != nil && len(packed) <= dns.MaxMsgSize && reply.Len() <= dns.MaxMsgSize {
				t.Errorf("entry %s: %v: %v", m.Entry, reply, err)
			}
		}
	})
}
