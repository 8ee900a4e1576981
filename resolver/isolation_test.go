package resolver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// The property that everything else serves (ARCHITECTURE.md, rule 7): whoever asks
// what, in whatever order, through caches that all share, no answer holds an
// address that belongs to another network, and a name that the asker's network
// maps ends in that network's address.
func TestNoNetworkSeesAnother(t *testing.T) {
	const networks = 50
	queries := isolationQueries
	if testing.Short() {
		queries /= 20
		t.Logf("%d of %d queries: make test-all tries all", queries, isolationQueries)
	}
	e := randomEstate(t, networks)
	workers := 2 * runtime.GOMAXPROCS(0)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 7))
			for range queries / workers {
				if fault := e.try(random); fault != "" {
					t.Error(fault)
					return
				}
			}
		})
	}
	group.Wait()
}

// services are the shapes of names that the networks collide in.
var services = []struct{ public, zone string }{
	{"database.windows.net", "privatelink.database.windows.net"},
	{"blob.core.windows.net", "privatelink.blob.core.windows.net"},
	{"vault.azure.net", "privatelink.vaultcore.azure.net"},
	{"westeurope.kusto.windows.net", "privatelink.westeurope.kusto.windows.net"},
}

const resourcesPerService = 12

// randomised is an estate of networks with colliding names, and what is true of it.
type randomised struct {
	resolver *resolver.Resolver
	// mapped holds, for each network, the addresses of the names that it maps,
	// public and private ones.
	mapped []map[string]netip.Addr
}

func publicName(service, resource int) string {
	return fmt.Sprintf("r%d.%s", resource, services[service].public)
}

func privateNameOf(service, resource int) string {
	return fmt.Sprintf("r%d.%s", resource, services[service].zone)
}

// randomEstate maps about half of all resources in each network, every one with
// an address that only this network has: 10.NETWORK.x.y.
func randomEstate(tb testing.TB, networks int) *randomised {
	random := rand.New(rand.NewPCG(1, 2))
	e := &randomised{mapped: make([]map[string]netip.Addr, networks)}
	var specs []zones.NetworkSpec
	remembered := cache.New(cache.Config{Entries: 2000, Stale: time.Hour})
	to := []resolver.Exchanger{remembered.Group("azure", internet{}), remembered.Group("corp", internet{})}
	routes := make(map[string][]resolver.Route)
	for n := range networks {
		e.mapped[n] = make(map[string]netip.Addr)
		spec := zones.NetworkSpec{
			Name:    fmt.Sprintf("net%02d", n),
			Clients: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n), 0, 0}), 16)},
			Missing: []zones.Missing{zones.Forward, zones.NXDomain, zones.Refuse}[random.IntN(3)],
		}
		for s := range services {
			for r := range resourcesPerService {
				if random.IntN(2) == 0 {
					continue
				}
				addr := netip.AddrFrom4([4]byte{10, byte(n), byte(s + 1), byte(r + 1)})
				spec.Endpoints = append(spec.Endpoints, endpoint(publicName(s, r), privateNameOf(s, r), services[s].zone, addr.String()))
				e.mapped[n][publicName(s, r)], e.mapped[n][privateNameOf(s, r)] = addr, addr
			}
		}
		specs = append(specs, spec)
		group := random.IntN(2)
		routes[spec.Name] = []resolver.Route{{Suffix: zones.Root(), Group: []string{"azure", "corp"}[group], To: to[group]}}
	}
	table, err := zones.Build(specs)
	if err != nil {
		tb.Fatal(err)
	}
	snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table, Routes: routes})
	if err != nil {
		tb.Fatal(err)
	}
	e.resolver = resolver.New(snapshot)
	return e
}

// internet is what everybody sees: each public name leads over its private name
// to a public address; v-names lead to public names, w-names to private ones.
type internet struct{}

func (x internet) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	return resolvertest.Known(func(q resolver.Question) (resolver.Reply, error) { return x.Exchange(context.Background(), q) }).Start(q, from, deadline, done)
}

