package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"pldns/resolver/resolvertest"
)

// manyCertificates is a pldns that shows one certificate or another by the name that a
// client asks for, with networks that are told by such names and by clients' certificates.
type manyCertificates struct{ behindIngresses }

func startManyCertificates(t *testing.T) manyCertificates {
	t.Helper()
	m := manyCertificates{behindIngresses{running: &running{tb: t}, authority: resolvertest.NewAuthority(t), dir: t.TempDir()}}
	var toml strings.Builder
	fmt.Fprintf(&toml, "[listen]\ndns = [\"127.0.0.1:0\"]\ndot = [\"127.0.0.1:0\"]\ndoh = [\"127.0.0.1:0\"]\ndoq = [\"127.0.0.1:0\"]\n"+
		"admin = \"127.0.0.1:0\"\n%s[tls]\nclient_ca = %q\n", withToken, m.file("clients.pem"))
	writePEM(t, m.file("clients.pem"), "CERTIFICATE", m.authority.Root())
	for _, pair := range []struct {
		table, name string
		certificate tls.Certificate
	}{
		{"", "default", m.authority.Certificate(t, "dns.contoso.net", "127.0.0.1")},
		{"[tls.certificates.old]", "old", m.authority.RSACertificate(t, "dns.contoso.net")},
		{"[tls.certificates.fabrikam]", "fabrikam", m.authority.Certificate(t, "fabrikam.dns.contoso.net")},
		{"[tls.certificates.tenants]", "tenants", m.authority.Certificate(t, "*.tenants.contoso.net", "*.dns.contoso.net")},
	} {
		m.put(pair.name, pair.certificate)
		fmt.Fprintf(&toml, "%s\ncert = %q\nkey = %q\n", pair.table, m.file(pair.name+".crt"), m.file(pair.name+".key"))
	}
	for i, network := range []struct{ name, ingress string }{
		{"open", ""}, {"fabrikam", `server_names = ["fabrikam.dns.contoso.net"]`}, {"one", `server_names = ["one.tenants.contoso.net"]`},
		{"bare", `server_names = ["bare.contoso.org"]`}, {"gateway", `certificates = ["gw.a.com"]`},
	} {
		fmt.Fprintf(&toml, "[networks.%s]\nclients = [\"127.0.0.0/16\"]\n%s\n[networks.%[1]s.endpoints]\n"+
			"\"mydb.database.windows.net\" = \"127.9.0.%[3]d\"\n", network.name, network.ingress, i+1)
	}
	r, s := startServer(t, toml.String())
	m.running, m.dot, m.doh, m.doq, m.h3 = r, s.TLSAddrs()[0], s.HTTPSAddrs()[0], s.QUICAddrs()[0], s.HTTP3Addrs()[0]
	return m
}

// file is the path of a file of the server.
func (m manyCertificates) file(name string) string { return filepath.Join(m.dir, name) }

// put puts a certificate and its key into the files of a name.
func (m manyCertificates) put(name string, certificate tls.Certificate) {
	m.tb.Helper()
	writePair(m.tb, m.file(name+".crt"), m.file(name+".key"), certificate)
}

// leaf is the certificate that is in the files of a name.
func (m manyCertificates) leaf(name string) []byte {
	m.tb.Helper()
	pair, err := tls.LoadX509KeyPair(m.file(name+".crt"), m.file(name+".key"))
	if err != nil {
		m.tb.Fatal(err)
	}
	return pair.Certificate[0]
}

// over asks over a transport: tls, https, doq or h3. It says what was answered, and what
// came of the handshake.
func (m manyCertificates) over(transport string, settings *tls.Config) (answer string, shown tls.ConnectionState) {
	m.tb.Helper()
	settings = settings.Clone()
	settings.VerifyConnection = func(state tls.ConnectionState) error {
		shown = state
		return nil
	}
	url := "https://" + settings.ServerName + "/dns-query"
	switch transport {
	case "tls":
		answer = m.overTLS(settings, nil)
	case "https":
		answer = m.overHTTPS(settings, url)
	case "doq":
		answer = m.overQUIC(settings)
	default:
		answer = m.overHTTP3(settings, url)
	}
	return answer, shown
}

