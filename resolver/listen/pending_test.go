package listen_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// outside is asked about everything that is not mapped. What it does depends on the
// first label: "silent" never answers, "held" waits for release, "sync" calls back
// before it returns, "chain" does so with an alias, "known" knows, "fault" panics, "bad"
// answers what cannot be packed, and all else is answered by a goroutine.
type outside struct {
	mu   sync.Mutex
	held []func(resolver.Reply, error)
	name []zones.Name
}

func (o *outside) Start(q resolver.Question, _ resolver.Asker, _ time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	kind, rest, _ := strings.Cut(q.Name.FQDN(), ".")
	kind, number, _ := strings.Cut(kind, "-")
	reply := resolver.Reply{Source: resolver.FromUpstream, Answer: []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: q.Name.FQDN(), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 10}, A: net.IPv4(203, 0, 113, 1),
	}}}
	switch kind {
	case "silent":
	case "held":
		o.mu.Lock()
		defer o.mu.Unlock()
		o.held, o.name = append(o.held, done), append(o.name, q.Name)
	case "sync":
		done(reply, nil)
	case "chain":
		target := "chain-" + number + "x." + rest
		if len(number) > 10 {
			target = "known." + rest
		}
		reply.Answer = []dns.RR{&dns.CNAME{
			Hdr: dns.RR_Header{Name: q.Name.FQDN(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 10}, Target: target,
		}}
		done(reply, nil)
	case "known":
		return reply, false, nil
	case "fault":
		panic("a fault on asking")
	case "bad":
		reply.Answer = append(reply.Answer, nil)
		go done(reply, nil)
	default:
		reply.Source = resolver.FromCache // as it is for who asks what is being asked
		go done(reply, nil)
	}
	return resolver.Reply{}, true, nil
}

// holds is how many questions are held.
func (o *outside) holds() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.held)
}

// release answers what is held with records of so many octets.
func (o *outside) release(octets int) {
	o.mu.Lock()
	held, names := o.held, o.name
	o.held, o.name = nil, nil
	o.mu.Unlock()
	for i, done := range held {
		txt := &dns.TXT{Hdr: dns.RR_Header{Name: names[i].FQDN(), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 10}}
		for n := 0; n < octets; n += 200 {
			txt.Txt = append(txt.Txt, strings.Repeat("x", min(200, octets-n)))
		}
		done(resolver.Reply{Source: resolver.FromUpstream, Answer: []dns.RR{txt}}, nil)
	}
}

// hub is a resolver with two networks, 127.0.1.0/24 and 127.0.2.0/24, that both map mydb.
func hub(tb testing.TB, o *outside, deadline time.Duration) *resolver.Resolver {
	tb.Helper()
	var specs []zones.NetworkSpec
	routes := make(map[string][]resolver.Route)
	for i, name := range []string{"one", "two"} {
		specs = append(specs, zones.NetworkSpec{
			Name: name, Clients: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("127.0.%d.0/24", i+1))},
			Endpoints: []zones.Endpoint{{
				Name: zones.MustName("mydb.database.windows.net"), TTL: zones.DefaultTTL,
				Addresses: []netip.Addr{netip.MustParseAddr("10.0.1.4")},
			}},
		})
		routes[name] = []resolver.Route{{Suffix: zones.Root(), Group: "azure", To: o}}
	}
	table, err := zones.Build(specs)
	if err != nil {
		tb.Fatal(err)
	}
	snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table, Routes: routes, Deadline: deadline})
	if err != nil {
		tb.Fatal(err)
	}
	return resolver.New(snapshot)
}

// everywhere is a server with listeners of every kind.
type everywhere struct {
	server
	outside *outside
	watch   *recorder
	tls     *tls.Config
}

func startHub(tb testing.TB, config listen.Config, deadline time.Duration) everywhere {
	tb.Helper()
	authority := resolvertest.NewAuthority(tb)
	e := everywhere{outside: new(outside), watch: newRecorder(), tls: &tls.Config{RootCAs: authority.Pool, ServerName: "127.0.0.1"}}
	config.Handler, config.Observer = hub(tb, e.outside, deadline), e.watch
	config.TLS, config.HTTPS = addrs("127.0.0.1:0"), addrs("127.0.0.1:0")
	config.TLSConfig = &tls.Config{Certificates: []tls.Certificate{authority.Certificate(tb, "127.0.0.1")}}
	e.server = start(tb, config)
	return e
}

