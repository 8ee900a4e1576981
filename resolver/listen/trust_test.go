package listen_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
	"github.com/pires/go-proxyproto"

	"pldns/resolver/listen"
)

// here trusts the loopback network.
func here() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// ecs is a client subnet.
func ecs(prefix string) *dns.EDNS0_SUBNET {
	p := netip.MustParsePrefix(prefix)
	option := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice()}
	if p.Addr().Is6() {
		option.Family = 2
	}
	return option
}

// scope is what a reply says of the client subnet.
func scope(m *dns.Msg) string {
	if opt := m.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			if subnet, is := option.(*dns.EDNS0_SUBNET); is {
				return subnet.String()
			}
		}
	}
	return "none"
}

// TestClientSubnet: the EDNS client subnet of a trusted forwarder is the client,
// and its length is the scope of the reply (RFC 7871 section 7.2.1).
func TestClientSubnet(t *testing.T) {
	s := startSecured(t, listen.Config{Trust: listen.Trust{ClientSubnet: here()}})
	broken := &dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: []byte{0, 1, 24, 0, 10, 0, 1, 9}}
	bits := &dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: []byte{0, 1, 20, 0, 10, 0, 0xFF}}
	for _, row := range []struct {
		name         string
		options      []dns.EDNS0
		client, want string // empty client: FORMERR
	}{
		{"none", nil, "127.0.0.1 at 127.0.0.1", "none"},
		{"an address", []dns.EDNS0{ecs("10.0.1.7/32")}, "10.0.1.7 at 127.0.0.1", "10.0.1.7/32/32"},
		{"a prefix", []dns.EDNS0{ecs("10.0.1.0/24")}, "10.0.1.0/24 at 127.0.0.1", "10.0.1.0/24/24"},
		{"IPv6", []dns.EDNS0{ecs("fd00:1::/56")}, "fd00:1::/56 at 127.0.0.1", "[fd00:1::]/56/56"},
		{"nobody", []dns.EDNS0{ecs("0.0.0.0/0")}, "127.0.0.1 at 127.0.0.1", "0.0.0.0/0/0"},
		{"the last of several", []dns.EDNS0{ecs("10.0.9.9/32"), ecs("10.0.1.7/32")}, "10.0.1.7 at 127.0.0.1", "10.0.1.7/32/32"},
		{"an address that is too long", []dns.EDNS0{broken}, "", "none"},
		{"bits behind its length", []dns.EDNS0{bits}, "", "none"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, transport := range []string{"udp", "tcp", "tls"} {
				conn := s.open(t, transport)
				write(t, conn, pack(t, query("a.example", edns(1232, row.options...))))
				reply := unpack(t, read(t, conn))
				if got := scope(reply); got != row.want {
					t.Errorf("over %s: the scope is %s, want %s", transport, got, row.want)
				}
				if row.client == "" {
					if reply.Rcode != dns.RcodeFormatError {
						t.Errorf("over %s: %s", transport, dns.RcodeToString[reply.Rcode])
					}
					continue
				}
				q := <-s.asked
				q.Client.Shown = nil
				if got := identity(q); got != row.client {
					t.Errorf("over %s: the client is %s, want %s", transport, got, row.client)
				}
			}
		})
	}
}

// open connects over udp, tcp or tls.
func (s secured) open(t *testing.T, transport string) net.Conn {
	t.Helper()
	if transport == "tls" {
		return s.asTLS(t, dial(t, "tcp", s.TLSAddrs()[0]), "a.dns.contoso.net")
	}
	return dial(t, transport, s.addr)
}

