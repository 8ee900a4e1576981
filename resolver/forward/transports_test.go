package forward_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
)

// reached is a scripted upstream and how a group reaches it.
type reached struct {
	*resolvertest.Upstream
	over   resolvertest.Transport
	server forward.Server
	config forward.Config // with what it takes to trust the server, and ample time
}

// reach starts an upstream with data that is asked over one transport.
func reach(t testing.TB, over resolvertest.Transport, data ...string) reached {
	t.Helper()
	return reachWith(t, over, nil, data...)
}

// reachWith is reach with settings of the server's connections over QUIC.
func reachWith(t testing.TB, over resolvertest.Transport, settings *quic.Config, data ...string) reached {
	t.Helper()
	r := reached{Upstream: resolvertest.StartUpstream(t, data...), over: over}
	r.config = forward.Config{Name: "azure", Timeout: ample}
	switch over {
	case resolvertest.UDP:
		r.server = plain(r.Addr)
	case resolvertest.TCP:
		r.server = forward.Server{Transport: forward.TCP, Addr: r.Addr}
	case resolvertest.TLS:
		ca := resolvertest.NewAuthority(t)
		r.config.RootCAs = ca.Pool
		r.server = forward.Server{
			Transport: forward.TLS, ServerName: "dns.contoso.com",
			Addr: r.ServeTLS(t, ca.Certificate(t, "dns.contoso.com")),
		}
	case resolvertest.HTTPS:
		ca := resolvertest.NewAuthority(t)
		r.config.RootCAs = ca.Pool
		addr := r.ServeHTTPS(t, ca.Certificate(t, "127.0.0.1"))
		r.server = forward.Server{Transport: forward.HTTPS, URL: "https://" + addr.String() + resolvertest.DoHPath}
	case resolvertest.QUIC:
		ca := resolvertest.NewAuthority(t)
		r.config.RootCAs = ca.Pool
		r.server = forward.Server{
			Transport: forward.QUIC, ServerName: "dns.contoso.com",
			Addr: r.ServeQUIC(t, ca.Certificate(t, "dns.contoso.com"), settings),
		}
	case resolvertest.HTTP3:
		ca := resolvertest.NewAuthority(t)
		r.config.RootCAs = ca.Pool
		addr := r.ServeHTTP3(t, ca.Certificate(t, "127.0.0.1"), settings)
		r.server = forward.Server{Transport: forward.HTTP3, URL: "https://" + addr.String() + resolvertest.DoHPath}
	}
	r.config.Servers = []forward.Server{r.server}
	return r
}

// overAll runs a test for every transport.
func overAll(t *testing.T, test func(t *testing.T, over resolvertest.Transport)) {
	t.Helper()
	for _, over := range append([]resolvertest.Transport{resolvertest.UDP}, streamed...) {
		t.Run(string(over), func(t *testing.T) {
			t.Parallel()
			test(t, over)
		})
	}
}

// streamed are the transports that keep connections.
var streamed = []resolvertest.Transport{
	resolvertest.TCP, resolvertest.TLS, resolvertest.HTTPS, resolvertest.QUIC, resolvertest.HTTP3,
}

// overStreams runs a test for every transport that keeps connections.
func overStreams(t *testing.T, test func(t *testing.T, over resolvertest.Transport)) {
	t.Helper()
	for _, over := range streamed {
		t.Run(string(over), func(t *testing.T) { test(t, over) })
	}
}

// running makes a group and runs it until the test ends.
func running(t testing.TB, config forward.Config) *forward.Pool {
	t.Helper()
	p := newPool(t, config)
	if config.Timeout == ample {
		p = forward.Patient(p)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	resolvertest.Until(t, "Run", func() bool { return forward.Kept(p) })
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run the pool: %v", err)
		}
	})
	return p
}

// What a server may say, over every transport.
func TestWhateverTheTransport(t *testing.T) {
	evil := resolvertest.RRs(t, "momenta-eun.privatelink.database.windows.net. 600 IN A 192.0.2.66\n"+
		"www.contoso.com. 600 IN A 192.0.2.66\ncontoso.com. 600 IN NS ns.evil.example.")
	const www = "www.contoso.com. A 203.0.113.80"
	tests := []struct {
		name  string
		does  resolvertest.Behaviour
		asked string
		rcode int
		want  string
	}{
		{"an answer", resolvertest.Answer, "www.contoso.com", dns.RcodeSuccess, www},
		{"a whole chain", resolvertest.Answer, "contoso.blob.core.windows.net", dns.RcodeSuccess, contosoBlob},
		{"20 links", resolvertest.Answer, "long.example", dns.RcodeSuccess, resolvertest.Chain("long.example", 20, "192.0.2.1")},
		{"NXDOMAIN", resolvertest.Answer, "nobody.contoso.com", dns.RcodeNameError, ""},
		{"SERVFAIL", resolvertest.Rcode(dns.RcodeServerFailure), "www.contoso.com", dns.RcodeServerFailure, ""},
		{"REFUSED", resolvertest.Rcode(dns.RcodeRefused), "www.contoso.com", dns.RcodeRefused, ""},
		{"a CNAME loop", resolvertest.Answer, "loop.example", dns.RcodeServerFailure, ""},
		{"poison beside the answer", resolvertest.Poison(evil[:1], evil[2:], evil), "www.contoso.com", dns.RcodeSuccess, www},
		{"TTL 0", resolvertest.TTL(0), "www.contoso.com", dns.RcodeSuccess, www},
		{"TTL with the top bit", resolvertest.TTL(1 << 31), "www.contoso.com", dns.RcodeSuccess, www},
		{"no EDNS", resolvertest.NoEDNS(dns.RcodeFormatError), "www.contoso.com", dns.RcodeSuccess, www},
	}
	overAll(t, func(t *testing.T, over resolvertest.Transport) {
		r := reach(t, over, resolvertest.AzureData, resolvertest.Chain("long.example", 20, "192.0.2.1"), resolvertest.Loop("loop.example", 3))
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				r.Forget()
				r.Always(tt.does)
				reply := mustExchange(t, forward.Patient(newPool(t, r.config)), question(tt.asked, dns.TypeA))
				if reply.Rcode != tt.rcode {
					t.Errorf("got %s, want %s", dns.RcodeToString[reply.Rcode], dns.RcodeToString[tt.rcode])
				}
				resolvertest.SameRecords(t, "answer", reply.Answer, tt.want)
				if r.Total(r.over) == 0 || r.Total(r.over) != r.Total() {
					t.Errorf("%d of %d queries came over %s", r.Total(r.over), r.Total(), r.over)
				}
				for _, rr := range append(reply.Answer, reply.Authority...) {
					if ttl := rr.Header().Ttl; ttl > 1<<31-1 {
						t.Errorf("TTL %d of %v", ttl, rr)
					}
				}
			})
		}
	})
}

