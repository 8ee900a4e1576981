package forward_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
)

// connections are the connections that the questions came over.
func connections(u *resolvertest.Upstream) map[netip.AddrPort]int {
	seen := make(map[netip.AddrPort]int)
	for _, q := range u.Queries() {
		seen[q.From]++
	}
	return seen
}

// RFC 7766 section 6.2.1: connections are used again.
func TestConnectionsAreKept(t *testing.T) {
	overStreams(t, func(t *testing.T, over resolvertest.Transport) {
		r := reach(t, over, resolvertest.AzureData)
		p := running(t, r.config)
		mustExchange(t, p, question("www.contoso.com", dns.TypeA)) // Run may begin after it
		r.Forget()
		for range 10 {
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		}
		if got := connections(r.Upstream); len(got) > 2 {
			t.Errorf("10 questions came over %d connections", len(got))
		}
	})
}

// Without Run nothing is kept, and nothing is left behind.
func TestWithoutRunNothingIsKept(t *testing.T) {
	overStreams(t, func(t *testing.T, over resolvertest.Transport) {
		r := reach(t, over, resolvertest.AzureData)
		p := forward.Patient(newPool(t, r.config))
		for range 3 {
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		}
		if got := connections(r.Upstream); len(got) != 3 {
			t.Errorf("3 questions came over %d connections", len(got))
		}
	})
}

// RFC 7766 sections 6.2.1.1 and 7: questions are pipelined and answered in any
// order.
func TestAnswersOvertakeEachOther(t *testing.T) {
	overStreams(t, func(t *testing.T, over resolvertest.Transport) {
		r := reach(t, over, resolvertest.AzureData)
		p := running(t, r.config)
		mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		release := make(chan struct{})
		r.On("db.contoso.com", resolvertest.Delay(release))
		slow := make(chan error, 1)
		go func() {
			_, err := exchange(p, question("db.contoso.com", dns.TypeA))
			slow <- err
		}()
		r.Wait(t, "db.contoso.com", dns.TypeA, 1)
		for range 5 {
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		}
		close(release)
		if err := <-slow; err != nil {
			t.Errorf("the slow answer: %v", err)
		}
	})
}

// Many questions at once get each its own answer, over few connections.
func TestManyQuestionsAtOnce(t *testing.T) {
	overStreams(t, func(t *testing.T, over resolvertest.Transport) {
		const questions = 300
		var data strings.Builder
		for i := range questions {
			fmt.Fprintf(&data, "n%d.example. 60 IN A 192.0.%d.%d\n", i, i/250, i%250)
		}
		r := reach(t, over, data.String())
		p := running(t, r.config)
		mustExchange(t, p, question("n0.example", dns.TypeA))
		var asking sync.WaitGroup
		for i := range questions {
			asking.Go(func() {
				reply, err := exchange(p, question(fmt.Sprintf("n%d.example", i), dns.TypeA))
				if err != nil {
					t.Error(err)
					return
				}
				resolvertest.SameRecords(t, "answer", reply.Answer, fmt.Sprintf("n%d.example. A 192.0.%d.%d", i, i/250, i%250))
			})
		}
		asking.Wait()
		if got := connections(r.Upstream); len(got) > 10 {
			t.Errorf("%d questions came over %d connections", questions, len(got))
		}
	})
}

// A connection that was kept and dies meanwhile is replaced, unseen by whoever
// asks.
func TestAKeptConnectionThatDies(t *testing.T) {
	deaths := map[string]resolvertest.Behaviour{
		"hangs up":   resolvertest.HangUp,
		"breaks off": resolvertest.BreakOff,
	}
	overStreams(t, func(t *testing.T, over resolvertest.Transport) {
		for name, death := range deaths {
			t.Run(name, func(t *testing.T) {
				r := reach(t, over, resolvertest.AzureData)
				seen := new(events)
				r.config.Observer = seen
				p := running(t, r.config)
				for range 2 { // the second one is kept for sure
					mustExchange(t, p, question("www.contoso.com", dns.TypeA))
				}
				r.On("db.contoso.com", resolvertest.First(1, death, resolvertest.Answer))
				mustExchange(t, p, question("db.contoso.com", dns.TypeA))
				if got := r.Count("db.contoso.com", dns.TypeA); got != 2 {
					t.Errorf("asked %d times, want twice", got)
				}
				if got := seen.count("failed"); got != 0 {
					t.Errorf("%d failures were reported", got)
				}
			})
		}
	})
	overStreams(t, func(t *testing.T, over resolvertest.Transport) {
		r := reach(t, over, resolvertest.AzureData)
		p := running(t, r.config)
		for range 6 {
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
			r.Stop()
			r.Restart(t)
		}
		mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	})
}