// TestForgedSubnet: a client subnet of anybody else changes nothing, in whatever
// form, and is counted.
func TestForgedSubnet(t *testing.T) {
	watch := newRecorder()
	s := startSecured(t, listen.Config{Observer: watch, Trust: listen.Trust{ClientSubnet: []netip.Prefix{netip.MustParsePrefix("10.20.0.4/32")}}})
	for _, transport := range []string{"udp", "tcp", "tls"} {
		for _, option := range []dns.EDNS0{ecs("10.0.1.7/32"), &dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: []byte{9}}} {
			conn := s.open(t, transport)
			write(t, conn, pack(t, query("a.example", edns(1232, option))))
			if reply := unpack(t, read(t, conn)); reply.Rcode != dns.RcodeSuccess || scope(reply) != "none" {
				t.Errorf("over %s: %v", transport, reply)
			}
			if q := <-s.asked; q.Client.String() != "127.0.0.1" {
				t.Errorf("over %s: the client is %s", transport, q.Client)
			}
			if counted := <-watch.ignored; counted != transport {
				t.Errorf("counted over %s, want %s", counted, transport)
			}
		}
	}
}

// proxyHeader is a header as a load balancer writes it, made by another
// implementation of the protocol.
func proxyHeader(tb testing.TB, source string, transport proxyproto.AddressFamilyAndProtocol, fields ...proxyproto.TLV) []byte {
	tb.Helper()
	from := netip.MustParseAddrPort(source)
	to := netip.MustParseAddrPort("10.9.0.5:53")
	if from.Addr().Is6() {
		to = netip.MustParseAddrPort("[fd00::5]:53")
	}
	header := &proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: transport,
		SourceAddr: net.TCPAddrFromAddrPort(from), DestinationAddr: net.TCPAddrFromAddrPort(to)}
	if transport.IsDatagram() {
		header.SourceAddr, header.DestinationAddr = net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to)
	}
	if err := header.SetTLVs(fields); err != nil {
		tb.Fatal(err)
	}
	var wire bytes.Buffer
	if _, err := header.WriteTo(&wire); err != nil {
		tb.Fatal(err)
	}
	return wire.Bytes()
}

// linkID is the field that Azure adds: four octets, the lowest first.
func linkID(octets ...byte) proxyproto.TLV {
	return proxyproto.TLV{Type: 0xEE, Value: append([]byte{1}, octets...)}
}

// TestProxy: behind a trusted proxy the client is who the header names, over every
// transport, with the link id of Azure's Private Link Service.
func TestProxy(t *testing.T) {
	s := startSecured(t, listen.Config{Trust: listen.Trust{Proxies: here()}})
	local := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20, 0x00, 0, 0)
	for _, row := range []struct {
		name   string
		header []byte
		want   string
		link   int64 // -1 for none
	}{
		{"IPv4", proxyHeader(t, "10.0.1.7:999", proxyproto.TCPv4), "10.0.1.7", -1},
		{"IPv4, as a datagram", proxyHeader(t, "10.0.1.7:999", proxyproto.UDPv4), "10.0.1.7", -1},
		{"IPv6", proxyHeader(t, "[fd00::7]:999", proxyproto.TCPv6), "fd00::7", -1},
		{"a link id", proxyHeader(t, "10.0.1.7:999", proxyproto.TCPv4, linkID(0x82, 0x04, 0x00, 0x20)), "10.0.1.7", 536872066},
		{"a link id among others", proxyHeader(t, "10.0.1.7:999", proxyproto.TCPv4,
			proxyproto.TLV{Type: 0x05, Value: []byte("unique")}, linkID(1, 0, 0, 0), proxyproto.TLV{Type: 0xEE, Value: []byte{2, 9}}), "10.0.1.7", 1},
		{"the proxy itself", local, "127.0.0.1", -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, transport := range []string{"udp", "tcp", "tls"} {
				to := map[string]netip.AddrPort{"udp": s.addr, "tcp": s.addr, "tls": s.TLSAddrs()[0]}[transport]
				conn := dial(t, map[string]string{"udp": "udp", "tcp": "tcp", "tls": "tcp"}[transport], to)
				wire := pack(t, query("a.example"))
				switch transport {
				case "udp":
					write(t, conn, append(bytes.Clone(row.header), wire...))
				case "tcp":
					if _, err := conn.Write(append(bytes.Clone(row.header), frame(wire)...)); err != nil {
						t.Fatal(err)
					}
				case "tls":
					if _, err := conn.Write(row.header); err != nil {
						t.Fatal(err)
					}
					conn = s.asTLS(t, conn, "a.dns.contoso.net")
					write(t, conn, wire)
				}
				unpack(t, read(t, conn))
				q := <-s.asked
				link := int64(-1)
				if shown := q.Client.Shown; shown != nil && shown.Linked {
					link = int64(shown.Link)
				}
				if got := q.Client.String(); got != row.want || link != row.link || q.Client.Listener.Addr() != to.Addr() {
					t.Errorf("over %s: the client is %s with link %d at %s, want %s with %d", transport, got, link, q.Client.Listener, row.want, row.link)
				}
			}
		})
	}
}

