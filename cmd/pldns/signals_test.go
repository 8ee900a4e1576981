package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	wire "github.com/dnstap/golang-dnstap"
	"github.com/miekg/dns"
	"google.golang.org/protobuf/proto"

	"pldns/resolver/resolvertest"
)

// logged is a line of the query log, as programs read it.
type logged struct {
	Network, Transport, Client, Name, Type, Rcode, Source, Rule, Upstream, Server, Refusal string
}

// readLog waits until the query log has so many lines, and gives them.
func readLog(t *testing.T, path string, least int) (all []logged) {
	t.Helper()
	var text string
	resolvertest.Until(t, fmt.Sprintf("%d lines in %s", least, path), func() bool {
		octets, err := os.ReadFile(path)
		text = string(octets[:bytes.LastIndexByte(octets, '\n')+1]) // of the last line, a part may be written
		return err == nil && strings.Count(text, "\n") >= least
	}, &text)
	for line := range strings.Lines(text) {
		var one logged
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

// reconfigure puts another configuration in the place of the one that is served,
// and has it read.
func (r *running) reconfigure(toml string) int {
	r.tb.Helper()
	r.rewrite(toml)
	return r.reload()
}

// The query log has a line for every query of the kind that it is set to, those
// that come from memory otherwise included; it is switched while serving, and a
// file that cannot be written changes nothing.
func TestQueryLog(t *testing.T) {
	azure := azureDNS(t)
	path := filepath.Join(t.TempDir(), "queries.json")
	with := func(settings string) string {
		return regions(upstreamTable(azure.Addr) + "[query_log]\nto = \"" + path + "\"\n" + settings)
	}
	r := start(t, with("mode = \"all\"\nclient = \"address\"\n"))
	for range 20 {
		r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	}
	r.ask("tcp", australia, "momenta-eun.database.windows.net", dns.TypeA)
	r.ask("udp", europe, "www.contoso.com", dns.TypeA)
	r.ask("udp", unlisted, "www.contoso.com", dns.TypeA)
	lines := readLog(t, path, 23)
	if len(lines) != 23 {
		t.Errorf("%d lines for 23 queries", len(lines))
	}
	// A line is written once its answer has left, so lines of two ingresses come in any order.
	for want, times := range map[logged]int{
		{Network: "europe", Transport: "udp", Client: europe, Name: "momenta-eun.database.windows.net", Type: "A", Rcode: "NOERROR", Source: "local", Rule: "endpoint momenta-eun.database.windows.net"}:       20,
		{Network: "australia", Transport: "tcp", Client: australia, Name: "momenta-eun.database.windows.net", Type: "A", Rcode: "NOERROR", Source: "local", Rule: "endpoint momenta-eun.database.windows.net"}: 1,
		{Network: "europe", Transport: "udp", Client: europe, Name: "www.contoso.com", Type: "A", Rcode: "NOERROR", Source: "upstream", Rule: "forward .", Upstream: "azure", Server: azure.Addr.String()}:     1,
		{Transport: "udp", Client: unlisted, Name: "www.contoso.com", Type: "A", Rcode: "REFUSED", Source: "none"}:                                                                                             1,
	} {
		if got := sameAs(lines, want); got != times {
			t.Errorf("%d lines, want %d, of %+v in %+v", got, times, want, lines)
		}
	}

	if code := r.reconfigure(with("mode = \"errors\"\n")); code != http.StatusOK {
		t.Fatalf("errors: %d", code)
	}
	r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)
	r.ask("udp", strict, "nothing.blob.core.windows.net", dns.TypeA)
	r.ask("udp", unlisted, "mydb.database.windows.net", dns.TypeA)
	r.ask("udp", europe, "www.contoso.com", dns.TypeAXFR)
	last := readLog(t, path, 25)[23:]
	slices.SortFunc(last, func(a, b logged) int { return strings.Compare(a.Network, b.Network) })
	if len(last) != 2 || last[0].Client != "127.0.9.0/24" || last[0].Rcode != "REFUSED" || last[1].Network != "europe" || last[1].Rcode != "REFUSED" {
		t.Errorf("errors: %+v", last)
	}

	if code := r.reconfigure(strings.Replace(with("mode = \"all\"\n"), path, filepath.Join(path, "below"), 1)); code != http.StatusUnprocessableEntity {
		t.Errorf("a file that cannot be: %d", code)
	}
	r.ask("udp", unlisted, "still.database.windows.net", dns.TypeA)
	readLog(t, path, 26)

	// After a rotation: SIGHUP, or a second.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if code := r.reconfigure(with("mode = \"errors\"\n")); code != http.StatusOK {
		t.Fatalf("again: %d", code)
	}
	r.hangUps <- syscall.SIGHUP
	r.ask("udp", unlisted, "rotated.database.windows.net", dns.TypeA)
	if got := readLog(t, path, 1); got[0].Name != "rotated.database.windows.net" {
		t.Errorf("after the rotation: %+v", got)
	}
	if code := r.reconfigure(with("")); code != http.StatusOK {
		t.Fatalf("off: %d", code)
	}
	r.ask("udp", unlisted, "off.database.windows.net", dns.TypeA)
	r.stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	r.ended <- nil
	if got := readLog(t, path, 1); len(got) != 1 {
		t.Errorf("off: %+v", got)
	}
}

