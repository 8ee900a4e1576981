//go:build linux

package stress

import (
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestDescriptorsComeBack: clients that ask and leave before they are answered,
// again and again, over UDP and TCP, leave nothing open behind them.
func TestDescriptorsComeBack(t *testing.T) {
	s := chosen(t)
	const clients, rounds, within = 300, 3, 30 * time.Second
	outside := startOutside(t, nil)
	to := serve(t, s, outside.forwarding(""))
	observeAll(t, to.dns, 200*time.Millisecond)
	before := settled(to, within)
	for round := range rounds {
		for i := range clients {
			leaveEarly(t, to, fmt.Sprintf("127.0.1.%d", 1+i%200))
		}
		deadline := time.Now().Add(within)
		most, allowed := 0, before+before/10
		for now := to.descriptors(); now > allowed; now = to.descriptors() {
			most = max(most, now)
			if time.Now().After(deadline) {
				t.Fatalf("round %d: %d descriptors are open after %v, before there were %d", round, now, within, before)
			}
			pause(100 * time.Millisecond)
		}
		t.Logf("round %d: %d descriptors at most, back to %d of %d", round, most, to.descriptors(), before)
	}
}

// settled is how many descriptors are open when their number has stopped falling.
func settled(to *server, within time.Duration) int {
	deadline, least := time.Now().Add(within), to.descriptors()
	for since := time.Now(); time.Since(since) < 3*time.Second && time.Now().Before(deadline); {
		pause(100 * time.Millisecond)
		if now := to.descriptors(); now < least {
			least, since = now, time.Now()
		}
	}
	return least
}

// pause is how long to wait until a look at another program is worth while.
func pause(length time.Duration) { <-time.After(length) }

// leaveEarly asks for something slow over TCP and over UDP and goes away.
func leaveEarly(t *testing.T, to *server, from string) {
	t.Helper()
	conn, err := dialer(from, "tcp").Dial("tcp", to.dns.String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Write(framed(wire(fresh("slow"), 1)))
	conn.Close()
	if conn, err = dialer(from, "udp").Dial("udp", to.dns.String()); err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Write(wire(fresh("slow"), 2))
	conn.Close()
}

// mostFactor is how many octets may be released at once for each that asked.
const mostFactor = 10

// TestASlowNameIsNoBomb: what many queries for one slow name release at once, at an
// address that may be forged, is no more than ten times what asked for it.
func TestASlowNameIsNoBomb(t *testing.T) {
	s := chosen(t)
	const queries = 400
	outside := startOutside(t, nil)
	outside.slow = func(name string) []dns.RR {
		return []dns.RR{&dns.TXT{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 300},
			Txt: []string{string(make([]byte, 250)), string(make([]byte, 250)), string(make([]byte, 250))},
		}}
	}
	to := serve(t, s, outside.forwarding(""))
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(mustAddrPort("127.0.1.9:0")), net.UDPAddrFromAddrPort(to.dns))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadBuffer(4 << 20)
	asked := new(dns.Msg).SetQuestion(fresh("slow"), dns.TypeTXT)
	asked.SetEdns0(1232, false)
	packet, err := asked.Pack()
	if err != nil {
		t.Fatal(err)
	}
	in, out := 0, 0
	for id := range uint16(queries) {
		binary.BigEndian.PutUint16(packet, id)
		n, err := conn.Write(packet)
		if err != nil {
			t.Fatal(err)
		}
		in += n
	}
	buffer := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(slowFor + 2*time.Second))
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			break
		}
		out += n
	}
	t.Logf("%d queries, %d octets in, %d out: factor %.1f", queries, in, out, float64(out)/float64(in))
	if out == 0 || out > mostFactor*in {
		t.Errorf("%d octets for %d, want at most %d times as many, and some", out, in, mostFactor)
	}
}