func (internet) Exchange(_ context.Context, q resolver.Question) (resolver.Reply, error) {
	reply := resolver.Reply{Source: resolver.FromUpstream}
	soa := &dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 10}, Ns: ".", Mbox: ".", Minttl: 10}
	at := q.Name
	for {
		target, is := aliasOutside(at)
		if !is {
			break
		}
		reply.Answer = append(reply.Answer, &dns.CNAME{
			Hdr: dns.RR_Header{Name: at.FQDN(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 10}, Target: target.FQDN(),
		})
		at = target
	}
	switch {
	case !strings.HasPrefix(at.String(), "gateway."):
		reply.Rcode, reply.Authority = dns.RcodeNameError, []dns.RR{soa}
	case q.Type == dns.TypeA:
		reply.Answer = append(reply.Answer, &dns.A{
			Hdr: dns.RR_Header{Name: at.FQDN(), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 10}, A: []byte{203, 0, 113, 1},
		})
	default:
		reply.Authority = []dns.RR{soa}
	}
	return reply, nil
}

// aliasOutside is the CNAME that a name has on the Internet.
func aliasOutside(name zones.Name) (zones.Name, bool) {
	var service, resource int
	text := name.String()
	for kind, next := range map[byte]func() string{
		'v': func() string { return publicName(service, resource) },
		'w': func() string { return privateNameOf(service, resource) },
	} {
		if _, err := fmt.Sscanf(text, string(kind)+"%d-%d.contoso.com", &service, &resource); err == nil {
			return zones.MustName(next()), true
		}
	}
	for s := range services {
		if host, is := strings.CutSuffix(text, "."+services[s].zone); is && strings.HasPrefix(host, "r") {
			return zones.MustName("gateway." + services[s].public), true
		}
		if host, is := strings.CutSuffix(text, "."+services[s].public); is && strings.HasPrefix(host, "r") {
			return zones.MustName(host + "." + services[s].zone), true
		}
	}
	return zones.Name{}, false
}

// try asks one random question and says what is wrong with the answer.
func (e *randomised) try(random *rand.Rand) string {
	n, s, r := random.IntN(len(e.mapped)), random.IntN(len(services)), random.IntN(resourcesPerService)
	end := publicName(s, r)
	asked := end
	switch random.IntN(5) {
	case 0:
		asked = fmt.Sprintf("v%d-%d.contoso.com", s, r)
	case 1:
		asked = fmt.Sprintf("w%d-%d.contoso.com", s, r)
	case 2:
		asked = privateNameOf(s, r)
	case 3:
		if random.IntN(4) == 0 {
			other := random.IntN(len(e.mapped))
			asked = fmt.Sprintf("%d.%d.%d.10.in-addr.arpa", r+1, s+1, other)
		}
	}
	q := resolver.NewClientQuery(zones.MustName(asked), []uint16{dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeANY, dns.TypePTR}[random.IntN(6)],
		zones.NewClient(netip.AddrFrom4([4]byte{10, byte(n), byte(random.IntN(256)), byte(random.IntN(256))}), netip.AddrPort{}))
	q.DNSSEC, q.CheckingDisabled = random.IntN(4) == 0, random.IntN(8) == 0
	answer := e.resolver.Resolve(context.Background(), q)
	return e.judge(n, asked, end, q.Type, answer)
}

// judge says what is wrong with an answer to network n.
func (e *randomised) judge(n int, asked, end string, qtype uint16, answer resolver.Answer) string {
	complain := func(what string) string {
		return fmt.Sprintf("network %d asks %s %s: %s: %v", n, asked, dns.TypeToString[qtype], what, lines(answer))
	}
	var addresses []netip.Addr
	for _, rr := range answer.Records {
		switch rr := rr.(type) {
		case *dns.A:
			addr, _ := netip.AddrFromSlice(rr.A.To4())
			addresses = append(addresses, addr)
		case *dns.PTR:
			if owner := strings.Split(rr.Hdr.Name, "."); owner[2] != fmt.Sprint(n) {
				return complain("a reverse name of another network")
			}
		}
	}
	for _, addr := range addresses {
		if octets := addr.As4(); octets[0] == 10 && octets[1] != byte(n) {
			return complain("an address of another network")
		}
	}
	if want, owned := e.mapped[n][end]; owned && qtype == dns.TypeA && !strings.HasSuffix(asked, ".arpa") && !slices.Equal(addresses, []netip.Addr{want}) {
		return complain("want " + want.String())
	}
	return ""
}
