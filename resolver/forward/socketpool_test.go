package forward_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
)

const honest = "www.contoso.com. A 203.0.113.80"

// A port is not used for ever, whatever else: after some queries, after some time,
// and when strange packets come to it, another takes its place.
func TestSocketsWearOut(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	p := forward.Places(pool(t, u), 1)
	ports := func(n int) map[uint16]int {
		u.Forget()
		for range n {
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		}
		used := make(map[uint16]int)
		for _, q := range u.Queries() {
			used[q.From.Port()]++
		}
		return used
	}
	used := ports(3 * forward.SocketUses)
	if len(used) < 3 {
		t.Errorf("%d queries came from ports %v", 3*forward.SocketUses, used)
	}
	for port, n := range used {
		if n > forward.SocketUses {
			t.Errorf("port %d was used for %d queries", port, n)
		}
	}
	before := ports(1)
	forward.Sweep(p, time.Now().Add(time.Hour))
	if after := ports(1); fmt.Sprint(before) == fmt.Sprint(after) {
		t.Errorf("after an hour the port is still one of %v", after)
	}
}

// The answer to one question does not count at the port of another, however right
// it is.
func TestAnAnswerAtTheWrongPort(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	// Both questions wait, then each is answered at the port of the other, with lies,
	// and then honestly.
	var mu sync.Mutex
	waiting := make(map[netip.AddrPort]*resolvertest.Asked)
	u.Always(resolvertest.Over(resolvertest.UDP, func(a *resolvertest.Asked) {
		mu.Lock()
		defer mu.Unlock()
		waiting[a.From] = a
		if len(waiting) < 2 {
			return
		}
		for _, lied := range waiting {
			for _, at := range waiting {
				if at == lied {
					continue
				}
				lie := lied.Reply()
				lie.Answer[0].(*dns.A).A = net.IP{192, 0, 2, 66}
				packet, err := lie.Pack()
				if err != nil {
					t.Error(err)
				}
				for range 5 {
					at.SendBytes(packet)
				}
			}
		}
		for _, a := range waiting {
			resolvertest.Answer(a)
		}
	}))
	p := pool(t, u)
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			reply, err := exchange(p, question("www.contoso.com", dns.TypeA))
			if err != nil {
				t.Error(err)
				return
			}
			resolvertest.SameRecords(t, "answer", reply.Answer, honest)
		})
	}
	asking.Wait()
}

// Who floods a port with guesses, while a question waits there or while none does,
// is noticed, and gains nothing.
func TestAFloodAtAPortThatNobodyWaitsAt(t *testing.T) {
	if !hasPool(t) {
		t.Skip("this build has no socket pool: nobody listens at such a port")
	}
	seen := new(events)
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	u.Always(resolvertest.Both(resolvertest.Answer, func(a *resolvertest.Asked) {
		packet, err := a.Reply().Pack()
		if err != nil {
			t.Error(err)
		}
		a.Forge(1000, packet, func(packet []byte) { packet[0]++ })
	}))
	p, empty := forward.Pooled(newPool(t, forward.Config{
		Name: "azure", Servers: []forward.Server{plain(u.Addr)}, Timeout: ample, Observer: seen,
	}))
	defer empty()
	reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	resolvertest.SameRecords(t, "answer", reply.Answer, honest)
	resolvertest.Until(t, "who notices the flood", func() bool { return seen.count("suspicious "+u.Addr.String()+" near-miss") > 0 })
	u.Always(resolvertest.Answer)
	mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	if q := u.Queries(); q[0].From.Port() == q[1].From.Port() {
		t.Errorf("port %d is used again after a flood", q[0].From.Port())
	}
}

// A server that nobody listens at is found out at once, and the next is asked.
func TestAPortThatIsClosed(t *testing.T) {
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.LocalAddr().(*net.UDPAddr).AddrPort()
	closed.Close()
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	p := pool(t, &resolvertest.Upstream{Addr: nobody}, u)
	for range 3 {
		reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		resolvertest.SameRecords(t, "answer", reply.Answer, honest)
	}
	alone := pool(t, &resolvertest.Upstream{Addr: nobody})
	_, err = exchange(alone, question("www.contoso.com", dns.TypeA))
	var failed *forward.Error
	if !errors.As(err, &failed) || failed.Timeout() {
		t.Errorf("got %v", err)
	}
}

