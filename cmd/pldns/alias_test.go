package main

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// A vanity name whose public end fails leads to the private address all the same, the
// first time and when the failure is remembered.
func TestAliasWithAFailure(t *testing.T) {
	upstream := azureDNS(t)
	upstream.On("vanity.contoso.com", func(a *resolvertest.Asked) {
		reply := a.Reply()
		reply.Rcode = dns.RcodeServerFailure
		reply.Answer = []dns.RR{&dns.CNAME{
			Hdr:    dns.RR_Header{Name: a.Msg.Question[0].Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60},
			Target: "momenta-eun.database.windows.net.",
		}}
		a.Send(reply)
	})
	r := start(t, regions(upstreamTable(upstream.Addr)))
	for range 2 {
		got := says(r.ask("udp", europe, "vanity.contoso.com", dns.TypeA))
		if want := strings.Replace(inEurope, "NOERROR | ", "NOERROR | CNAME momenta-eun.database.windows.net. | ", 1); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
