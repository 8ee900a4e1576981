package secondary_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
	"pldns/resolver/secondary"
	"pldns/resolver/tsig"
	"pldns/zones"
	"pldns/zones/content"
)

// peer is another server that is a primary: of plain.example for everybody, of signed.example and
// big.example for those who sign, and, where it can, over TLS.
type peer struct {
	t       testing.TB
	dir     string
	at      netip.AddrPort
	secure  netip.AddrPort // zero if it has no TLS
	process *os.Process
}

const (
	plain, signed, big = "plain.example.", "signed.example.", "big.example."
	peerSecret         = "a secret of thirty-two octets ok"
)

var peerKey = &tsig.Key{Name: zones.MustName("transfer.corp"), Algorithm: "hmac-sha256", Secret: []byte(peerSecret)}

// peers are the servers that are tried. The arguments are made with the address of the server, that
// over TLS, and that which is to be told.
var peers = []struct {
	name, command string
	tls           bool
	configure     func(p *peer, notify netip.AddrPort) []string
}{
	{"bind9", "named", true, bind},
	{"knot", "knotd", false, knot}, // Debian's, 3.2, has no transfers over TLS
}

func bind(p *peer, notify netip.AddrPort) []string {
	var b strings.Builder
	fmt.Fprintf(&b, `
key %q { algorithm hmac-sha256; secret %q; };
tls own { cert-file "own.crt"; key-file "own.key"; };
options {
  directory %q;
  listen-on port %d { %s; };
  listen-on port %d tls own { %s; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  pid-file none;
  session-keyfile none;
  ixfr-from-differences yes;
  max-ixfr-ratio unlimited;
  notify explicit;
  also-notify { %s port %d; };
  notify-delay 0;
  transfers-out 100;
};
controls { };
`, peerKey.Name, base64.StdEncoding.EncodeToString(peerKey.Secret), p.dir, p.at.Port(), p.at.Addr(), p.secure.Port(), p.at.Addr(),
		notify.Addr(), notify.Port())
	for _, zone := range []string{plain, signed, big} {
		allowed := fmt.Sprintf("key %q;", peerKey.Name)
		if zone == plain {
			allowed = "any;"
		}
		fmt.Fprintf(&b, "zone %q { type primary; file %q; allow-transfer { %s }; };\n", zone, zone+"zone", allowed)
	}
	p.write("named.conf", b.String())
	return []string{"-g", "-c", filepath.Join(p.dir, "named.conf")}
}

func knot(p *peer, notify netip.AddrPort) []string {
	var b strings.Builder
	fmt.Fprintf(&b, `
server:
  listen: %s@%d
  rundir: %s
  tcp-workers: 2
log:
  - target: stderr
    any: info
database:
  storage: %s/db
key:
  - id: %s
    algorithm: hmac-sha256
    secret: %s
remote:
  - id: told
    address: %s@%d
acl:
  - id: everybody
    action: transfer
  - id: signers
    key: %s
    action: transfer
template:
  - id: default
    storage: %s
    zonefile-load: difference
    zonefile-sync: -1
    journal-content: changes
    notify: told
    semantic-checks: off
zone:
`, p.at.Addr(), p.at.Port(), p.dir, p.dir, peerKey.Name, base64.StdEncoding.EncodeToString(peerKey.Secret), notify.Addr(), notify.Port(),
		peerKey.Name, p.dir)
	for _, zone := range []string{plain, signed, big} {
		acl := "signers"
		if zone == plain {
			acl = "everybody"
		}
		fmt.Fprintf(&b, "  - domain: %s\n    file: %s\n    acl: %s\n", zone, zone+"zone", acl)
	}
	p.write("knot.conf", b.String())
	if err := os.Mkdir(filepath.Join(p.dir, "db"), 0o700); err != nil { // the journal
		p.t.Fatal(err)
	}
	return []string{"-c", filepath.Join(p.dir, "knot.conf")}
}

func (p *peer) write(file, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, file), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// has writes a version of a zone, and gives what is in it.
func (p *peer) has(v version) *content.Zone {
	p.t.Helper()
	p.write(v.zone.Apex().FQDN()+"zone", v.file)
	return v.zone
}

// reload has the server read its zones anew.
func (p *peer) reload() {
	p.t.Helper()
	if err := p.process.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
}

// listener hears NOTIFYs for a secondary server, as resolver/listen does.
type listener struct {
	addr   netip.AddrPort
	server atomic.Pointer[secondary.Server]
	heard  atomic.Int32
}

// listen hears them over UDP, as BIND sends them, and over TCP, as Knot does.
func listen(t *testing.T) *listener {
	t.Helper()
	udp, tcp := resolvertest.Pair(t, netip.MustParseAddr("127.0.0.1"))
	l := &listener{addr: tcp.Addr().(*net.TCPAddr).AddrPort()}
	accept := func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
	for _, server := range []*dns.Server{
		{PacketConn: udp, Handler: dns.HandlerFunc(l.hear), MsgAcceptFunc: accept},
		{Listener: tcp, Handler: dns.HandlerFunc(l.hear), MsgAcceptFunc: accept},
	} {
		var serving sync.WaitGroup
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		serving.Go(func() { _ = server.ActivateAndServe() })
		<-started
		t.Cleanup(func() { _ = server.Shutdown(); serving.Wait() })
	}
	return l
}