// Over IPv6 too.
func TestSocketPoolOverIPv6(t *testing.T) {
	conn, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6:", err)
	}
	defer conn.Close()
	go func() { // until conn is closed
		buffer := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			buffer[2] |= 0x80
			_, _ = conn.WriteTo(buffer[:n], from)
		}
	}()
	addr := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	p := pool(t, &resolvertest.Upstream{Addr: addr})
	for range 3 {
		if reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA)); reply.Rcode != dns.RcodeSuccess {
			t.Errorf("got %s", dns.RcodeToString[reply.Rcode])
		}
	}
}

// Many questions at once over few sockets: each gets its own answer.
func TestManyQuestionsOverFewSockets(t *testing.T) {
	const names, rounds = 100, 10
	data := ""
	for i := range names {
		data += fmt.Sprintf("n%d.example. 60 IN A 10.0.0.%d\n", i, i)
	}
	u := resolvertest.StartUpstream(t, data)
	p := forward.Places(pool(t, u), 4)
	var asking sync.WaitGroup
	for i := range names {
		asking.Go(func() {
			for range rounds {
				reply, err := exchange(p, question(fmt.Sprintf("n%d.example", i), dns.TypeA))
				if err != nil {
					t.Error(err)
					return
				}
				resolvertest.SameRecords(t, "answer", reply.Answer, fmt.Sprintf("n%d.example. A 10.0.0.%d", i, i))
			}
		})
	}
	asking.Wait()
}

// When Run ends, the questions under way are still answered, and then no socket is
// left; a question that comes after it is answered over a socket of its own.
func TestTheSocketPoolIsEmptyAfterRun(t *testing.T) {
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	p := newPool(t, forward.Config{Name: "azure", Servers: []forward.Server{plain(u.Addr)}, Timeout: ample})
	mustExchange(t, p, question("www.contoso.com", dns.TypeA)) // the runtime opens what it needs for the network
	pooled := hasPool(t)
	before := openFiles(t)
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		for range 50 {
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		}
		release := make(chan struct{})
		u.Always(resolvertest.Delay(release))
		u.Forget()
		last := make(chan resolver.Reply, 1)
		_, _, _ = p.Start(question("www.contoso.com", dns.TypeA), resolver.Asker{}, time.Now().Add(ample),
			func(reply resolver.Reply, _ error) { last <- reply })
		if pooled {
			u.Wait(t, "www.contoso.com", dns.TypeA, 1)
		}
		cancel()
		close(release)
		resolvertest.SameRecords(t, "answer", (<-last).Unpacked().Answer, honest)
		if err := <-done; err != nil {
			t.Errorf("run the pool: %v", err)
		}
		u.Always(resolvertest.Answer)
		mustExchange(t, p, question("www.contoso.com", dns.TypeA))
	}
	// Without Run, whoever heard the answer closes its socket just after.
	resolvertest.Until(t, fmt.Sprintf("as many open files as before, %d", before), func() bool { return openFiles(t) == before })
}

// hasPool tells whether this build keeps sockets.
func hasPool(t *testing.T) bool {
	t.Helper()
	return forward.KeepsSockets(pool(t, resolvertest.StartUpstream(t)))
}

// openFiles is how many files this process has open, 0 where that cannot be told.
func openFiles(t *testing.T) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// The sockets of all servers together are bounded, and those that nobody uses are
// closed, without anybody asking anything.
func TestTheSocketsAreBounded(t *testing.T) {
	if !hasPool(t) {
		t.Skip("this build has no socket pool")
	}
	const most, names = 20, 200
	const least = 4 // what each server may have in any case
	limit := forward.LimitSockets(most)
	var asking sync.WaitGroup
	for range 2 { // groups
		u := resolvertest.StartUpstream(t, resolvertest.AzureData)
		p, empty := forward.Pooled(forward.Restless(forward.Patient(newPool(t, forward.Config{
			Name: "azure", Servers: []forward.Server{plain(u.Addr)}, Timeout: ample, Sockets: limit,
		}))))
		defer empty()
		for range names {
			asking.Go(func() {
				reply, err := exchange(p, question("www.contoso.com", dns.TypeA))
				if err != nil {
					t.Error(err)
					return
				}
				resolvertest.SameRecords(t, "answer", reply.Answer, honest)
				if open := limit.Open(); open > most+2*least {
					t.Errorf("%d sockets are open, %d may be", open, most+2*least)
				}
			})
		}
	}
	asking.Wait()
	resolvertest.Until(t, "the end of all sockets", func() bool { return limit.Open() == 0 })
}

// The limit follows from how many files the process may open.
func TestTheLimitOfSockets(t *testing.T) {
	if most := forward.NewSocketLimit().Most(); most < 16 {
		t.Errorf("only %d sockets may be open", most)
	}
}
