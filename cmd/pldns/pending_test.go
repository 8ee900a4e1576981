package main

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/forward/share"
	"pldns/resolver/resolvertest"
)

// Who is limited is shown with what it is: a network, a client in it, or a domain.
func TestPendingShown(t *testing.T) {
	shown, err := json.Marshal(pendingOf("udp", share.View{
		Held: 9, Capacity: 10,
		Networks: []share.Usage{{Network: "hub", Held: 9, GaveWay: 3}},
		Clients:  []share.Usage{{Network: "hub", Client: netip.MustParsePrefix("10.0.0.7/32"), Held: 8, GaveWay: 3}},
		Suffixes: []share.Usage{{Suffix: "silent.example", Held: 8, GaveWay: 3}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"over":"udp","in_flight":9,"capacity":10,"shares":[` +
		`{"network":"hub","in_flight":9,"gave_way":3},` +
		`{"network":"hub","client":"10.0.0.7/32","in_flight":8,"gave_way":3},` +
		`{"suffix":"silent.example","in_flight":8,"gave_way":3}]}`
	if string(shown) != want {
		t.Errorf("\n got %s\nwant %s", shown, want)
	}
}

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
