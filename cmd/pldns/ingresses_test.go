package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/pires/go-proxyproto"

	"pldns/resolver/resolvertest"
)

// behindIngresses is a pldns whose networks all have the same clients, and are told
// apart by every kind of ingress.
type behindIngresses struct {
	*running
	authority *resolvertest.Authority
	dir       string
	dot, doh  netip.AddrPort
	doq, h3   netip.AddrPort
}

// writeKeys puts a certificate of an authority, and its key, into files.
func writeKeys(tb testing.TB, dir string, authority *resolvertest.Authority, hosts ...string) tls.Certificate {
	tb.Helper()
	certificate := authority.Certificate(tb, hosts...)
	writePair(tb, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), certificate)
	writePEM(tb, filepath.Join(dir, "clients.pem"), "CERTIFICATE", authority.Root())
	return certificate
}

// writePair puts a certificate and its key into two files.
func writePair(tb testing.TB, certificateFile, keyFile string, certificate tls.Certificate) {
	tb.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	writePEM(tb, certificateFile, "CERTIFICATE", certificate.Certificate[0])
	writePEM(tb, keyFile, "PRIVATE KEY", key)
}

// writePEM puts one block, such as a certificate in DER, into a file.
func writePEM(tb testing.TB, file, kind string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// startBehindIngresses serves until the test ends. The keys to leave out are whole
// lines of the configuration.
func startBehindIngresses(t *testing.T, trust string, leaveOut ...string) behindIngresses {
	t.Helper()
	dir, authority := t.TempDir(), resolvertest.NewAuthority(t)
	writeKeys(t, dir, authority, "127.0.0.1", "dns.contoso.net", "a.dns.contoso.net", "b.dns.contoso.net")
	toml := fmt.Sprintf(`
[listen]
dns = ["127.0.0.1:0"]
dot = ["127.0.0.1:0"]
doh = ["127.0.0.1:0"]
doq = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
%s[tls]
cert = %q
key = %q
client_ca = %q
%s
`, withToken, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "clients.pem"), trust)
	network := func(name, ingresses string, number int) string {
		return fmt.Sprintf("[networks.%s]\nclients = [\"127.0.0.0/24\", \"127.0.1.0/24\", \"10.0.0.0/16\"]\n%s\n[networks.%[1]s.endpoints]\n\"mydb.database.windows.net\" = \"127.9.0.%[3]d\"\n", name, ingresses, number)
	}
	links := func(ids string) string {
		if strings.Contains(trust, "proxy_protocol") {
			return "link_ids = [" + ids + "]\n"
		}
		return ""
	}
	toml += network("open", "", 1) +
		network("a", links("7")+"server_names = [\"a.dns.contoso.net\"]\ncertificates = [\"gw.a.com\"]\ndoh_paths = [\"a\"]", 2) +
		network("b", links("8")+"server_names = [\"b.dns.contoso.net\"]\ncertificates = [\"gw.b.com\"]\ndoh_paths = [\"b\"]", 3) +
		strings.NewReplacer("127.0.0.0/24", "127.0.7.0/24", "127.0.1.0/24", "127.0.2.0/24", "10.0.0.0/16", "10.0.7.0/24").Replace(network("lab", "", 4))
	for _, key := range leaveOut {
		toml = regexp.MustCompile("(?m)^"+key+" = .*\n").ReplaceAllString(toml, "")
	}
	r, s := startServer(t, toml)
	return behindIngresses{r, authority, dir, s.TLSAddrs()[0], s.HTTPSAddrs()[0], s.QUICAddrs()[0], s.HTTP3Addrs()[0]}
}

// fromEurope opens a connection from a client of all the networks.
func fromEurope(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(europe)}, Timeout: 10 * time.Second}
	return dialer.DialContext(ctx, "tcp", to.String())
}

func (b behindIngresses) settings(name string, certificate string) *tls.Config {
	config := &tls.Config{RootCAs: b.authority.Pool, ServerName: name}
	if certificate != "" {
		config.Certificates = []tls.Certificate{b.authority.Certificate(b.tb, certificate)}
	}
	return config
}

func mydb() *dns.Msg {
	return new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA).SetEdns0(1232, false)
}

// last is the last word of what a reply says: an address, or what is wrong.
func last(reply *dns.Msg, err error) string {
	if err != nil {
		return "failed"
	}
	words := strings.Fields(says(reply))
	return words[len(words)-1]
}