// who is which of some certificates was shown; empty for none.
func (m manyCertificates) who(shown tls.ConnectionState, names ...string) string {
	m.tb.Helper()
	for _, name := range names {
		if len(shown.PeerCertificates) > 0 && bytes.Equal(shown.PeerCertificates[0].Raw, m.leaf(name)) {
			return name
		}
	}
	return ""
}

// TestCertificatesByName: over each transport, a client is shown the certificate that is for
// the name that it asks for, and is in the network of that name.
func TestCertificatesByName(t *testing.T) {
	m := startManyCertificates(t)
	for _, row := range []struct{ what, name, shown, answer string }{
		{"the name of the default certificate", "dns.contoso.net", "default", "127.9.0.1"},
		{"a name of a certificate and a network", "fabrikam.dns.contoso.net", "fabrikam", "127.9.0.2"},
		{"in another letter case", "FABRIKAM.dns.contoso.NET", "fabrikam", "127.9.0.2"},
		{"below a wildcard", "one.tenants.contoso.net", "tenants", "127.9.0.3"},
		{"below a wildcard, of no network", "two.tenants.contoso.net", "tenants", "127.9.0.1"},
		{"two labels below a wildcard", "deep.one.tenants.contoso.net", "", "failed"},
		{"no name", "127.0.0.1", "default", "127.9.0.1"},
		{"a name of nobody", "dns.fabrikam.com", "", "failed"},
		{"a name of a network that no certificate is for", "bare.contoso.org", "default", "127.9.0.4"},
	} {
		for _, transport := range []string{"tls", "https", "doq", "h3"} {
			settings := m.settings(row.name, "")
			settings.InsecureSkipVerify = row.name == "bare.contoso.org" // no client that checks takes it
			answer, shown := m.over(transport, settings)
			if who := m.who(shown, "default", "old", "fabrikam", "tenants"); who != row.shown || answer != row.answer {
				t.Errorf("%s over %s: %s from who shows %q, want %s and %q", row.what, transport, answer, who, row.answer, row.shown)
			}
		}
	}
}

// A client that takes nothing but RSA gets a certificate with such a key for the same name,
// where there is one.
func TestCertificatesByKindOfKey(t *testing.T) {
	m := startManyCertificates(t)
	for name, want := range map[string]string{"dns.contoso.net": "old 127.9.0.1", "127.0.0.1": "old 127.9.0.1", "fabrikam.dns.contoso.net": " failed"} {
		for _, transport := range []string{"tls", "https"} {
			settings := m.settings(name, "")
			settings.InsecureSkipVerify = name == "127.0.0.1" // which the other one is for
			settings.MaxVersion, settings.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
			answer, shown := m.over(transport, settings)
			if got := m.who(shown, "default", "old", "fabrikam") + " " + answer; got != want {
				t.Errorf("%s over %s: %s, want %s", name, transport, got, want)
			}
		}
	}
}

