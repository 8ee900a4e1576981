package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

const (
	alias    = "CNAME momenta-eun.privatelink.database.windows.net."
	inEurope = "NOERROR | " + alias + " | A 10.0.1.4"
	elsewise = "NOERROR | " + alias + " | A 10.1.1.5"
	nodata   = "NOERROR | " + alias + " | SOA privatelink.database.windows.net."
)

// With every upstream dead, each network gets its own answers, and nobody is
// asked about a mapped name, whatever the type.
func TestMappedNamesNeedNobody(t *testing.T) {
	upstream := azureDNS(t)
	upstream.Always(resolvertest.Drop)
	r := start(t, regions(upstreamTable(upstream.Addr, resolvertest.ClosedAddr(t))))
	for _, test := range []struct {
		name, from string
		qtype      uint16
		want       string
	}{
		{"Europe", europe, dns.TypeA, inEurope},
		{"Australia", australia, dns.TypeA, elsewise},
		{"AAAA", europe, dns.TypeAAAA, nodata},
		{"HTTPS", europe, dns.TypeHTTPS, nodata},
		{"SVCB", europe, dns.TypeSVCB, nodata},
		{"TXT", europe, dns.TypeTXT, nodata},
		{"MX", europe, dns.TypeMX, nodata},
		{"unknown type", europe, 65280, nodata},
		{"ANY is minimal", europe, dns.TypeANY, "NOERROR | " + alias},
		{"CNAME", europe, dns.TypeCNAME, "NOERROR | " + alias},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(test.name+" over "+network, func(t *testing.T) {
				reply := r.ask(network, test.from, "momenta-eun.database.windows.net", test.qtype)
				if got := says(reply); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
				if !reply.RecursionAvailable || !reply.Authoritative || reply.AuthenticatedData {
					t.Errorf("header: RA %v AA %v AD %v", reply.RecursionAvailable, reply.Authoritative, reply.AuthenticatedData)
				}
				for _, rr := range reply.Ns {
					if soa := rr.(*dns.SOA); soa.Minttl != 10 || soa.Hdr.Ttl != 10 {
						t.Errorf("the denial may be kept for %d and %d s", soa.Hdr.Ttl, soa.Minttl)
					}
				}
			})
		}
	}
	if asked := questions(upstream); asked != 0 {
		t.Errorf("the upstream was asked %d times", asked)
	}
}

