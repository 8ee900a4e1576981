package forward_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
	"pldns/resolver/wire"
)

// clientTime is how long clients wait, unless the configuration says otherwise.
const clientTime = 2500 * time.Millisecond

const wwwContoso = "www.contoso.com. A 203.0.113.80"

// overQUIC runs a test for both transports over QUIC.
func overQUIC(t *testing.T, test func(t *testing.T, over resolvertest.Transport)) {
	t.Helper()
	for _, over := range []resolvertest.Transport{resolvertest.QUIC, resolvertest.HTTP3} {
		t.Run(string(over), func(t *testing.T) {
			t.Parallel()
			test(t, over)
		})
	}
}

// at is a server like another one, at an address.
func (r reached) at(relay *resolvertest.Relay) forward.Config {
	config := r.config
	server := r.server
	server.Addr = relay.Addr
	if server.URL != "" {
		server.URL = "https://" + relay.Addr.String() + resolvertest.DoHPath
	}
	config.Servers = []forward.Server{server}
	return config
}

// RFC 9250 section 4.2: each question is on a stream of its own, which ends behind it, with
// id 0; all are on one connection, without 0-RTT.
func TestQuestionsOverQUIC(t *testing.T) {
	r := reachWith(t, resolvertest.QUIC, &quic.Config{Allow0RTT: true}, resolvertest.AzureData)
	ends, states := make(chan error, 8), make(chan quic.ConnectionState, 8)
	r.Always(func(a *resolvertest.Asked) {
		states <- a.Conn.ConnectionState()
		_, err := a.Stream.Read(make([]byte, 1))
		ends <- err
		resolvertest.Answer(a)
	})
	p := running(t, r.config)
	const questions = 3
	for range questions {
		reply := mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		resolvertest.SameRecords(t, "answer", reply.Answer, wwwContoso)
		if err := <-ends; !errors.Is(err, io.EOF) {
			t.Errorf("the stream does not end behind the query: %v", err)
		}
	}
	for range questions {
		if state := <-states; state.Used0RTT || state.TLS.NegotiatedProtocol != "doq" {
			t.Errorf("0-RTT %v, protocol %q", state.Used0RTT, state.TLS.NegotiatedProtocol)
		}
	}
	for _, q := range r.Queries() {
		if q.Msg.Id != 0 {
			t.Errorf("asked with id %d", q.Msg.Id)
		}
	}
	if got := connections(r.Upstream); len(got) > 2 { // one, unless the machine stood still
		t.Errorf("%d questions came over %d connections", questions, len(got))
	}
}

// A connection that ended because nothing was asked on it is opened again without a word. It
// resumes its session, and sends nothing before it is complete.
func TestAnIdleConnectionOverQUIC(t *testing.T) {
	overQUIC(t, func(t *testing.T, over resolvertest.Transport) {
		r := reachWith(t, over, &quic.Config{Allow0RTT: true, MaxIdleTimeout: 50 * time.Millisecond}, resolvertest.AzureData)
		seen := new(events)
		r.config.Observer = seen
		p := running(t, r.config)
		for range 3 {
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
			r.Say(func(conn *quic.Conn) { <-conn.Context().Done() })
		}
		if got := connections(r.Upstream); len(got) < 3 {
			t.Errorf("%d connections, want 3", len(got))
		}
		var last quic.ConnectionState
		r.Say(func(conn *quic.Conn) { last = conn.ConnectionState() })
		if last.Used0RTT || !last.TLS.DidResume {
			t.Errorf("0-RTT %v, resumed %v", last.Used0RTT, last.TLS.DidResume)
		}
		if got := seen.count("failed"); got != 0 {
			t.Errorf("%d failures were reported", got)
		}
	})
}