// When one server fails, the next is asked, over every transport.
func TestFailuresWhateverTheTransport(t *testing.T) {
	failures := map[string]struct {
		does     resolvertest.Behaviour
		overUDP  bool
		overHTTP bool
	}{
		"silence":          {resolvertest.Drop, true, true},
		"malformed":        {resolvertest.Broken, true, true},
		"garbage":          {resolvertest.Bytes([]byte("garbage")), true, true},
		"wrong id":         {resolvertest.WrongID, true, true},
		"wrong question":   {resolvertest.WrongName, true, true},
		"wrong type":       {resolvertest.WrongType, true, true},
		"lame":             {resolvertest.Referral, true, true},
		"hangs up":         {resolvertest.HangUp, false, true},
		"breaks off":       {resolvertest.BreakOff, false, true},
		"HTTP status 500":  {resolvertest.Status(500), false, true},
		"HTTP status 302":  {resolvertest.Status(302), false, true},
		"NXDOMAIN + data":  {resolvertest.Changed(func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }), true, true},
		"too many records": {tooMany(t), false, true},
		"TC on a stream":   {resolvertest.Changed(func(m *dns.Msg) { m.Truncated = true }), true, true},
	}
	overAll(t, func(t *testing.T, over resolvertest.Transport) {
		for name, failure := range failures {
			if over == resolvertest.UDP && !failure.overUDP || strings.HasPrefix(name, "HTTP") && over == resolvertest.QUIC {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				bad := reach(t, over, resolvertest.AzureData)
				bad.Always(failure.does)
				good := resolvertest.StartUpstream(t, resolvertest.AzureData)
				bad.config.Servers = append(bad.config.Servers, plain(good.Addr))
				bad.config.Timeout = 0 // the default: silence costs a part of it
				reply := mustExchange(t, newPool(t, bad.config), question("www.contoso.com", dns.TypeA))
				resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
				if reply.Server != good.Addr.String() {
					t.Errorf("the answer came from %s", reply.Server)
				}
			})
		}
	})
}

// tooMany answers with more records than there could be addresses.
func tooMany(t testing.TB) resolvertest.Behaviour {
	empty := resolvertest.RR(t, `. 60 IN TYPE65280 \# 0`)
	return resolvertest.Changed(func(m *dns.Msg) {
		for range 5000 {
			m.Answer = append(m.Answer, empty)
		}
	})
}

// As many addresses as fit into a message are an answer like any other.
func TestAsManyAddressesAsFit(t *testing.T) {
	r := reach(t, resolvertest.TCP, resolvertest.AzureData)
	const addresses = 4000
	r.On("www.contoso.com", resolvertest.Changed(func(m *dns.Msg) {
		m.Answer = nil
		for i := range addresses {
			a := resolvertest.RR(t, "www.contoso.com. 60 IN A 203.0.113.80").(*dns.A)
			a.A = net.IPv4(198, 51, byte(i>>8), byte(i))
			m.Answer = append(m.Answer, a)
		}
	}))
	reply := mustExchange(t, forward.Patient(newPool(t, r.config)), question("www.contoso.com", dns.TypeA))
	if len(reply.Answer) != addresses {
		t.Errorf("%d of %d addresses came", len(reply.Answer), addresses)
	}
}

// A host that takes connections and hangs, half-open TLS among them, holds up no
// question for long.
func TestAHostThatHangs(t *testing.T) {
	overAll(t, func(t *testing.T, over resolvertest.Transport) {
		r := reach(t, over, resolvertest.AzureData)
		hanging := r.server
		hanging.Addr = resolvertest.SilentAddr(t)
		if over == resolvertest.HTTPS || over == resolvertest.HTTP3 {
			hanging.URL = "https://" + hanging.Addr.String() + resolvertest.DoHPath
		}
		r.config.Servers = []forward.Server{hanging, r.server}
		r.config.Timeout = 0
		reply := mustExchange(t, running(t, r.config), question("www.contoso.com", dns.TypeA))
		resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
	})
}