// TestRenewalsUnderLoad: while certificates are renewed, well and badly, nobody who connects
// is turned away, and a connection that is open stays so. A renewal that is not in order is
// told of, and the one before goes on.
func TestRenewalsUnderLoad(t *testing.T) {
	m := startManyCertificates(t)
	var asked atomic.Int64
	stop := make(chan struct{})
	ended := make(chan struct{}, 5)
	go func() {
		defer func() { ended <- struct{}{} }()
		m.askOnOne(t, stop)
	}()
	for _, transport := range []string{"tls", "https", "doq", "h3"} {
		go func() {
			defer func() { ended <- struct{}{} }()
			for pace := time.Tick(5 * time.Millisecond); ; {
				for name, want := range map[string]string{"fabrikam.dns.contoso.net": "127.9.0.2", "dns.contoso.net": "127.9.0.1"} {
					if answer, _ := m.over(transport, m.settings(name, "")); answer != want {
						t.Errorf("%s over %s: %s, want %s", name, transport, answer, want)
					}
					asked.Add(1)
				}
				select {
				case <-stop:
					return
				case <-pace:
				}
			}
		}()
	}
	shows := func(leaf []byte) bool {
		_, shown := m.over("doq", m.settings("fabrikam.dns.contoso.net", ""))
		return len(shown.PeerCertificates) > 0 && bytes.Equal(shown.PeerCertificates[0].Raw, leaf)
	}
	for range 2 {
		before := asked.Load()
		good := m.authority.Certificate(t, "fabrikam.dns.contoso.net")
		m.put("fabrikam", good)
		resolvertest.Until(t, "the renewed certificate", func() bool { return shows(good.Certificate[0]) })
		other := m.authority.Certificate(t, "fabrikam.dns.contoso.net")
		writePEM(t, m.file("fabrikam.crt"), "CERTIFICATE", other.Certificate[0]) // with the key of the one before
		resolvertest.Until(t, "a word of the renewal that does not match", func() bool {
			ready := m.get("/readyz")
			return strings.Contains(ready, "tls.certificates.fabrikam.cert") && strings.Contains(ready, "does not match")
		})
		if metrics := m.get("/metrics"); !strings.Contains(metrics, "pldns_config_last_reload_successful 0") {
			t.Error("metrics do not tell of the failed reload")
		}
		if !shows(good.Certificate[0]) {
			t.Error("the certificate before does not go on")
		}
		m.put("fabrikam", other)
		resolvertest.Until(t, "the renewal that is repaired", func() bool { return shows(other.Certificate[0]) })
		resolvertest.Until(t, "clients that asked meanwhile", func() bool { return asked.Load() > before })
	}
	close(stop)
	for range cap(ended) {
		<-ended
	}
	t.Logf("%d handshakes", asked.Load())
	for _, name := range []string{"default", "old", "fabrikam", "tenants"} {
		want := fmt.Sprintf("pldns_tls_certificate_expiry_timestamp_seconds{certificate=%q} ", name)
		if !strings.Contains(m.get("/metrics"), want) {
			t.Errorf("no metric %s", want)
		}
	}
}

// askOnOne asks on one connection over TLS until it is told to stop.
func (m manyCertificates) askOnOne(t *testing.T, stop chan struct{}) {
	conn, err := tls.Dial("tcp", m.dot.String(), m.settings("fabrikam.dns.contoso.net", ""))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	over := dns.Conn{Conn: conn}
	for pace := time.Tick(20 * time.Millisecond); ; {
		err := over.WriteMsg(mydb())
		reply, readErr := over.ReadMsg()
		if got := last(reply, errors.Join(err, readErr)); got != "127.9.0.2" {
			t.Errorf("on the connection that stays open: %s, %v", got, errors.Join(err, readErr))
			return
		}
		select {
		case <-stop:
			return
		case <-pace:
		}
	}
}

// lastSession remembers one session, and offers it whoever is connected to, as a client does
// that confuses its servers.
type lastSession struct {
	atomic.Pointer[tls.ClientSessionState]
}

func (s *lastSession) Get(string) (*tls.ClientSessionState, bool) {
	held := s.Load()
	return held, held != nil
}

func (s *lastSession) Put(_ string, session *tls.ClientSessionState) { s.Store(session) }

