package selfcheck_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
	"go.uber.org/goleak"
	"pldns/resolver"
	"pldns/resolver/resolvertest"
	"pldns/resolver/selfcheck"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hasty is how long an answer may take where there will be none: what is answered may
// take longer than that on a busy machine, and is asked again.
const hasty = 100 * time.Millisecond

// checking runs a checker that asks often until the test ends. It waits for answers,
// unless the configuration says for how long.
func checking(t *testing.T, c selfcheck.Config) *selfcheck.Checker {
	t.Helper()
	c.Name, c.Interval, c.Pause, c.Timeout = "x.check.pldns.internal", 5*time.Millisecond, time.Millisecond, cmp.Or(c.Timeout, time.Minute)
	checker := selfcheck.New(c)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- checker.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return checker
}

// until waits until the checker sees faults of so many listeners, and of no others.
func until(t *testing.T, checker *selfcheck.Checker, faults ...selfcheck.Listener) (got []selfcheck.Fault) {
	t.Helper()
	resolvertest.Until(t, fmt.Sprintf("the faults of %v", faults), func() bool {
		got = checker.Faults()
		return len(got) == len(faults) && !slices.ContainsFunc(got, func(f selfcheck.Fault) bool { return !slices.Contains(faults, f.Listener) })
	})
	return got
}

// alive waits for answers, and takes no fault meanwhile.
func alive(t *testing.T, checker *selfcheck.Checker, enough func() bool) {
	t.Helper()
	resolvertest.Until(t, "answers", func() bool {
		if faults := checker.Faults(); len(faults) > 0 {
			t.Fatal(faults)
		}
		return enough()
	})
}

// responder answers packets with REFUSED while it is told to.
type responder struct {
	conn    net.PacketConn
	silent  atomic.Bool
	refused atomic.Int64
	ended   chan struct{}
}

// respond starts one; first takes off what stands before a query.
func respond(t *testing.T, address string, first func(packet []byte) []byte) *responder {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	r := &responder{conn: conn, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		room := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(room)
			if err != nil {
				return
			}
			query := new(dns.Msg)
			if r.silent.Load() || query.Unpack(first(room[:n])) != nil {
				continue
			}
			reply, err := new(dns.Msg).SetRcode(query, dns.RcodeRefused).Pack()
			if err == nil {
				_, _ = conn.WriteTo(reply, from)
				r.refused.Add(1)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-r.ended })
	return r
}

func (r *responder) addr() netip.AddrPort { return r.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// A listener that refuses is alive; one that says nothing is named, with the time
// since when, until it answers again. Only its own clock counts.
func TestSilence(t *testing.T) {
	t.Parallel()
	whole := func(packet []byte) []byte { return packet }
	well, ill := respond(t, "127.0.0.1:0", whole), respond(t, "127.0.0.1:0", whole)
	begun := time.Now()
	all := []selfcheck.Listener{{Transport: "udp", Addr: well.addr()}, {Transport: "udp", Addr: ill.addr(), Readers: 4}}
	checker := checking(t, selfcheck.Config{Listeners: all, Timeout: hasty})
	alive(t, checking(t, selfcheck.Config{Listeners: all}), func() bool { return well.refused.Load() >= 10 && ill.refused.Load() >= 10 })
	until(t, checker)
	ill.silent.Store(true)
	fault := until(t, checker, all[1])[0]
	if fault.Since.Before(begun) || !strings.Contains(fault.Error(), ill.addr().String()) {
		t.Errorf("%+v", fault)
	}
	if checker.Stuck(time.Hour) != nil || checker.Stuck(time.Millisecond) == nil {
		t.Error("it is stuck for a moment, and not for an hour")
	}
	ill.silent.Store(false)
	until(t, checker)
}

// Wildcards are asked over loopback, behind a PROXY header where one is needed, and
// whoever limits clients is told of the sockets.
func TestWildcardBehindAProxy(t *testing.T) {
	t.Parallel()
	r := respond(t, "0.0.0.0:0", func(packet []byte) []byte {
		query, proxied := bytes.CutPrefix(packet, []byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"))
		if !proxied {
			return nil
		}
		return query
	})
	var asking atomic.Int64
	at := netip.AddrPortFrom(netip.IPv4Unspecified(), r.addr().Port())
	checker := checking(t, selfcheck.Config{
		Listeners: []selfcheck.Listener{{Transport: "udp", Addr: at}},
		Proxied:   func(addr netip.Addr) bool { return addr.IsLoopback() },
		Own: func(socket netip.AddrPort, asks bool) {
			if asks && socket.Addr().IsLoopback() {
				asking.Add(1)
			}
		},
	})
	alive(t, checker, func() bool { return r.refused.Load() >= 20 })
	if asking.Load() < 20/2 {
		t.Errorf("%d sockets were told of", asking.Load())
	}
}

// A listener for streams whose connections nobody takes in is found out, over each
// transport; one that closes them, because there are too many, is alive.
func TestStreams(t *testing.T) {
	t.Parallel()
	for _, transport := range []resolver.Transport{resolver.OverTCP, resolver.OverTLS, resolver.OverHTTPS} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			at := selfcheck.Listener{Transport: transport, Addr: listener.Addr().(*net.TCPAddr).AddrPort()}
			checker := checking(t, selfcheck.Config{Listeners: []selfcheck.Listener{at}, Timeout: hasty})
			until(t, checker, at)
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					conn.Close()
				}
			}()
			until(t, checker)
		})
	}
}