// dial connects from an address.
func (e everywhere) dial(tb testing.TB, transport, from string) net.Conn {
	tb.Helper()
	to := e.addr
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	network := "tcp"
	switch transport {
	case "udp":
		network, dialer.LocalAddr = "udp", &net.UDPAddr{IP: net.ParseIP(from)}
	case "tls":
		to = e.TLSAddrs()[0]
	}
	conn, err := dialer.Dial(network, to.String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	if transport == "tls" {
		config := e.tls.Clone()
		config.NextProtos = []string{"dot"}
		conn = tls.Client(conn, config)
	}
	return conn
}

// ask asks over a transport, from an address.
func (e everywhere) ask(tb testing.TB, transport, from string, m *dns.Msg) *dns.Msg {
	tb.Helper()
	if transport != "https" {
		conn := e.dial(tb, transport, from)
		defer conn.Close()
		write(tb, conn, pack(tb, m))
		return unpack(tb, read(tb, conn))
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: e.tls, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	response, err := client.Post("https://"+e.HTTPSAddrs()[0].String()+"/dns-query", "application/dns-message", bytes.NewReader(pack(tb, m)))
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return unpack(tb, body)
}

// flood sends so many silent questions over a connection, and waits until that many more
// are pending, or as many as there may be.
func (e everywhere) flood(tb testing.TB, conn net.Conn, stream bool, from, count, limit int) {
	tb.Helper()
	waiting := func() int {
		datagrams, streams := e.InFlight()
		if stream {
			return int(streams)
		}
		return int(datagrams)
	}
	before := waiting()
	for i := range count {
		write(tb, conn, pack(tb, query(fmt.Sprintf("silent-%d.attack.example", from+i))))
		for !stream && i%50 == 49 && waiting() < min(before+i+1, limit) {
			runtime.Gosched() // the socket has little room
		}
	}
	for waiting() < min(before+count, limit) {
		runtime.Gosched()
	}
}

var transports = []string{"udp", "tcp", "tls", "https"}

// TestManyPending: ten thousand questions that nobody answers cost little memory each and
// no goroutine; meanwhile private names are answered over every transport, and so are
// forwarded names of the same network and of another.
func TestManyPending(t *testing.T) {
	const total = 10_000
	e := startHub(t, listen.Config{Drain: time.Millisecond}, time.Hour)
	conn := e.dial(t, "udp", "127.0.1.1")
	e.flood(t, conn, false, 0, 500, total) // what is made once
	memory, goroutines := inUse(), runtime.NumGoroutine()
	e.flood(t, conn, false, 500, total-500, total)
	each := (inUse() - memory) / (total - 500)
	t.Logf("%d octets for each pending query, %d goroutines more", each, runtime.NumGoroutine()-goroutines)
	if each > 2048 || runtime.NumGoroutine() > goroutines+10 {
		t.Errorf("a pending query takes %d octets, and all of them %d goroutines", each, runtime.NumGoroutine()-goroutines)
	}
	for _, transport := range transports {
		for _, from := range []string{"127.0.1.1", "127.0.1.2", "127.0.2.1"} {
			for _, name := range []string{"mydb.database.windows.net", "known.example", "www.example"} {
				if reply := e.ask(t, transport, from, query(name)); reply.Rcode != dns.RcodeSuccess || len(reply.Answer) == 0 {
					t.Errorf("%s over %s: %v", name, transport, reply)
				}
			}
		}
	}
}

// inUse is the memory in use, stacks included.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc + stats.StackInuse
}

// TestShares: who fills all the room there is takes from itself. A client with many
// connections full of pipelined questions, and one that floods over UDP, leave what others
// forward as it was, and what is private to everybody, themselves included.
func TestShares(t *testing.T) {
	const limit = 64
	e := startHub(t, listen.Config{InFlight: limit, Pipeline: 32, Drain: time.Millisecond}, time.Hour)
	for i := range 20 {
		stream := e.dial(t, "tcp", "127.0.1.1")
		go io.Copy(io.Discard, stream)
		for n := range 32 {
			write(t, stream, pack(t, query(fmt.Sprintf("silent-%d-%d.example", i, n))))
		}
	}
	datagrams := e.dial(t, "udp", "127.0.1.1")
	go io.Copy(io.Discard, datagrams)
	e.flood(t, datagrams, false, 0, 10*limit, limit)
	for _, streams := e.InFlight(); streams < limit; _, streams = e.InFlight() {
		runtime.Gosched()
	}
	for _, transport := range transports {
		for _, from := range []string{"127.0.1.9", "127.0.2.9"} {
			for i := range 20 {
				name := fmt.Sprintf("www.other%d.example", i)
				if reply := e.ask(t, transport, from, query(name)); reply.Rcode != dns.RcodeSuccess {
					t.Errorf("%s of %s over %s: %v", name, from, transport, reply)
				}
			}
			for _, name := range []string{"mydb.database.windows.net", "known.example"} {
				for _, from := range []string{from, "127.0.1.1"} {
					if reply := e.ask(t, transport, from, query(name)); reply.Rcode != dns.RcodeSuccess {
						t.Errorf("%s of %s over %s: %v", name, from, transport, reply)
					}
				}
			}
		}
	}
	for _, view := range views(e.Limiting(3)) {
		if view.Held < limit-8 || len(view.Clients) == 0 || view.Clients[0].Client.String() != "127.0.1.1/32" || view.Clients[0].GaveWay == 0 ||
			len(view.Suffixes) == 0 || view.Networks[0].Network != "one" {
			t.Errorf("who is limited is not seen: %+v", view)
		}
	}
}

func views[T any](datagrams, streams T) []T { return []T{datagrams, streams} }

// TestGuard: every query is answered by its deadline, even if the outside never says
// anything.
func TestGuard(t *testing.T) {
	e := startHub(t, listen.Config{}, 100*time.Millisecond)
	var all sync.WaitGroup
	for _, transport := range transports {
		all.Go(func() {
			reply := e.ask(t, transport, "127.0.1.1", query("silent.example", edns(1232)))
			if got := summary(pack(t, reply)); reply.Rcode != dns.RcodeServerFailure || !strings.Contains(got, "ede22:upstream azure did not answer in time") {
				t.Errorf("over %s: %s", transport, got)
			}
		})
	}
	all.Wait()
	if datagrams, streams := e.InFlight(); datagrams+streams != 0 {
		t.Errorf("%d and %d are still pending", datagrams, streams)
	}
}

// TestCallsBackAtOnce: an outside may say what it knows before it has been asked to the
// end, a dozen times in a row.
func TestCallsBackAtOnce(t *testing.T) {
	e := startHub(t, listen.Config{}, 0)
	for _, transport := range transports {
		if reply := e.ask(t, transport, "127.0.1.1", query("sync.example")); len(reply.Answer) != 1 {
			t.Errorf("over %s: %v", transport, reply)
		}
		if reply := e.ask(t, transport, "127.0.1.1", query("chain-.example")); len(reply.Answer) != 13 {
			t.Errorf("a chain over %s: %v", transport, reply)
		}
	}
}

// TestFaults: a fault of this program, on asking or on answering, costs the query that
// meets it, which is answered, counted, and keeps no place.
func TestFaults(t *testing.T) {
	e := startHub(t, listen.Config{}, 0)
	for _, transport := range transports {
		for _, name := range []string{"fault.example", "bad.example"} {
			reply := e.ask(t, transport, "127.0.1.1", query(name))
			if reply.Rcode != dns.RcodeServerFailure {
				t.Errorf("%s over %s: %v", name, transport, reply)
			}
			if why := e.watch.refused(t); why != listen.Panicked {
				t.Errorf("%s over %s is counted as %s", name, transport, why)
			}
			if reply := e.ask(t, transport, "127.0.1.1", query("www.example")); reply.Rcode != dns.RcodeSuccess {
				t.Errorf("the next one over %s: %v", transport, reply)
			}
		}
	}
	if datagrams, streams := e.InFlight(); datagrams+streams != 0 {
		t.Errorf("%d and %d are still pending", datagrams, streams)
	}
}

// TestReleasedTogether: what one answer releases at one time is no lever over UDP (the
// DNSBomb attack), but for who has shown its address; a single late answer goes whole.
func TestReleasedTogether(t *testing.T) {
	e := startHub(t, listen.Config{}, time.Hour)
	conn := e.dial(t, "udp", "127.0.1.1")
	question := func(options ...dns.EDNS0) *dns.Msg {
		m := query("held.example", edns(1232, options...))
		m.Question[0].Qtype = dns.TypeTXT
		return m
	}
	send := func(n int, m *dns.Msg) {
		before := e.outside.holds()
		for i := range n {
			m.Id = uint16(i)
			write(t, conn, pack(t, m))
			for e.outside.holds() < before+i+1 {
				runtime.Gosched()
			}
		}
	}
	const together = 20
	size := len(pack(t, question()))
	send(together, question())
	e.outside.release(1000)
	out := 0
	for range together {
		wire := read(t, conn)
		out += len(wire)
		if !unpack(t, wire).Truncated {
			t.Errorf("a reply of %d octets to %d", len(wire), size)
		}
	}
	if out > 10*together*size {
		t.Errorf("%d octets released %d", together*size, out)
	}

	send(1, question())
	e.outside.release(1000)
	if reply := unpack(t, read(t, conn)); reply.Truncated || len(reply.Answer) != 1 {
		t.Errorf("a single answer is cut: %v", reply)
	}

	cookie := &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"}
	write(t, conn, pack(t, query("known.example", edns(1232, cookie))))
	for _, option := range unpack(t, read(t, conn)).IsEdns0().Option {
		if given, is := option.(*dns.EDNS0_COOKIE); is {
			cookie = given
		}
	}
	send(together, question(cookie))
	e.outside.release(1000)
	for range together {
		if reply := unpack(t, read(t, conn)); reply.Truncated || len(reply.Answer) != 1 {
			t.Errorf("an answer to who has a cookie is cut: %v", reply)
		}
	}
	forged := []byte(cookie.Cookie)
	forged[len(forged)-1] ^= 1
	send(2, question(&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: string(forged)}))
	e.outside.release(1000)
	for range 2 {
		if reply := unpack(t, read(t, conn)); !reply.Truncated {
			t.Errorf("a cookie that nobody gave counts: %v", reply)
		}
	}
}

