package listen_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/forward"
	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// TestForwarding: clients over UDP and TCP ask for the same names at the same time, so
// that they wait for each other's questions, over real sockets to an upstream server: each
// gets its own answer, whoever asked, and so do those who asked when the server stopped.
func TestForwarding(t *testing.T) {
	const names, clients = 200, 6
	data := ""
	for i := range names {
		data += fmt.Sprintf("n%d.example. 60 IN CNAME m%d.example.\nm%d.example. 60 IN A 10.9.0.%d\n", i, i, i, i)
	}
	u := resolvertest.StartUpstream(t, data)
	pool, err := forward.New(forward.Config{Name: "azure", Servers: []forward.Server{{Addr: u.Addr}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := pool.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(running.Wait)
	t.Cleanup(cancel) // after the server has ended
	remembered := cache.New(cache.Config{Entries: 10, Timeout: patience})
	s := start(t, listen.Config{Handler: forwarding(t, remembered.Group("azure", pool)), Readers: 4, Dedicated: true})
	answer := func(transport string, wire []byte) {
		m := unpack(t, wire)
		i := int(m.Id)
		if want := fmt.Sprintf("10.9.0.%d", i); len(m.Answer) != 2 || m.Answer[1].(*dns.A).A.String() != want {
			t.Errorf("over %s: n%d.example is %v", transport, i, m.Answer)
		}
	}
	ask := func(from, to int) {
		var asking sync.WaitGroup
		for i := range clients {
			transport := []string{"udp", "tcp"}[i%2]
			conn := dial(t, transport, s.addr)
			asking.Go(func() {
				for at := from; at < to; at += 20 { // as many as any queue of packets takes
					for n := at; n < at+20; n++ {
						m := query(fmt.Sprintf("n%d.example", n))
						m.Id = uint16(n)
						write(t, conn, pack(t, m))
					}
					for range 20 {
						answer(transport, read(t, conn))
					}
				}
			})
		}
		asking.Wait()
	}
	ask(0, names/2)
	release := make(chan struct{})
	u.Always(resolvertest.Delay(release))
	last := dial(t, "udp", s.addr)
	for n := names / 2; n < names/2+10; n++ {
		m := query(fmt.Sprintf("n%d.example", n))
		m.Id = uint16(n)
		write(t, last, pack(t, m))
	}
	u.Wait(t, fmt.Sprintf("n%d.example", names/2+9), dns.TypeA, 1)
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	close(release)
	for range 10 {
		answer("udp", read(t, last))
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// forwarding is a resolver that asks for everything.
func forwarding(t *testing.T, to resolver.Exchanger) *resolver.Resolver {
	t.Helper()
	table, err := zones.Build([]zones.NetworkSpec{{Name: "one", Clients: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := resolver.NewSnapshot(resolver.Options{
		Table: table, Routes: map[string][]resolver.Route{"one": {{Suffix: zones.Root(), Group: "azure", To: to}}}, Deadline: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	return resolver.New(snapshot)
}