// overTLS asks over DNS over TLS, behind a PROXY header if there is one.
func (b behindIngresses) overTLS(config *tls.Config, header []byte) string {
	b.tb.Helper()
	conn, err := fromEurope(b.tb.Context(), b.dot)
	if err != nil {
		b.tb.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(header); err != nil {
		b.tb.Fatal(err)
	}
	secure := &dns.Conn{Conn: tls.Client(conn, config)}
	if err := secure.WriteMsg(mydb()); err != nil {
		return "failed"
	}
	return last(secure.ReadMsg())
}

// overHTTPS asks over DNS over HTTPS.
func (b behindIngresses) overHTTPS(config *tls.Config, url string) string {
	b.tb.Helper()
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return fromEurope(ctx, b.doh)
	}}
	defer transport.CloseIdleConnections()
	return b.post(transport, url)
}

// post asks by POST of a client's own transport (RFC 8484).
func (b behindIngresses) post(transport http.RoundTripper, url string) string {
	b.tb.Helper()
	wire, err := mydb().Pack()
	if err != nil {
		b.tb.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Post(url, "application/dns-message", bytes.NewReader(wire))
	if err != nil {
		return "failed"
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	reply := new(dns.Msg)
	if err != nil || response.StatusCode != http.StatusOK || reply.Unpack(body) != nil {
		return response.Status
	}
	return last(reply, nil)
}

// The same source address belongs to one network or another by the ingress it comes
// through; who is unknown there gets nothing.
func TestIngressesOfIdentity(t *testing.T) {
	b := startBehindIngresses(t, "")
	const refused = "18" // the last word: EDE 18
	checked := func(name, transport, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s over %s: got %s, want %s", name, transport, got, want)
		}
	}
	for _, row := range []struct{ name, serverName, certificate, url, want string }{
		{"no ingress", "127.0.0.1", "", "", "127.9.0.1"},
		{"a server name of everybody", "dns.contoso.net", "", "", "127.9.0.1"},
		{"server name a", "a.dns.contoso.net", "", "", "127.9.0.2"},
		{"server name b", "b.dns.contoso.net", "", "", "127.9.0.3"},
		{"an unknown server name", "c.dns.contoso.net", "", "", "failed"},
		{"certificate a", "dns.contoso.net", "gw.a.com", "", "127.9.0.2"},
		{"certificate b", "dns.contoso.net", "gw.b.com", "", "127.9.0.3"},
		{"a certificate counts more than a name", "b.dns.contoso.net", "gw.a.com", "", "127.9.0.2"},
		{"an unknown certificate", "dns.contoso.net", "gw.c.com", "", refused},
		{"host a", "", "", "https://a.dns.contoso.net/dns-query", "127.9.0.2"},
		{"host b", "", "", "https://b.dns.contoso.net/dns-query", "127.9.0.3"},
		{"path a", "", "", "https://dns.contoso.net/dns-query/a", "127.9.0.2"},
		{"path b", "", "", "https://dns.contoso.net/dns-query/b", "127.9.0.3"},
		{"path of a network without an ingress", "", "", "https://dns.contoso.net/dns-query/open", "127.9.0.1"},
		{"an unknown path", "", "", "https://dns.contoso.net/dns-query/c", refused},
		{"no path", "", "", "https://127.0.0.1/dns-query", "127.9.0.1"},
		{"certificate a over HTTPS", "", "gw.a.com", "https://dns.contoso.net/dns-query", "127.9.0.2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for range 2 { // the second time from memory, where there is one
				if row.url != "" {
					checked(row.name, "HTTPS", b.overHTTPS(b.settings("", row.certificate), row.url), row.want)
					checked(row.name, "HTTP/3", b.overHTTP3(b.settings("", row.certificate), row.url), row.want)
				} else {
					checked(row.name, "TLS", b.overTLS(b.settings(row.serverName, row.certificate), nil), row.want)
					checked(row.name, "QUIC", b.overQUIC(b.settings(row.serverName, row.certificate)), row.want)
				}
			}
		})
	}
}