// A server that does not keep to the protocol on one stream loses the connection, with the
// code that says so, and its words count for nothing; what else is under way there is asked
// again (RFC 9250 section 4.3.3).
func TestABrokenStream(t *testing.T) {
	frame := func(a *resolvertest.Asked) []byte {
		packet, _ := a.Reply().Pack()
		return wire.AppendFrame(nil, packet)
	}
	for name, does := range map[string]func(a *resolvertest.Asked){
		"two messages":    func(a *resolvertest.Asked) { _, _ = a.Stream.Write(append(frame(a), frame(a)...)) },
		"an id":           resolvertest.WrongID,
		"a short message": resolvertest.Bytes([]byte{0, 0, 0}),
		"no message":      resolvertest.Bytes(nil),
		"half a message": func(a *resolvertest.Asked) {
			_, _ = a.Stream.Write(frame(a)[:20])
			_ = a.Stream.Close()
		},
		"more than 64 KB": func(a *resolvertest.Asked) { _, _ = a.Stream.Write(append(frame(a), make([]byte, 1<<16)...)) },
		"an end":          func(a *resolvertest.Asked) { _ = a.Stream.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := reach(t, resolvertest.QUIC, resolvertest.AzureData)
			p := running(t, r.config)
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
			release := make(chan struct{})
			r.On("db.contoso.com", resolvertest.Delay(release))
			other := make(chan error, 1)
			go func() {
				_, err := exchange(p, question("db.contoso.com", dns.TypeA))
				other <- err
			}()
			r.Wait(t, "db.contoso.com", dns.TypeA, 1)
			ended := make(chan error, 1)
			r.On("www.contoso.com", func(a *resolvertest.Asked) {
				does(a)
				<-a.Conn.Context().Done()
				ended <- context.Cause(a.Conn.Context())
			})
			_, err := exchange(p, question("www.contoso.com", dns.TypeA))
			var failed *forward.Error
			if !errors.As(err, &failed) || failed.Failures[0].Reason != forward.Malformed {
				t.Errorf("got error %v", err)
			}
			var closed *quic.ApplicationError
			if err := <-ended; !errors.As(err, &closed) || !closed.Remote || closed.ErrorCode != wire.DoQProtocolError {
				t.Errorf("the connection ended with %v", err)
			}
			sent := r.Queries()
			if sent[1].From == sent[2].From { // it is elsewhere where the machine stood still
				r.Wait(t, "db.contoso.com", dns.TypeA, 2)
			}
			close(release)
			if err := <-other; err != nil {
				t.Errorf("the other question: %v", err)
			}
		})
	}
}

// What a server says by codes is told, and the next server is asked.
func TestARefusedStream(t *testing.T) {
	r := reach(t, resolvertest.QUIC, resolvertest.AzureData)
	p := running(t, r.config)
	r.Always(func(a *resolvertest.Asked) {
		a.Stream.CancelWrite(wire.DoQExcessiveLoad)
		a.Stream.CancelRead(wire.DoQExcessiveLoad)
	})
	if _, err := exchange(p, question("www.contoso.com", dns.TypeA)); err == nil || !strings.Contains(err.Error(), "DOQ_EXCESSIVE_LOAD") {
		t.Errorf("got error %v", err)
	}
	r.Always(func(a *resolvertest.Asked) { _ = a.Conn.CloseWithError(wire.DoQInternalError, "") })
	if _, err := exchange(p, question("db.contoso.com", dns.TypeA)); err == nil || !strings.Contains(err.Error(), "DOQ_INTERNAL_ERROR") {
		t.Errorf("got error %v", err)
	}
	r.Always(resolvertest.Answer)
	mustExchange(t, p, question("www.contoso.com", dns.TypeA))
}

// A question that is given up ends its stream, so that the server need not go on.
func TestAQuestionOverQUICThatIsGivenUp(t *testing.T) {
	r := reach(t, resolvertest.QUIC, resolvertest.AzureData)
	r.config.Timeout = 300 * time.Millisecond
	p := running(t, r.config)
	given := make(chan error, 8)
	r.On("db.contoso.com", func(a *resolvertest.Asked) {
		<-a.Stream.Context().Done()
		_, err := a.Stream.Write([]byte{0})
		given <- err
	})
	if _, err := exchange(p, question("db.contoso.com", dns.TypeA)); err == nil {
		t.Error("there is an answer")
	}
	var canceled *quic.StreamError
	if err := <-given; !errors.As(err, &canceled) || !canceled.Remote || canceled.ErrorCode != wire.DoQRequestCancelled {
		t.Errorf("the stream ended with %v", err)
	}
}

// However few streams a server allows, questions wait for them and are answered.
func TestFewStreams(t *testing.T) {
	overQUIC(t, func(t *testing.T, over resolvertest.Transport) {
		const questions = 200
		r := reachWith(t, over, &quic.Config{MaxIncomingStreams: 1}, resolvertest.AzureData)
		p := running(t, r.config)
		var asking sync.WaitGroup
		for i := range questions {
			asking.Go(func() {
				if _, err := exchange(p, question(fmt.Sprintf("n%d.contoso.com", i), dns.TypeA)); err != nil {
					t.Error(err)
				}
			})
		}
		asking.Wait()
	})
}

