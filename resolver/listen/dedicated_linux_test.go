//go:build !portable

package listen

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// TestDedicated: readers that wait in the system answer like all others: what is
// remembered and what is not, after a pause as well as in a stream, while the
// collector stops the world. They end with their Server, and leave the Go runtime
// as it was.
func TestDedicated(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: newEstate(t), Readers: 2, Dedicated: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error)
	go func() { result <- s.Run(ctx) }()
	conn, err := net.Dial(udp, s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	r := running{Server: s, conn: conn}
	for range 2 {
		held := false
		for i := 0; i < 300 || !held; i++ { // how soon one counts as busy depends on the machine
			r.ask(t, []string{"mydb.database.windows.net.", "probed.database.windows.net.", "www.example."}[i%3])
			if i%10 == 0 {
				runtime.GC()
			}
			held = held || s.holders.taken.Load() > 0
		}
		if got := runtime.GOMAXPROCS(0); got != before+2 {
			t.Fatalf("%d processors, of %d before", got, before)
		}
		if n := allocations(t, r); n > 100 {
			t.Errorf("%d allocations for 2000 queries that are answered from memory", n)
		}
		resolvertest.Until(t, "processors that are given back", func() bool { return s.holders.taken.Load() == 0 }) // nobody asks any more
	}
	cancel()
	if err := <-result; err != nil {
		t.Error(err)
	}
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d processors, of %d before", got, before)
	}
}

// allocations are those of the process while 2000 queries are answered from memory.
func allocations(t *testing.T, r running) uint64 {
	t.Helper()
	packet, err := new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	var before, after runtime.MemStats
	for i := range 2100 {
		if i == 100 {
			runtime.ReadMemStats(&before)
		}
		if _, err := r.conn.Write(packet); err != nil {
			t.Fatal(err)
		}
		if _, err := r.conn.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}