// A PROXY header of a trusted source names the client, and Azure's link id its
// network; over UDP, TCP and TLS.
func TestLinkIDs(t *testing.T) {
	b := startBehindIngresses(t, "[trust]\nproxy_protocol = [\"127.0.1.1\"]\n")
	wire, err := mydb().Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ source, link, want string }{
		{"10.0.1.7", "\x07\x00\x00\x00", "127.9.0.2"},
		{"10.0.1.7", "\x08\x00\x00\x00", "127.9.0.3"},
		{"10.0.1.7", "\x09\x00\x00\x00", "18"},
		{"10.0.1.7", "", "127.9.0.1"},
		{"10.0.7.7", "", "127.9.0.4"},
		{"192.0.2.1", "\x07\x00\x00\x00", "18"},
	} {
		header := &proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4,
			SourceAddr: &net.TCPAddr{IP: net.ParseIP(row.source), Port: 9}, DestinationAddr: &net.TCPAddr{IP: net.ParseIP("10.9.0.5"), Port: 53}}
		if row.link != "" {
			if err := header.SetTLVs([]proxyproto.TLV{{Type: 0xEE, Value: []byte("\x01" + row.link)}}); err != nil {
				t.Fatal(err)
			}
		}
		head, err := header.Format()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := b.overUDP(append(bytes.Clone(head), wire...)); got != row.want {
				t.Errorf("%s by link %x over UDP: %s, want %s", row.source, row.link, got, row.want)
			}
			if got := b.overTLS(b.settings("dns.contoso.net", ""), head); got != row.want {
				t.Errorf("%s by link %x over TLS: %s, want %s", row.source, row.link, got, row.want)
			}
		}
	}
	// From elsewhere nothing of the kind is read.
	if got := says(b.ask("udp", "127.0.1.2", "mydb.database.windows.net", dns.TypeA)); !strings.HasSuffix(got, "127.9.0.1") {
		t.Errorf("without a proxy: %s", got)
	}
}

// overUDP sends octets and reads a reply.
func (b behindIngresses) overUDP(packet []byte) string {
	b.tb.Helper()
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(europe)}, net.UDPAddrFromAddrPort(b.addrs[0]))
	if err != nil {
		b.tb.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(packet); err != nil {
		b.tb.Fatal(err)
	}
	return last((&dns.Conn{Conn: conn}).ReadMsg())
}

// A trusted forwarder's client subnet names the client, from memory too; one of
// anybody else changes nothing and is counted.
func TestClientSubnets(t *testing.T) {
	b := startBehindIngresses(t, "[trust]\nclient_subnet = [\"127.0.1.1\"]\n")
	for range 3 {
		for _, row := range []struct{ from, subnet, want string }{
			{europe, "10.0.1.7/32", "127.9.0.1 10.0.1.7/32/32"},
			{europe, "10.0.7.0/24", "127.9.0.4 10.0.7.0/24/24"},
			{europe, "10.0.0.0/20", "18 10.0.0.0/20/20"}, // open, or lab
			{europe, "192.0.2.0/24", "18 192.0.2.0/24/24"},
			{europe, "", "127.9.0.1"},
			{"127.0.2.1", "10.0.1.7/32", "127.9.0.4"},
			{"127.0.9.1", "10.0.1.7/32", "18"},
		} {
			var subnet *dns.EDNS0_SUBNET
			reply := b.ask("udp", row.from, "mydb.database.windows.net", dns.TypeA, func(m *dns.Msg) {
				if row.subnet != "" {
					prefix := netip.MustParsePrefix(row.subnet)
					m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1,
						SourceNetmask: uint8(prefix.Bits()), Address: prefix.Addr().AsSlice()}}
				}
			})
			got := last(reply, nil)
			for _, option := range reply.IsEdns0().Option {
				if is, ok := option.(*dns.EDNS0_SUBNET); ok {
					subnet = is
					got += " " + subnet.String()
				}
			}
			if got != row.want {
				t.Errorf("%s for %s: %s, want %s", row.from, row.subnet, got, row.want)
			}
		}
	}
	response, err := http.Get("http://" + b.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, _ := io.ReadAll(response.Body)
	if want := `pldns_client_subnets_ignored_total{transport="udp"} 6`; !strings.Contains(string(page), want) {
		t.Errorf("not counted: %s", want)
	}
}

// A certificate is shown from the next handshake on when its files change; files
// that are no certificate change nothing.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	b := startBehindIngresses(t, "")
	shown := func() []byte {
		conn, err := tls.Dial("tcp", b.dot.String(), b.settings("dns.contoso.net", ""))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Raw
	}
	first := shown()
	next := writeKeys(t, b.dir, b.authority, "dns.contoso.net")
	resolvertest.Until(t, "the certificate is replaced", func() bool { return bytes.Equal(shown(), next.Certificate[0]) })
	if bytes.Equal(first, next.Certificate[0]) {
		t.Error("it was the same before")
	}
	if err := os.WriteFile(filepath.Join(b.dir, "tls.crt"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := b.reload(); code != http.StatusUnprocessableEntity || !bytes.Equal(shown(), next.Certificate[0]) {
		t.Errorf("a bad certificate: %d", code)
	}
}