// A server that allows no streams at all is given up soon.
func TestNoStreams(t *testing.T) {
	overQUIC(t, func(t *testing.T, over resolvertest.Transport) {
		r := reachWith(t, over, &quic.Config{MaxIncomingStreams: -1}, resolvertest.AzureData)
		p := running(t, r.config)
		if _, err := exchange(p, question("www.contoso.com", dns.TypeA)); err == nil || !strings.Contains(err.Error(), "allows no streams") {
			t.Errorf("got error %v", err)
		}
	})
}

// A server that takes its leave (GOAWAY) answers what it has, and what comes then goes over
// another connection.
func TestGoAway(t *testing.T) {
	r := reach(t, resolvertest.HTTP3, resolvertest.AzureData)
	seen := new(events)
	r.config.Observer = seen
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
	r.GoAway()
	resolvertest.Until(t, "another connection", func() bool {
		mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		return len(connections(r.Upstream)) > 1
	})
	close(release)
	if err := <-slow; err != nil {
		t.Errorf("the slow answer: %v", err)
	}
	if got := seen.count("failed"); got != 0 {
		t.Errorf("%d failures were reported", got)
	}
}

// A NAT that gives a client another port leaves the connection as it is; one that forgets it
// costs no answer, within the time that a client waits.
func TestANATThatForgets(t *testing.T) {
	overQUIC(t, func(t *testing.T, over resolvertest.Transport) {
		r := reach(t, over, resolvertest.AzureData)
		relay := resolvertest.StartRelay(t, r.server.Addr)
		if over == resolvertest.HTTP3 {
			relay = resolvertest.StartRelay(t, resolvertest.AddrOf(t, r.server.URL))
		}
		config := r.at(relay)
		config.Timeout = 10 * time.Second
		p := running(t, config)
		for range 2 { // the second one is kept for sure
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		}
		resolvertest.Until(t, "an answer on a connection that goes on", func() bool {
			before := relay.Clients()
			relay.Rebind()
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
			return relay.Clients() == before
		})
		resolvertest.Until(t, "an answer over a new connection, while a client waits", func() bool {
			before, began := relay.Clients(), time.Now()
			relay.CutOff()
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
			if got := relay.Clients(); got <= before {
				t.Errorf("%d clients after %d, want one more", got, before)
			}
			return time.Since(began) < clientTime
		})
	})
}

// Servers that cannot be reached, by whatever, leave nothing behind: neither sockets nor
// goroutines nor memory.
func TestUnreachableOverQUIC(t *testing.T) {
	closed, silent := resolvertest.ClosedAddr(t), resolvertest.SilentAddr(t)
	for name, server := range map[string]forward.Server{
		"quic, closed": {Transport: forward.QUIC, Addr: closed}, "quic, silent": {Transport: forward.QUIC, Addr: silent},
		"h3, closed": {Transport: forward.HTTP3, URL: "https://" + closed.String() + resolvertest.DoHPath},
		"h3, silent": {Transport: forward.HTTP3, URL: "https://" + silent.String() + resolvertest.DoHPath},
	} {
		t.Run(name, func(t *testing.T) {
			limit := forward.LimitSockets(100)
			p := newPool(t, forward.Config{Name: "azure", Sockets: limit, Timeout: 300 * time.Millisecond, Servers: []forward.Server{server}})
			flood := func() {
				var asking sync.WaitGroup
				for i := range 2000 {
					asking.Go(func() {
						if _, err := exchange(p, question(fmt.Sprintf("n%d.contoso.com", i), dns.TypeA)); err == nil {
							t.Error("there is an answer")
						}
					})
				}
				asking.Wait()
				resolvertest.Until(t, "no socket and nothing under way", func() bool {
					return limit.Open() == 0 && forward.Running(p) == 0
				})
			}
			flood()
			before := heap()
			flood()
			if after := heap(); after > before+unreachableRoom {
				t.Errorf("2000 questions keep %d octets", after-before)
			}
		})
	}
}

// unreachableRoom is what may be left in the heap by chance, in octets: a question takes 2 KiB.
const unreachableRoom = 1 << 20

// Sockets are as few as the process may have, are given back, and each server may have some.
func TestSocketsOverQUIC(t *testing.T) {
	overQUIC(t, func(t *testing.T, over resolvertest.Transport) {
		r := reach(t, over, resolvertest.AzureData)
		limit := forward.LimitSockets(1)
		r.config.Sockets = limit
		p := forward.Patient(newPool(t, r.config))
		for range 20 {
			mustExchange(t, p, question("www.contoso.com", dns.TypeA))
		}
		resolvertest.Until(t, "no socket", func() bool { return limit.Open() == 0 })
	})
}
