package listen_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
)

var transports = []string{"udp", "tcp", "tls", "https", "doq", "h3"}

// TestManyPending: ten thousand questions that nobody answers cost little memory each and
// no goroutine; meanwhile private names are answered over every transport, and so are
// forwarded names of the same network and of another.
func TestManyPending(t *testing.T) {
	const total = manyPending
	e := startHub(t, listen.Config{Drain: time.Millisecond}, time.Hour)
	conn := e.dial(t, "udp", "127.0.1.1")
	e.flood(t, conn, false, 0, 500, total) // what is made once
	memory, goroutines := inUse(), runtime.NumGoroutine()
	e.flood(t, conn, false, 500, total-500, total)
	each := (inUse() - memory) / (total - 500)
	t.Logf("%d octets for each pending query, %d goroutines more", each, runtime.NumGoroutine()-goroutines)
	if each > 2048 && total == 10_000 || runtime.NumGoroutine() > goroutines+10 {
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
	for i := range 60 { // one client is slowed down before it holds everything
		stream := e.dial(t, "tcp", fmt.Sprintf("127.0.1.%d", 1+i%3))
		go io.Copy(io.Discard, stream)
		for n := range 32 {
			write(t, stream, pack(t, query(fmt.Sprintf("silent-%d-%d.example", i, n))))
		}
	}
	datagrams := e.dial(t, "udp", "127.0.1.1")
	go io.Copy(io.Discard, datagrams)
	e.flood(t, datagrams, false, 0, 10*limit, limit)
	resolvertest.Until(t, "streams full of questions", func() bool {
		_, streams := e.InFlight()
		return streams >= limit
	})
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
	for i, view := range views(e.Limiting(3)) {
		if view.Held < limit-8 || len(view.Clients) == 0 || i == 0 && view.Clients[0].Client.String() != "127.0.1.1/32" ||
			view.Clients[0].GaveWay == 0 || len(view.Suffixes) == 0 || view.Networks[0].Network != "one" {
			t.Errorf("who is limited is not seen: %+v", view)
		}
	}
}

func views[T any](datagrams, streams T) []T { return []T{datagrams, streams} }

// TestDeadline: every query is answered when the outside says that its time is up.
func TestDeadline(t *testing.T) {
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
			e.await(t, before+i+1)
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
	for range together {
		e.watch.await(t, func(told event) bool { return told.limited == "one release slipped" })
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
	if last := &forged[len(forged)-1]; *last == '0' {
		*last = '1'
	} else {
		*last = '0'
	}
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
	e.await(t, total)
	write(t, other, pack(t, query("held-last.example")))
	e.await(t, total+1)
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
		TLSClientConfig: e.tls.Clone(), ForceAttemptHTTP2: true,
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
	e.await(t, 1)
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

// TestTooLarge: what no DNS message can hold is SERVFAIL at once, with the reason, and no
// fault of this program.
func TestTooLarge(t *testing.T) {
	e := startHub(t, listen.Config{}, time.Hour)
	m := query("held.example", edns(1232))
	m.Question[0].Qtype = dns.TypeTXT
	conn := e.dial(t, "tcp", "127.0.1.1")
	write(t, conn, pack(t, m))
	e.await(t, 1)
	e.outside.mu.Lock()
	held := e.outside.held
	e.outside.mu.Unlock()
	reply := resolver.Reply{Source: resolver.FromUpstream}
	for i := range 400 {
		reply.Answer = append(reply.Answer, &dns.TXT{
			Hdr: dns.RR_Header{Name: "held.example.", Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 10},
			Txt: []string{fmt.Sprint(i), strings.Repeat("x", 200)},
		})
	}
	held[0](reply, nil)
	if got := summary(read(t, conn)); !strings.Contains(got, "SERVFAIL") || !strings.Contains(got, "larger than a DNS message") {
		t.Errorf("got %s", got)
	}
	e.watch.await(t, func(event event) bool { return event.served })
}