func (l *listener) hear(w dns.ResponseWriter, m *dns.Msg) {
	reply := new(dns.Msg).SetReply(m)
	from := netip.MustParseAddrPort(w.RemoteAddr().String()).Addr()
	if k := l.server.Load(); m.Opcode != dns.OpcodeNotify || k == nil || !k.Notify(zones.NameOf(m.Question[0].Name), from, zones.Name{}) {
		reply.Rcode = dns.RcodeRefused
	} else {
		l.heard.Add(1)
	}
	_ = w.WriteMsg(reply)
}

// sourceOf is a zone of a peer.
func sourceOf(p *peer, zone string, over *tls.Config) secondary.Source {
	primary := secondary.Primary{Addr: p.at, TLS: over}
	if over != nil {
		primary.Addr = p.secure
	}
	if zone != plain {
		primary.Key = peerKey
	}
	id := strings.TrimSuffix(zone, ".")
	if over != nil {
		id += " over TLS"
	}
	return secondary.Source{ID: id, Zone: zones.MustName(zone), Primaries: []secondary.Primary{primary}}
}

// bigZone is a zone of bigRecords records, half of which are others in the next version, and its file.
func bigZone(t testing.TB, serial uint32) version {
	t.Helper()
	var file strings.Builder
	fmt.Fprintf(&file, "%s 3600 IN SOA ns.example.net. mail.example.net. %d 3600 600 86400 60\n", big, serial)
	fmt.Fprintf(&file, "%s 3600 IN NS ns.example.net.\n", big)
	for i := range bigRecords {
		second := i >> 16
		if i%2 == 0 {
			second = 100 + int(serial)
		}
		fmt.Fprintf(&file, "h%d.%s 60 IN A 10.%d.%d.%d\n", i, big, second, i>>8&255, i&255)
	}
	z, err := content.Read(strings.NewReader(file.String()), zones.MustName(big))
	if err != nil {
		t.Fatal(err)
	}
	return version{z, file.String()}
}

// version is a zone, and the file that a server reads it from.
type version struct {
	zone *content.Zone
	file string
}

// odd are records that servers write in many ways.
var odd = []string{
	"*.wild.%[1]s 60 IN CNAME target.%[1]s", "Mixed.Case.%[1]s 60 IN A 10.0.0.1", `\001\"\;\.x.%[1]s 60 IN TXT "a \"b\" \\ \000\255" ""`,
	"_sip._tcp.%[1]s 60 IN SRV 1 2 5060 host.%[1]s", "d.%[1]s 60 IN DNAME elsewhere.example.", "sub.%[1]s 60 IN NS ns.sub.%[1]s",
	"ns.sub.%[1]s 60 IN A 10.0.0.2", "u.%[1]s 60 IN TYPE65300 \\# 3 010203", "s.%[1]s 60 IN SVCB 1 . alpn=h2,h3 ipv4hint=10.0.0.3",
	"c.%[1]s 60 IN CAA 0 issue \"ca.example\"", "m.%[1]s 60 IN MX 10 mail.%[1]s",
}

func oddZone(t testing.TB, apex string, serial uint32, more ...string) version {
	t.Helper()
	for _, text := range odd {
		more = append(more, fmt.Sprintf(text, apex))
	}
	z := zoneOf(t, apex, serial, 3600, more...)
	return version{z, text(t, z)}
}

// Zones come from BIND and Knot with and without signatures and over TLS; what changes in them comes
// when they say so, 10^5 changes at once; and with the server gone, after a restart, they are served.
func TestPeers(t *testing.T) {
	versions := sync.OnceValue(func() []version { return []version{bigZone(t, 1), bigZone(t, 2), bigZone(t, 3)} })
	for _, each := range peers {
		t.Run(each.name, func(t *testing.T) {
			command := resolvertest.Peer(t, each.command)
			ear := listen(t)
			p := &peer{t: t, dir: t.TempDir(), at: resolvertest.FreeAddr(t), secure: resolvertest.FreeAddr(t)}
			authority := resolvertest.NewAuthority(t)
			p.certificate(authority)
			want := map[string]*content.Zone{}
			for _, zone := range []string{plain, signed} {
				want[zone] = p.has(oddZone(t, zone, 1))
			}
			want[big] = p.has(versions()[0])
			p.process = resolvertest.Run(t, command, each.configure(p, ear.addr)...)
			await(t, p.at)

			counts, dir := new(counter), t.TempDir()
			sources := []secondary.Source{sourceOf(p, plain, nil), sourceOf(p, signed, nil), sourceOf(p, big, nil)}
			if each.tls {
				over := &tls.Config{ServerName: "ns.corp.example", RootCAs: authority.Pool}
				sources = append(sources, sourceOf(p, plain, over), sourceOf(p, signed, over))
			}
			k := keep(t, secondary.Options{Dir: dir, Observer: counts}, sources...)
			ear.server.Store(k.Server)
			k.all(want)

			for _, zone := range []string{plain, signed} {
				want[zone] = p.has(oddZone(t, zone, 2, "new."+zone+" 60 IN A 10.0.0.7"))
			}
			want[big] = p.has(versions()[1])
			began := time.Now()
			p.reload()
			k.all(want)
			t.Logf("%d changes came within %v of the reload", bigRecords, time.Since(began).Round(time.Millisecond))
			if n := int(counts.incremental.Load()); n != len(sources) || ear.heard.Load() < 3 {
				t.Errorf("%d of %d changes came by IXFR, and %d NOTIFYs", n, len(sources), ear.heard.Load())
			}
			k.stop()
			ear.server.Store(nil)

			killedInTheMiddle(t, p, dir, sources, want, versions()[2])
		})
	}
}