// neverAsked are the ways to send over a connection what was never asked on it.
var neverAsked = map[string]resolvertest.Behaviour{
	"an unknown id":    resolvertest.WrongID,
	"another question": resolvertest.WrongName,
	"a query":          resolvertest.NoResponse,
	"nothing":          resolvertest.Bytes(nil),
	"three octets":     resolvertest.Bytes([]byte{1, 2, 3}),
}

// A connection that brings what was never asked on it is closed at once, and what
// else is under way on it is asked over another one.
func TestAStreamWithWhatWasNeverAsked(t *testing.T) {
	for _, over := range []resolvertest.Transport{resolvertest.TCP, resolvertest.TLS} {
		for name, spoil := range neverAsked {
			t.Run(string(over)+"/"+name, func(t *testing.T) {
				t.Parallel()
				// On a machine that stands still for half a second the connection is
				// taken for deaf first, and the two questions are on different ones.
				for range 5 {
					if askedAgainAtOnce(t, over, spoil) {
						return
					}
				}
				t.Error("it was a timeout that helped, each time")
			})
		}
	}
}

// askedAgainAtOnce has a connection bring what was never asked on it while another
// question waits there, and tells whether both are answered long before a timeout.
func askedAgainAtOnce(t *testing.T, over resolvertest.Transport, spoil resolvertest.Behaviour) bool {
	t.Helper()
	r := reach(t, over, resolvertest.AzureData)
	r.config.Timeout = ample
	p := running(t, r.config)
	for range 2 { // the second one is kept for sure
		mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	}
	r.On("db.contoso.com", resolvertest.First(1, resolvertest.Drop, resolvertest.Answer))
	slow := make(chan error, 1)
	go func() {
		_, err := exchange(p, question("db.contoso.com", dns.TypeA))
		slow <- err
	}()
	r.Wait(t, "db.contoso.com", dns.TypeA, 1)
	r.Forget()
	began := time.Now()
	r.On("www.contoso.com", resolvertest.First(1, spoil, resolvertest.Answer))
	mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	if err := <-slow; err != nil {
		t.Errorf("the other question: %v", err)
	}
	return time.Since(began) < ample/10
}

// A reply with a length that is not its own, after which nothing on the connection
// can be read, costs that question at most.
func TestAStreamThatLosesItsFraming(t *testing.T) {
	r := reach(t, resolvertest.TCP, resolvertest.AzureData)
	p := running(t, r.config)
	mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	r.On("db.contoso.com", func(a *resolvertest.Asked) {
		reply, err := a.Reply().Pack()
		if err != nil {
			return
		}
		a.SendBytes(append(reply, make([]byte, 1<<16)...)) // the length is that of reply, modulo 65536
	})
	_, _ = exchange(p, question("db.contoso.com", dns.TypeA))
	r.Forget()
	for range 6 {
		began := time.Now()
		mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		if took := time.Since(began); took > 700*time.Millisecond {
			t.Errorf("an answer took %v", took)
		}
	}
}

// RFC 7858, RFC 8310: a server is known by the name the operator wrote, or else
// by its address; without a certificate for that nothing is asked.
func TestCertificates(t *testing.T) {
	tests := []struct {
		name        string
		certificate string
		expect      string // the name the operator wrote
		trusted     bool
		expired     bool
		good        bool
	}{
		{"the name", "dns.contoso.com", "dns.contoso.com", true, false, true},
		{"another name", "dns.contoso.com", "dns.fabrikam.com", true, false, false},
		{"the address", "127.0.0.1", "", true, false, true},
		{"a name where the address is expected", "dns.contoso.com", "", true, false, false},
		{"an address where a name is expected", "127.0.0.1", "dns.contoso.com", true, false, false},
		{"an authority nobody trusts", "dns.contoso.com", "dns.contoso.com", false, false, false},
		{"of yesterday", "dns.contoso.com", "dns.contoso.com", true, true, false},
	}
	for _, over := range streamed[1:] {
		for _, tt := range tests {
			t.Run(string(over)+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				u := resolvertest.StartUpstream(t, resolvertest.AzureData)
				ca := resolvertest.NewAuthority(t)
				certificate := ca.Certificate(t, tt.certificate)
				if tt.expired {
					certificate = ca.Expired(t, tt.certificate)
				}
				config := forward.Config{Name: "azure", Timeout: ample, RootCAs: ca.Pool}
				config.Servers = []forward.Server{knownAs(tt.expect, over, u.Serve(t, over, certificate))}
				if !tt.trusted {
					config.RootCAs = resolvertest.NewAuthority(t).Pool
				}
				_, err := exchange(newPool(t, config), question("www.contoso.com", dns.TypeA))
				if (err == nil) != tt.good {
					t.Fatalf("got error %v", err)
				}
				if !tt.good && (u.Total() != 0 || !strings.Contains(err.Error(), "the hub: network: tls: failed to verify certificate")) {
					t.Errorf("%d questions were asked; error %v", u.Total(), err)
				}
			})
		}
	}
}