// sameAs is how many lines are the same as one.
func sameAs(lines []logged, one logged) (same int) {
	for _, line := range lines {
		if line == one {
			same++
		}
	}
	return same
}

// tapped takes dnstap at a unix socket, with the reader of the dnstap library,
// until the test ends.
func tapped(t *testing.T, path string) chan []byte {
	t.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	messages, done := make(chan []byte, 1<<10), make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if input, err := wire.NewFrameStreamInputTimeout(conn, true, time.Minute); err == nil {
				input.ReadInto(messages) // until the stream ends
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return messages
}

// A receiver of dnstap gets both messages of queries over every transport, as they
// were sent and received, and those that come from memory too.
func TestDnstap(t *testing.T) {
	t.Parallel()
	b := startBehindIngresses(t, "") // first, so that it ends after the receiver is told to
	path := filepath.Join(b.dir, "tap")
	messages := tapped(t, path)
	text, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	if code := b.reconfigure(string(text) + fmt.Sprintf("[dnstap]\nto = \"unix://%s\"\nidentity = \"hub-1\"\n", path)); code != http.StatusOK {
		t.Fatalf("reload: %d", code)
	}
	next := func(of wire.Message_Type) (*wire.Dnstap, *dns.Msg) {
		t.Helper()
		whole, inside := new(wire.Dnstap), new(dns.Msg)
		select {
		case octets := <-messages:
			if err := proto.Unmarshal(octets, whole); err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("no message comes")
		}
		octets := slices.Concat(whole.GetMessage().GetQueryMessage(), whole.GetMessage().GetResponseMessage())
		if err := inside.Unpack(octets); err != nil || whole.GetMessage().GetType() != of {
			t.Fatalf("%v: %v", whole, err)
		}
		return whole, inside
	}
	for _, row := range []struct {
		protocol wire.SocketProtocol
		ask      func() string
		network  string
	}{
		{wire.SocketProtocol_UDP, func() string { return last(b.exchange("udp", europe, b.addrs[0], mydb())) }, "open"},
		{wire.SocketProtocol_TCP, func() string { return last(b.exchange("tcp", europe, b.addrs[0], mydb())) }, "open"},
		{wire.SocketProtocol_DOT, func() string { return b.overTLS(b.settings("a.dns.contoso.net", ""), nil) }, "a"},
		{wire.SocketProtocol_DOH, func() string {
			return b.overHTTPS(b.settings("", ""), "https://dns.contoso.net/dns-query/b")
		}, "b"},
	} {
		for range 3 {
			address := row.ask()
			query, asked := next(wire.Message_CLIENT_QUERY)
			response, answered := next(wire.Message_CLIENT_RESPONSE)
			for _, whole := range []*wire.Dnstap{query, response} {
				m := whole.GetMessage()
				if string(whole.GetIdentity()) != "hub-1" || !strings.HasPrefix(string(whole.GetVersion()), "pldns ") || string(whole.GetExtra()) != row.network ||
					m.GetSocketProtocol() != row.protocol || net.IP(m.GetQueryAddress()).String() != europe || m.GetQueryPort() == 0 ||
					net.IP(m.GetResponseAddress()).String() != "127.0.0.1" || m.GetResponsePort() == 0 || m.GetQueryTimeSec() == 0 {
					t.Errorf("%s: %v", row.protocol, whole)
				}
			}
			if asked.Response || asked.Question[0] != mydb().Question[0] || asked.Id != answered.Id || last(answered, nil) != address {
				t.Errorf("%s: %s\n%v\n%v", row.protocol, address, asked, answered)
			}
		}
	}
	b.reconfigure(string(text)) // off again
}

// The forwarder's messages are sent where they are asked for, over UDP and over TCP, as the
// server was asked and as it answered; and no longer than that.
func TestDnstapOfForwarder(t *testing.T) {
	upstream := azureDNS(t)
	path := filepath.Join(t.TempDir(), "tap")
	messages := tapped(t, path)
	for _, scheme := range []string{"udp", "tcp"} {
		with := func(more string) string {
			return regions(fmt.Sprintf("[upstreams.azure]\nservers = [\"%s://%s\"]\n[forward]\n\".\" = \"azure\"\n", scheme, upstream.Addr) + more)
		}
		r := start(t, with(fmt.Sprintf("[dnstap]\nto = \"unix://%s\"\nmessages = [\"forwarder\"]\n", path)))
		r.ask("udp", europe, "www.contoso.com", dns.TypeA)
		var id uint16
		for _, of := range []wire.Message_Type{wire.Message_FORWARDER_QUERY, wire.Message_FORWARDER_RESPONSE} {
			for found := false; !found; {
				whole, inside := new(wire.Dnstap), new(dns.Msg)
				select {
				case octets := <-messages:
					if err := proto.Unmarshal(octets, whole); err != nil {
						t.Fatal(err)
					}
				case <-time.After(time.Minute):
					t.Fatalf("%s: no %s comes", scheme, of)
				}
				m := whole.GetMessage()
				if err := inside.Unpack(slices.Concat(m.GetQueryMessage(), m.GetResponseMessage())); err != nil {
					t.Fatal(err)
				}
				if !strings.EqualFold(inside.Question[0].Name, "www.contoso.com.") {
					continue // a question about how the server is
				}
				found = m.GetType() == of
				if protocol := strings.ToLower(m.GetSocketProtocol().String()); !found || string(whole.GetExtra()) != "azure" || protocol != scheme ||
					netip.AddrPortFrom(addrOf(m.GetResponseAddress()), uint16(m.GetResponsePort())) != upstream.Addr || m.GetQueryTimeSec() == 0 {
					t.Fatalf("%s: %v, want %s", scheme, whole, of)
				}
				if of == wire.Message_FORWARDER_QUERY {
					id = inside.Id
				} else if (scheme == "udp" && inside.Id != id) || !inside.Response || len(inside.Answer) == 0 || m.GetResponseTimeSec() == 0 {
					t.Errorf("%s: %v", scheme, inside)
				}
			}
		}
		if code := r.reconfigure(with("")); code != http.StatusOK {
			t.Fatalf("off: %d", code)
		}
		r.ask("udp", europe, "fabrikam.blob.core.windows.net", dns.TypeA)
		r.stop()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
		r.ended <- nil
	}
	for len(messages) > 0 {
		if octets := <-messages; bytes.Contains(bytes.ToLower(octets), []byte("fabrikam")) {
			t.Error("it is sent after that was turned off")
		}
	}
}

// addrOf is an address as a message has it.
func addrOf(octets []byte) netip.Addr {
	addr, _ := netip.AddrFromSlice(octets)
	return addr
}