// all waits until the copies are what is wanted.
func (k *server) all(want map[string]*content.Zone) {
	k.t.Helper()
	for _, source := range k.sources {
		z := want[source.Zone.FQDN()]
		resolvertest.Until(k.t, source.ID+" is there", func() bool {
			c := k.Copies()[source.ID]
			return c.Zone != nil && c.Zone.Serial() == z.Serial()
		})
		got := k.Copies()[source.ID].Zone
		if got.Len() != z.Len() {
			k.t.Errorf("%s has %d records, not %d", source.ID, got.Len(), z.Len())
		}
		if d := content.Diff(z, got); len(d.Added)+len(d.Removed) > 0 {
			k.t.Errorf("%s: too many %v, missing %v", source.ID, d.Added[:min(5, len(d.Added))], d.Removed[:min(5, len(d.Removed))])
		}
	}
}

// killedInTheMiddle kills the server in the middle of a transfer, and expects what was held before to
// go on being served, and to be there after a restart with nobody to ask.
func killedInTheMiddle(t *testing.T, p *peer, dir string, sources []secondary.Source, want map[string]*content.Zone, next version) {
	t.Helper()
	p.has(next)
	p.reload()
	resolvertest.Until(t, "the server has the next version", func() bool { return serialAt(p.at, big) == 3 })
	kill := sync.OnceFunc(func() { _ = p.process.Kill() })
	dial := func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr.String())
		if err != nil {
			return nil, err
		}
		if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil { // so that the rest waits at the server
			return nil, err
		}
		return &watched{Conn: conn, left: bigRecords, then: kill}, nil
	}
	k := keep(t, secondary.Options{Dir: dir, Dial: dial}, sources[2]) // big.example
	id := sources[2].ID
	if c := k.Copies()[id]; c.Zone == nil || c.Zone.Serial() != 2 {
		t.Fatal("the copy on disk is not what came last")
	}
	resolvertest.Until(t, "the transfer has failed", func() bool { return k.state().Fault != "" })
	fault := k.log.String()
	if !strings.Contains(fault, "in the middle of the transfer") {
		t.Errorf("the log says %s", fault)
	}
	k.sources = sources[2:3]
	k.all(map[string]*content.Zone{big: want[big]})
	k.stop()

	again := keep(t, secondary.Options{Dir: dir}, sources...)
	for id, c := range again.Copies() {
		if c.Zone == nil || c.Expired || c.Zone.Serial() != 2 {
			t.Errorf("%s is not served after a restart: %+v", id, c)
		}
	}
}

// watched does something when so many octets have been read.
type watched struct {
	net.Conn
	left int
	then func()
}

func (w *watched) Read(to []byte) (int, error) {
	n, err := w.Conn.Read(to)
	if w.left -= n; w.left < 0 {
		w.then()
	}
	return n, err
}

// certificate writes a certificate of the server.
func (p *peer) certificate(authority *resolvertest.Authority) {
	p.t.Helper()
	resolvertest.WritePair(p.t, filepath.Join(p.dir, "own.crt"), filepath.Join(p.dir, "own.key"), authority.Certificate(p.t, "ns.corp.example"))
}

// await waits until a server answers for all of its zones.
func await(t *testing.T, at netip.AddrPort) {
	t.Helper()
	resolvertest.Until(t, "the server answers", func() bool {
		return serialAt(at, plain) == 1 && serialAt(at, signed) == 1 && serialAt(at, big) == 1
	})
}

// serialAt is the serial of a zone at a server; 0 if there is none.
func serialAt(at netip.AddrPort, zone string) uint32 {
	client := &dns.Client{Timeout: time.Second}
	m, _, err := client.Exchange(new(dns.Msg).SetQuestion(zone, dns.TypeSOA), at.String())
	if err != nil || len(m.Answer) == 0 {
		return 0
	}
	if soa, is := m.Answer[0].(*dns.SOA); is {
		return soa.Serial
	}
	return 0
}