// knownAs is a server that shall have a name, or only its address if that is empty.
func knownAs(name string, over resolvertest.Transport, addr netip.AddrPort) forward.Server {
	server := forward.Server{Addr: addr, ServerName: name, Text: "the hub"}
	switch over {
	case resolvertest.TLS:
		server.Transport = forward.TLS
	case resolvertest.QUIC:
		server.Transport = forward.QUIC
	case resolvertest.HTTPS:
		server.Transport = forward.HTTPS
	case resolvertest.HTTP3:
		server.Transport = forward.HTTP3
	}
	if over == resolvertest.HTTPS || over == resolvertest.HTTP3 {
		server.URL = fmt.Sprintf("https://%s:%d%s", cmp.Or(name, addr.Addr().String()), addr.Port(), resolvertest.DoHPath)
		server.Addr, server.ServerName, server.Bootstrap = netip.AddrPort{}, "", []netip.AddrPort{addr}
	}
	return server
}

// RFC 7830, RFC 8467: queries are padded where nobody can read them, and only
// there.
func TestPadding(t *testing.T) {
	overAll(t, func(t *testing.T, over resolvertest.Transport) {
		r := reach(t, over, resolvertest.AzureData)
		p := forward.Patient(newPool(t, r.config))
		for _, name := range []string{"www.contoso.com", "contoso.blob.core.windows.net", strings.Repeat("a-label-of-20-octets.", 11) + "com"} {
			r.Forget()
			mustExchange(t, p, question(name, dns.TypeA))
			q := r.Queries()[0]
			padded := false
			for _, option := range q.Msg.IsEdns0().Option {
				padded = padded || option.Option() == dns.EDNS0PADDING
			}
			secret := over != resolvertest.UDP && over != resolvertest.TCP
			if padded != secret || secret && len(q.Raw)%128 != 0 {
				t.Errorf("over %s: %d octets, padded %v", over, len(q.Raw), padded)
			}
		}
	})
}

// RFC 8484: one HTTP/2 connection, id 0, and no look-up of the name in the URL.
func TestHTTPS(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	ca := resolvertest.NewAuthority(t)
	addr := u.ServeHTTPS(t, ca.Certificate(t, "dns.contoso.invalid"))
	config := forward.Config{Name: "azure", Timeout: ample, RootCAs: ca.Pool, Servers: []forward.Server{{
		Transport: forward.HTTPS, URL: "https://dns.contoso.invalid" + resolvertest.DoHPath,
		Bootstrap: []netip.AddrPort{resolvertest.ClosedAddr(t), addr},
	}}}
	p := running(t, config)
	for range 3 {
		reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
	}
	for _, q := range u.Queries() {
		if q.Msg.Id != 0 || q.Proto != "HTTP/2.0" {
			t.Errorf("asked with id %d over %s", q.Msg.Id, q.Proto)
		}
	}
	config.RootCAs = resolvertest.NewAuthority(t).Pool
	if _, err := exchange(newPool(t, config), question("www.contoso.com", dns.TypeA)); !errors.As(err, new(*forward.Error)) {
		t.Errorf("a server with a certificate of nobody we trust was asked: %v", err)
	}
}

// The other end of a kept connection may be gone without a word, as behind a
// firewall that forgot it: the next try takes a new connection.
func TestAKeptConnectionThatIsDeaf(t *testing.T) {
	for _, over := range []resolvertest.Transport{resolvertest.TCP, resolvertest.TLS} {
		t.Run(string(over), func(t *testing.T) {
			t.Parallel()
			r := reach(t, over, resolvertest.AzureData)
			r.config.Timeout = 10 * time.Second
			p := running(t, r.config)
			for range 2 { // the second one is kept for sure
				mustExchange(t, p, question("www.contoso.com", dns.TypeA))
			}
			old := connections(r.Upstream)
			r.Always(func(a *resolvertest.Asked) {
				if old[a.From] == 0 {
					resolvertest.Answer(a)
				}
			})
			reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
			resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
		})
	}
}