// chains are the chains A to F of Azure, asked by clients of each network.
var chains = []struct{ name, from, qname, want string }{
	{"A: no endpoint anywhere", europe, "plain.blob.core.windows.net",
		"NOERROR | CNAME blob.ams08prdstr13c.store.core.windows.net. | A 203.0.113.3"},
	{"B: an endpoint of this network", europe, "contoso.blob.core.windows.net",
		"NOERROR | CNAME contoso.privatelink.blob.core.windows.net. | A 10.0.3.4"},
	{"B: no endpoint in this network", australia, "contoso.blob.core.windows.net",
		"NOERROR | CNAME contoso.privatelink.blob.core.windows.net. | CNAME blob.fra24prdstr02a.store.core.windows.net. | A 203.0.113.4"},
	{"C: the upstream's own private zone", australia, "linked.blob.core.windows.net",
		"NOERROR | CNAME linked.privatelink.blob.core.windows.net. | A 10.0.3.4"},
	{"D: the upstream denies what this network has", europe, "absent.blob.core.windows.net",
		"NOERROR | CNAME absent.privatelink.blob.core.windows.net. | A 10.0.3.5"},
	{"D: the upstream denies", australia, "absent.blob.core.windows.net",
		"NXDOMAIN | CNAME absent.privatelink.blob.core.windows.net. | SOA privatelink.blob.core.windows.net."},
	{"E: another tenant's name falls through", europe, "fabrikam.blob.core.windows.net",
		"NOERROR | CNAME fabrikam.privatelink.blob.core.windows.net. | CNAME blob.lon22prdstr05a.store.core.windows.net. | A 203.0.113.5"},
	{"E: its private name falls through", europe, "fabrikam.privatelink.blob.core.windows.net",
		"NOERROR | CNAME blob.lon22prdstr05a.store.core.windows.net. | A 203.0.113.5"},
	{"another tenant's name under nxdomain", strict, "fabrikam.blob.core.windows.net",
		"NXDOMAIN | EDE 0 | CNAME fabrikam.privatelink.blob.core.windows.net. | SOA privatelink.blob.core.windows.net."},
	{"F: no alias leads into the zone under nxdomain", strict, "plain.blob.core.windows.net",
		"NOERROR | CNAME blob.ams08prdstr13c.store.core.windows.net. | A 203.0.113.3"},
	{"vanity name, Europe", europe, "db.contoso.com",
		"NOERROR | CNAME momenta-eun.database.windows.net. | " + alias + " | A 10.0.1.4"},
	{"vanity name, Australia", australia, "db.contoso.com",
		"NOERROR | CNAME momenta-eun.database.windows.net. | " + alias + " | A 10.1.1.5"},
	{"vanity name of a vanity name", australia, "app.contoso.com",
		"NOERROR | CNAME db.contoso.com. | CNAME momenta-eun.database.windows.net. | " + alias + " | A 10.1.1.5"},
	{"Azure Monitor, the alias is the fifth name", europe, "dc.services.visualstudio.com",
		"NOERROR | CNAME dc.applicationinsights.microsoft.com. | CNAME dc.applicationinsights.azure.com. | " +
			"CNAME global.in.ai.monitor.azure.com. | CNAME global.in.ai.privatelink.monitor.azure.com. | A 10.0.3.9"},
	{"Azure Monitor, not mapped", australia, "dc.services.visualstudio.com",
		"NOERROR | CNAME dc.applicationinsights.microsoft.com. | CNAME dc.applicationinsights.azure.com. | " +
			"CNAME global.in.ai.monitor.azure.com. | CNAME global.in.ai.privatelink.monitor.azure.com. | CNAME dc.trafficmanager.net. | A 203.0.113.90"},
	{"an ordinary name", europe, "www.contoso.com", "NOERROR | A 203.0.113.80"},
	{"a name that does not exist", europe, "nothing.contoso.com", "NXDOMAIN | SOA contoso.com."},
	{"unlisted client", unlisted, "www.contoso.com", "REFUSED | EDE 18"},
	{"unlisted client, mapped name", unlisted, "momenta-eun.database.windows.net", "REFUSED | EDE 18"},
}

// The chains of Azure end where they should for each asker: first cold, then
// from the cache, then in the other order, whoever asked first. An unlisted
// client is refused all along, cached or not.
func TestChains(t *testing.T) {
	for _, order := range []struct {
		name  string
		index func(i int) int
	}{
		{"in order", func(i int) int { return i }},
		{"in reverse", func(i int) int { return len(chains) - 1 - i }},
	} {
		t.Run(order.name, func(t *testing.T) {
			upstream := azureDNS(t)
			r := start(t, regions(upstreamTable(upstream.Addr)))
			for _, round := range []string{"cold", "warm"} {
				for i := range chains {
					test := chains[order.index(i)]
					t.Run(round+" "+test.name, func(t *testing.T) {
						if got := says(r.ask("udp", test.from, test.qname, dns.TypeA)); got != test.want {
							t.Errorf("got  %s\nwant %s", got, test.want)
						}
					})
				}
			}
		})
	}
}

// A silent upstream: every query is answered within the deadline, private names
// at once, and 1,000 equal questions are one upstream question.
func TestSilentUpstream(t *testing.T) {
	t.Parallel()
	upstream := azureDNS(t)
	upstream.Always(resolvertest.Drop)
	r := start(t, regions(upstreamTable(upstream.Addr)))
	done := make(chan *dns.Msg, 1)
	begun := time.Now()
	go func() { done <- r.ask("udp", europe, "www.contoso.com", dns.TypeA) }()
	upstream.Wait(t, "www.contoso.com", dns.TypeA, 1)
	if got := says(r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)); got != inEurope {
		t.Errorf("beside a question to a silent upstream, a private name answers %s", got)
	}
	select {
	case reply := <-done:
		t.Fatalf("the silent upstream's question was answered before the private name: %s", says(reply))
	default:
	}
	if got := says(<-done); got != "SERVFAIL | EDE 22" {
		t.Errorf("got %s", got)
	}
	// The deadline is 2.5 s; the rest is what a busy machine may add.
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("answered after %v", took)
	}
}