// TestUnreadReplies: a client that does not read its replies holds up nobody who is waiting
// for the same reader of the outside.
func TestUnreadReplies(t *testing.T) {
	e := startHub(t, listen.Config{}, time.Hour)
	stuck, other := e.dial(t, "tcp", "127.0.1.1"), e.dial(t, "tcp", "127.0.1.2")
	const total = 120
	for i := range total {
		write(t, stuck, pack(t, query(fmt.Sprintf("held-%d.example", i))))
	}
	for e.outside.holds() < total {
		runtime.Gosched()
	}
	write(t, other, pack(t, query("held-last.example")))
	for e.outside.holds() < total+1 {
		runtime.Gosched()
	}
	e.outside.release(60_000) // by this goroutine: it would hang
	if reply := unpack(t, read(t, other)); len(reply.Answer) != 1 {
		t.Errorf("the other client got %v", reply)
	}
	for range total { // in the end they are all there
		var length [2]byte
		if _, err := io.ReadFull(stuck, length[:]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, stuck, int64(binary.BigEndian.Uint16(length[:]))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDrainMany: what is pending when the server has to stop is answered, over every
// transport, and no later than that.
func TestDrainMany(t *testing.T) {
	e := startHub(t, listen.Config{Drain: time.Millisecond}, time.Hour)
	datagrams, stream := e.dial(t, "udp", "127.0.1.1"), e.dial(t, "tls", "127.0.1.1")
	const total = 100
	e.flood(t, datagrams, false, 0, total, total)
	e.flood(t, streamed{stream}, true, 0, total, total)
	done := make(chan error)
	go func() { done <- e.stop() }()
	for range total {
		if reply := unpack(t, read(t, datagrams)); reply.Rcode != dns.RcodeServerFailure {
			t.Errorf("over UDP: %v", reply)
		}
		if reply := unpack(t, read(t, stream)); reply.Rcode != dns.RcodeServerFailure {
			t.Errorf("over TLS: %v", reply)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// streamed is a connection over a stream.
type streamed struct{ net.Conn }

// TestGoneClients: clients over HTTPS that do not wait for their answer keep nothing but
// its place.
func TestGoneClients(t *testing.T) {
	e := startHub(t, listen.Config{}, time.Hour)
	client := &http.Client{Transport: &http.Transport{
		DialContext:     (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.1.1")}}).DialContext,
		TLSClientConfig: e.tls, ForceAttemptHTTP2: true,
	}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+e.HTTPSAddrs()[0].String()+"/dns-query",
		bytes.NewReader(pack(t, query("held.example"))))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/dns-message")
	left := make(chan error)
	go func() {
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
		}
		left <- err
	}()
	for e.outside.holds() == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-left; err == nil {
		t.Error("there was an answer")
	}
	e.outside.release(10)
	e.watch.await(t, func(event event) bool { return event.served })
	if _, streams := e.InFlight(); streams != 0 {
		t.Errorf("%d are still pending", streams)
	}
}