// TestProxyRefused: a header of somebody who is not trusted to send one, and none,
// or no proper one, of a proxy: no answer, no query, and it is counted.
func TestProxyRefused(t *testing.T) {
	header := proxyHeader(t, "10.0.1.7:999", proxyproto.TCPv4, linkID(7, 0, 0, 0))
	twice := proxyHeader(t, "10.0.1.7:999", proxyproto.TCPv4, linkID(7, 0, 0, 0), linkID(8, 0, 0, 0))
	short := proxyHeader(t, "10.0.1.7:999", proxyproto.TCPv4, linkID(7, 0, 0))
	sum := proxyHeader(t, "10.0.1.7:999", proxyproto.TCPv4, proxyproto.TLV{Type: 3, Value: []byte{1, 2, 3, 4}})
	text := []byte("PROXY TCP4 10.0.1.7 10.9.0.5 999 53\r\n")
	for _, row := range []struct {
		name  string
		trust []netip.Prefix
		head  []byte
		why   listen.Refusal
	}{
		{"not trusted", nil, header, listen.Impostor},
		{"no header", here(), nil, listen.Unproxied},
		{"version 1", here(), text, listen.Unproxied},
		{"two link ids", here(), twice, listen.Unproxied},
		{"a short link id", here(), short, listen.Unproxied},
		{"a wrong checksum", here(), sum, listen.Unproxied},
	} {
		t.Run(row.name, func(t *testing.T) {
			watch := newRecorder()
			s := startSecured(t, listen.Config{Observer: watch, Trust: listen.Trust{Proxies: row.trust}})
			wire := pack(t, query("a.example"))
			write(t, dial(t, "udp", s.addr), append(bytes.Clone(row.head), wire...))
			if why := watch.refused(t); why != row.why {
				t.Errorf("over udp: refused because of %s", why)
			}
			for name, to := range map[string]netip.AddrPort{"tcp": s.addr, "tls": s.TLSAddrs()[0], "https": s.HTTPSAddrs()[0]} {
				conn := dial(t, "tcp", to)
				if _, err := conn.Write(append(bytes.Clone(row.head), frame(wire)...)); err != nil {
					t.Fatal(err)
				}
				if why := watch.refused(t); why != row.why && !(name != "tcp" && row.head == nil) {
					t.Errorf("over %s: refused because of %s", name, why)
				}
				watch.changed(t, -1)
			}
			if len(s.asked) > 0 {
				t.Errorf("a query got through: %s", identity(<-s.asked))
			}
		})
	}
}

// TestSetTrust: whom to trust can be changed while serving.
func TestSetTrust(t *testing.T) {
	s := startSecured(t, listen.Config{})
	ask := func() string {
		exchange(t, "udp", s.addr, query("a.example", edns(1232, ecs("10.0.1.7/32"))))
		return (<-s.asked).Client.String()
	}
	if got := ask(); got != "127.0.0.1" {
		t.Errorf("at first: %s", got)
	}
	s.SetTrust(listen.Trust{ClientSubnet: here()})
	if got := ask(); got != "10.0.1.7" {
		t.Errorf("then: %s", got)
	}
	if _, err := listen.New(listen.Config{Addrs: addrs("127.0.0.1:0"), Handler: handler(known), TLS: addrs("127.0.0.1:0")}); err == nil {
		t.Error("a server for TLS needs no certificate")
	}
}