func TestEqualQuestionsAreAskedOnce(t *testing.T) {
	for _, test := range []struct{ name, qname, want string }{
		{"an answer", "www.contoso.com", "NOERROR | A 203.0.113.80"},
		{"a denial", "nothing.contoso.com", "NXDOMAIN | SOA contoso.com."},
	} {
		t.Run(test.name, func(t *testing.T) {
			const clients = 1000
			upstream := azureDNS(t)
			release := make(chan struct{})
			upstream.Always(resolvertest.Delay(release))
			r := start(t, regions(upstreamTable(upstream.Addr)))
			said := make(chan string, clients)
			var asked sync.WaitGroup
			for range clients {
				asked.Go(func() { said <- says(r.ask("udp", europe, test.qname, dns.TypeA)) })
			}
			upstream.Wait(t, test.qname, dns.TypeA, 1)
			close(release)
			asked.Wait()
			for range clients {
				if got := <-said; got != test.want {
					t.Fatalf("got %s, want %s", got, test.want)
				}
			}
			// A machine that is slow to release the reply has the question sent again,
			// which is the same one.
			if asked := r.metric(fmt.Sprintf(`pldns_upstream_queries_total{group="azure",reason="first",server="%s"}`, upstream.Addr)); asked != 1 {
				t.Errorf("the upstream was asked %v times", asked)
			}
		})
	}
}

// Two tenants with the same client prefix are told apart by the address that
// they ask.
func TestTenantsByListener(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			r := startTenants(t)
			for i, want := range []string{"A 10.0.1.4", "A 10.0.7.4"} {
				query := new(dns.Msg).SetQuestion("contoso-sql.database.windows.net.", dns.TypeA)
				reply, err := r.exchange(network, "127.0.4.1", r.addrs[i], query)
				if err != nil {
					t.Fatal(err)
				}
				if got := says(reply); !strings.HasSuffix(got, want) {
					t.Errorf("at %s: got %s, want %s", r.addrs[i], got, want)
				}
			}
		})
	}
}

// startTenants serves two networks with one client prefix behind two listeners.
// The configuration names the port of the second in advance; when somebody takes
// it first, another is tried.
func startTenants(tb testing.TB) *running {
	tb.Helper()
	for range 20 {
		port := strconv.Itoa(int(resolvertest.FreeAddr(tb).Port()))
		if r, err := tryStart(tb, strings.ReplaceAll(tenants, "PORT", port)); err == nil {
			return r
		}
	}
	tb.Fatal("found no free port")
	return nil
}

const tenants = `
[listen]
dns = ["127.0.0.1:0", "127.0.0.2:PORT"]
admin = "off"
[networks.contoso]
clients = ["127.0.4.0/24"]
[networks.contoso.endpoints]
"contoso-sql.database.windows.net" = "10.0.1.4"
[networks.fabrikam]
clients = ["127.0.4.0/24"]
listeners = ["127.0.0.2:PORT"]
[networks.fabrikam.endpoints]
"contoso-sql.database.windows.net" = "10.0.7.4"
`

// An endpoint whose first address does not accept connections answers with the
// next one, in that network alone.
func TestUnhealthyAddress(t *testing.T) {
	works, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer works.Close()
	port := works.Addr().(*net.TCPAddr).Port
	r := start(t, fmt.Sprintf(`
[listen]
dns = ["127.0.0.1:0"]
admin = "off"
[probe]
interval = "100ms"
[networks.australia]
clients = ["127.0.2.0/24"]
[networks.australia.endpoints]
"momenta-eun.database.windows.net" = { addresses = ["127.0.0.88", "127.0.0.1"], probe = "tcp:%d" }
[networks.europe]
clients = ["127.0.1.0/24"]
[networks.europe.endpoints]
"momenta-eun.database.windows.net" = "127.0.0.88"
`, port))
	var got string
	resolvertest.Until(t, "the address that accepts connections", func() bool {
		got = says(r.ask("udp", australia, "momenta-eun.database.windows.net", dns.TypeA))
		return got == "NOERROR | "+alias+" | A 127.0.0.1"
	}, &got)
	if got := says(r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)); got != "NOERROR | "+alias+" | A 127.0.0.88" {
		t.Errorf("the other network answers %s", got)
	}
}