// TestSessionsAcrossCertificates: a session is resumed by its own name, and never under
// another name, after a change of certificates, or after a change of the authorities that
// the client's certificate was held against. So nobody is in a network that is not his.
func TestSessionsAcrossCertificates(t *testing.T) {
	for _, way := range []struct {
		transport string
		version   uint16
	}{{"tls", tls.VersionTLS13}, {"tls", tls.VersionTLS12}, {"https", tls.VersionTLS13}, {"doq", tls.VersionTLS13}, {"h3", tls.VersionTLS13}} {
		t.Run(way.transport+" "+tls.VersionName(way.version), func(t *testing.T) {
			m := startManyCertificates(t)
			session := new(lastSession)
			ask := func(what, name, certificate, want string, resumed bool) {
				t.Helper()
				settings := m.settings(name, certificate)
				// A client that checks would not offer what it has from somebody else.
				settings.InsecureSkipVerify, settings.ClientSessionCache, settings.MaxVersion = true, session, way.version
				answer, shown := m.over(way.transport, settings)
				if answer != want || shown.DidResume != resumed {
					t.Errorf("%s: %s, resumed: %t, want %s, resumed: %t", what, answer, shown.DidResume, want, resumed)
				}
			}
			ask("the first time", "fabrikam.dns.contoso.net", "", "127.9.0.2", false)
			ask("again", "fabrikam.dns.contoso.net", "", "127.9.0.2", true)
			ask("under another name", "dns.contoso.net", "", "127.9.0.1", false)
			ask("again", "dns.contoso.net", "", "127.9.0.1", true)
			m.put("fabrikam", m.authority.Certificate(t, "fabrikam.dns.contoso.net"))
			m.mustReload()
			ask("after a renewal", "dns.contoso.net", "", "127.9.0.1", false)
			m.mustReload()
			ask("after a reload that changes no certificate", "dns.contoso.net", "", "127.9.0.1", true)

			session.Store(nil)
			ask("with a certificate", "dns.contoso.net", "gw.a.com", "127.9.0.5", false)
			ask("as who showed it", "dns.contoso.net", "", "127.9.0.5", true)
			writePEM(t, m.file("clients.pem"), "CERTIFICATE", resolvertest.NewAuthority(t).Root())
			m.mustReload()
			ask("when it counts no longer", "dns.contoso.net", "", "127.9.0.1", false)
		})
	}
}

