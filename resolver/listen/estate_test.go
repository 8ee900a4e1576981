package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// estate is a resolver with networks that own something of every kind, in front
// of an outside that says something of every kind.
type estate struct {
	*resolver.Resolver
	outside outside
	ill     atomic.Bool // whether the first address of the probed endpoint is
}

// newEstate makes an estate for clients in 127.0.0.0/8 and 10.0.0.0/8. The clock
// of its cache stands still.
func newEstate(tb testing.TB) *estate {
	tb.Helper()
	e := new(estate)
	e.Resolver = resolver.New(e.snapshot(tb, "10.0.1.4"))
	return e
}

// snapshot is the estate with an address for mydb.
func (e *estate) snapshot(tb testing.TB, mydb string) *resolver.Snapshot {
	tb.Helper()
	table, err := zones.Build([]zones.NetworkSpec{
		network("europe", "127.0.0.0/9", zones.Forward, mydb),
		network("asia", "127.128.0.0/9", zones.NXDomain, "10.2.1.4"),
		network("closed", "10.0.0.0/8", zones.Refuse, "10.3.1.4"),
	})
	if err != nil {
		tb.Fatal(err)
	}
	began := time.Now()
	remembered := cache.New(cache.Config{Now: func() time.Time { return began }})
	routes := make(map[string][]resolver.Route)
	for i, name := range []string{"europe", "asia", "closed"} {
		group := []string{"azure", "corp"}[i%2]
		routes[name] = []resolver.Route{{Suffix: zones.Root(), Group: group, To: remembered.Group(group, &e.outside)}}
	}
	s, err := resolver.NewSnapshot(resolver.Options{Table: table, Routes: routes, Health: e, Identity: resolver.Identity{Name: "hub-1"}})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// Healthy is the resolver.Health of the estate.
func (e *estate) Healthy(t zones.Target) bool {
	return !e.ill.Load() || t.Addr != netip.MustParseAddr("10.0.1.8")
}

// Fault says what is wrong with the unhealthy address of the estate.
func (*estate) Fault(zones.Target) string { return "connection refused" }

// network is a network with endpoints in and outside zones, a wildcard, a probed
// endpoint, and a zone of ordinary records.
func network(name, clients string, missing zones.Missing, mydb string) zones.NetworkSpec {
	endpoint := func(public, private, zone string, addrs ...string) zones.Endpoint {
		e := zones.Endpoint{Name: zones.MustName(public), TTL: zones.DefaultTTL}
		if private != "" {
			e.Private, e.Zone = zones.MustName(private), zones.MustName(zone)
		}
		for _, addr := range addrs {
			e.Addresses = append(e.Addresses, netip.MustParseAddr(addr))
		}
		return e
	}
	const windows, private = "database.windows.net", "privatelink.database.windows.net"
	probed := endpoint("probed."+windows, "probed."+private, private, "10.0.1.8", "10.0.1.9")
	probed.Probe, probed.Pick = zones.NewProbe(zones.ProbeSpec{Port: 1433}), zones.PickFirstHealthy
	var records []dns.RR
	for _, text := range []string{
		"db.corp.contoso.com. 300 IN CNAME mydb.database.windows.net.",
		"Away.Corp.contoso.com. 300 IN CNAME www.example.",
		"corp.contoso.com. 300 IN TXT \"" + strings.Repeat("t", 200) + "\"",
		"*.wild.corp.contoso.com. 300 IN A 10.0.7.11",
		"corp.contoso.com. 300 IN MX 10 mail.corp.contoso.com.",
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		records = append(records, rr)
	}
	return zones.NetworkSpec{
		Name: name, Clients: []netip.Prefix{netip.MustParsePrefix(clients)}, Missing: missing,
		Endpoints: []zones.Endpoint{
			endpoint("mydb."+windows, "mydb."+private, private, mydb, "fd00::4"), probed,
			endpoint("api.contoso.com", "", "", "10.0.7.9"),
			endpoint("*.env.azurecontainerapps.io", "*.privatelink.env.azurecontainerapps.io", "privatelink.env.azurecontainerapps.io", "10.0.7.10"),
		},
		Zones: []zones.ZoneSpec{{Name: zones.MustName("corp.contoso.com"), Records: records}},
	}
}

// outside answers by the first label of the name.
type outside struct{ asked atomic.Int64 }

func (o *outside) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	return resolvertest.Known(func(q resolver.Question) (resolver.Reply, error) { return o.Exchange(context.Background(), q) }).Start(q, from, deadline, done)
}

func (o *outside) Exchange(_ context.Context, q resolver.Question) (resolver.Reply, error) {
	o.asked.Add(1)
	name := q.Name.FQDN()
	kind, _, _ := strings.Cut(name, ".")
	reply := resolver.Reply{Source: resolver.FromUpstream, Authenticated: q.DNSSEC, Server: "s"}
	head := func(kind uint16, ttl uint32) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
	}
	alias := func(target string) {
		reply.Answer = append(reply.Answer, &dns.CNAME{Hdr: head(dns.TypeCNAME, 77), Target: target})
	}
	soa := &dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 600}, Ns: ".", Mbox: ".", Minttl: 60}
	switch {
	case kind == "broken":
		return reply, errors.New("no answer")
	case kind == "servfail":
		reply.Rcode, reply.Errors = dns.RcodeServerFailure, []resolver.Error{{Code: 6, Text: "bogus"}}
	case kind == "nothing":
		reply.Rcode, reply.Authority = dns.RcodeNameError, []dns.RR{soa}
	case kind == "unproven":
		reply.Rcode = dns.RcodeNameError
	case kind == "vanity" && q.Type == dns.TypeA:
		alias("mydb.database.windows.net.")
		tail := head(dns.TypeA, 300)
		tail.Name = "mydb.database.windows.net."
		reply.Answer = append(reply.Answer, &dns.A{Hdr: tail, A: net.IPv4(203, 0, 113, 3)})
	case q.Type == dns.TypeTXT || kind == "large":
		for i := range 40 {
			reply.Answer = append(reply.Answer, &dns.TXT{Hdr: head(dns.TypeTXT, 300), Txt: []string{fmt.Sprintf("%040d", i)}})
		}
	case q.Type != dns.TypeA:
		reply.Authority = []dns.RR{soa}
	default:
		ttl := map[string]uint32{"fleeting": 0, "short": 1}[kind]
		if kind == "www" || kind == "mydb" {
			ttl = 300
		}
		reply.Answer = []dns.RR{&dns.A{Hdr: head(dns.TypeA, ttl), A: net.IPv4(203, 0, 113, 1)}, &dns.A{Hdr: head(dns.TypeA, ttl), A: net.IPv4(203, 0, 113, 2)}}
	}
	return reply, nil
}