// A socket over which nobody speaks QUIC any more is found out, and so is one whose
// handshakes are made and whose connections nobody takes in; one that answers, even only to
// refuse, is alive.
func TestOverQUIC(t *testing.T) {
	t.Parallel()
	authority := resolvertest.NewAuthority(t)
	for _, transport := range []resolver.Transport{resolver.OverQUIC, resolver.OverHTTP3} {
		for _, greets := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, handshakes: %v", transport, greets), func(t *testing.T) {
				t.Parallel()
				socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
				if err != nil {
					t.Fatal(err)
				}
				defer socket.Close()
				server := &quic.Transport{Conn: socket}
				defer server.Close()
				listen := func() *quic.Listener {
					settings := &tls.Config{Certificates: []tls.Certificate{authority.Certificate(t, "127.0.0.1")}, NextProtos: transport.ALPN()}
					listener, err := server.Listen(settings, nil)
					if err != nil {
						t.Fatal(err)
					}
					return listener
				}
				var listener *quic.Listener
				if greets {
					listener = listen()
				}
				at := selfcheck.Listener{Transport: transport, Addr: socket.LocalAddr().(*net.UDPAddr).AddrPort()}
				checker := checking(t, selfcheck.Config{Listeners: []selfcheck.Listener{at}, Timeout: hasty})
				until(t, checker, at)
				if !greets {
					listener = listen()
				}
				defer listener.Close()
				go func() {
					for {
						conn, err := listener.Accept(context.Background())
						if err != nil {
							return
						}
						_ = conn.CloseWithError(4, "")
					}
				}()
				until(t, checker)
			})
		}
	}
}

// Servers that answer over each stream transport are alive, and see the question.
func TestAnswersOverStreams(t *testing.T) {
	t.Parallel()
	upstream := resolvertest.StartUpstream(t, "x.check.pldns.internal. 1 IN A 192.0.2.1")
	checker := checking(t, selfcheck.Config{Listeners: []selfcheck.Listener{{Transport: "tcp", Addr: upstream.Addr}, {Transport: "udp", Addr: upstream.Addr}}})
	alive(t, checker, func() bool { return upstream.Count("x.check.pldns.internal", dns.TypeA) >= 20 })
}

// A port that nothing listens on any more is a fault; an address that this host
// does not have is none, because nobody can be asked there.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	gone := resolvertest.ClosedAddr(t)
	elsewhere := netip.MustParseAddrPort("192.0.2.77:53")
	all := []selfcheck.Listener{
		{Transport: "udp", Addr: gone}, {Transport: "tcp", Addr: gone}, {Transport: "udp", Addr: elsewhere}, {Transport: "tcp", Addr: elsewhere},
	}
	for _, fault := range until(t, checking(t, selfcheck.Config{Listeners: all}), all[:2]...) {
		if errors.Is(fault.Err, io.EOF) {
			t.Errorf("%+v", fault)
		}
	}
}