// TestEarlyDataAcrossCertificates: a first flight (0-RTT) is taken from a client that comes again
// under the name that its session began with, and not under another name or after a change of
// certificates: then it is asked again behind the handshake.
func TestEarlyDataAcrossCertificates(t *testing.T) {
	m := startManyCertificates(t)
	session, tokens := new(lastSession), quic.NewLRUTokenStore(1, 9)
	ask := func(what, name, want string, early bool) {
		t.Helper()
		settings := m.settings(name, "")
		settings.InsecureSkipVerify, settings.ClientSessionCache, settings.NextProtos = true, session, []string{"doq"}
		conn, err := quic.DialAddrEarly(t.Context(), m.doq.String(), settings, &quic.Config{TokenStore: oneToken{tokens}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseWithError(0, "")
		<-conn.HandshakeComplete() // the client's library does not bear a stream that is opened meanwhile
		answer, err := askStream(t.Context(), conn)
		if errors.Is(err, quic.Err0RTTRejected) {
			if conn, err = conn.NextConnection(t.Context()); err != nil {
				t.Fatal(err)
			}
			answer, err = askStream(t.Context(), conn)
		}
		if got := last(answer, err); got != want || conn.ConnectionState().Used0RTT != early {
			t.Errorf("%s: %s (%v), in the first flight: %t, want %s, %t", what, got, err, !early, want, early)
		}
	}
	ask("the first time", "fabrikam.dns.contoso.net", "127.9.0.2", false)
	ask("again", "fabrikam.dns.contoso.net", "127.9.0.2", true)
	ask("under another name", "dns.contoso.net", "127.9.0.1", false)
	ask("again", "dns.contoso.net", "127.9.0.1", true)
	m.put("fabrikam", m.authority.Certificate(t, "fabrikam.dns.contoso.net"))
	m.mustReload()
	ask("after a renewal", "dns.contoso.net", "127.9.0.1", false)
	ask("again", "dns.contoso.net", "127.9.0.1", true)
}

// oneToken has what proves an address be one for all names of the server.
type oneToken struct{ quic.TokenStore }

func (o oneToken) Pop(string) *quic.ClientToken          { return o.TokenStore.Pop("server") }
func (o oneToken) Put(_ string, token *quic.ClientToken) { o.TokenStore.Put("server", token) }

// mustReload reloads what is in order.
func (m manyCertificates) mustReload() {
	m.tb.Helper()
	if code := m.reload(); code != http.StatusOK {
		m.tb.Fatalf("the reload answers %d", code)
	}
}

// TestCheckOfCertificates: check tells of each certificate that clients refuse, and of names
// that none is for.
func TestCheckOfCertificates(t *testing.T) {
	m := startManyCertificates(t)
	text, code := m.check(m.running.file)
	for _, want := range []string{"no certificate is for bare.contoso.org", "tls.cert: the certificate expires", "tls.certificates.old.cert: the certificate expires"} {
		if code != 0 || !strings.Contains(text, want) {
			t.Errorf("code %d, no %s in %s", code, want, text)
		}
	}
	if strings.Count(text, "no certificate is for ") != 1 {
		t.Errorf("code %d: %s", code, text)
	}
	writePEM(t, m.file("tenants.key"), "PRIVATE KEY", []byte("half"))
	if text, code := m.check(m.running.file); code != 1 || !strings.Contains(text, "tls.certificates.tenants.cert: ") {
		t.Errorf("code %d: %s", code, text)
	}
	if err := os.Remove(m.file("tenants.crt")); err != nil {
		t.Fatal(err)
	}
	if text, code := m.check(m.running.file); code != 1 || !strings.Contains(text, "tls.certificates.tenants.cert: open ") {
		t.Errorf("code %d: %s", code, text)
	}
}

func (m manyCertificates) check(file string) (string, int) {
	var text bytes.Buffer
	code := run(m.tb.Context(), []string{"check", "-c", file}, &text, &text)
	return text.String(), code
}

// TestUpgradesByName: each network is told of the name that leads its clients back to it, with
// the address if the certificate that is shown for that name holds it.
func TestUpgradesByName(t *testing.T) {
	authority, dir := resolvertest.NewAuthority(t), t.TempDir()
	pair := func(name string, hosts ...string) string {
		certificate, key := filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
		writePair(t, certificate, key, authority.Certificate(t, hosts...))
		return fmt.Sprintf("cert = %q\nkey = %q\n", certificate, key)
	}
	file := writeConfig(t, "[listen]\ndns = [\":53\"]\ndot = [\":853\"]\n[tls]\n"+pair("default", "dns.contoso.net", "10.0.0.4")+
		"[tls.certificates.fabrikam]\n"+pair("fabrikam", "*.fabrikam.com")+
		"[tls.certificates.tailspin]\n"+pair("tailspin", "dns.tailspin.com", "10.0.0.4")+
		"[networks.hub]\nclients = [\"10.0.0.0/16\"]\n[networks.fabrikam]\nclients = [\"10.1.0.0/16\"]\nserver_names = [\"dns.fabrikam.com\"]\n"+
		"listeners = [\"10.0.0.4:53\"]\n[networks.tailspin]\nclients = [\"10.2.0.0/16\"]\nserver_names = [\"dns.tailspin.com\"]\n"+
		"listeners = [\"10.0.0.4:53\"]\n[networks.nobody]\nclients = [\"10.3.0.0/16\"]\nserver_names = [\"dns.nobody.com\"]\nlisteners = [\"10.0.0.4:53\"]\n")
	for client, want := range map[string]string{
		"10.0.0.1": `dns.contoso.net. alpn="dot" port="853" ipv4hint="10.0.0.4"`,
		"10.1.0.1": `dns.fabrikam.com. alpn="dot" port="853"` + "\n",
		"10.2.0.1": `dns.tailspin.com. alpn="dot" port="853" ipv4hint="10.0.0.4"`,
		"10.3.0.1": "and has no record of this type",
	} {
		var text bytes.Buffer
		listener := "10.0.0.4:53"
		if client == "10.0.0.1" {
			listener = "10.0.0.4:5353"
		}
		code := run(t.Context(), []string{"explain", "_dns.resolver.arpa", "SVCB", "-c", file, "--client", client, "--listener", listener}, &text, &text)
		if (code == 0) != strings.Contains(want, "dot") || !strings.Contains(text.String(), want) {
			t.Errorf("%s: code %d, no %s in:\n%s", client, code, want, text.String())
		}
	}
}
