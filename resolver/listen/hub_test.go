package listen_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
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
// first label: "silent" says at the deadline that it never answered, "held" waits for release, "sync" calls back
// before it returns, "chain" does so with an alias, "known" knows, "fault" panics, "bad"
// answers what cannot be packed, and all else is answered by a goroutine.
type outside struct {
	mu   sync.Mutex
	held []func(resolver.Reply, error)
	name []zones.Name
}

func (o *outside) Start(q resolver.Question, from resolver.Asker, deadline time.Time,
	done func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	kind, rest, _ := strings.Cut(q.Name.FQDN(), ".")
	kind, number, _ := strings.Cut(kind, "-")
	reply := resolver.Reply{Source: resolver.FromUpstream, Answer: []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: q.Name.FQDN(), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 10}, A: net.IPv4(203, 0, 113, 1),
	}}}
	if from.AtOnce && kind != "known" {
		return resolver.Reply{}, false, resolver.ErrUnknown
	}
	switch kind {
	case "silent":
		if left := time.Until(deadline); left < time.Minute { // else the test is over before
			time.AfterFunc(left, func() { done(resolver.Reply{}, context.DeadlineExceeded) })
		}
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
		reply.Answer = append(reply.Answer, (*dns.A)(nil))
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
func (o *outside) release(octets int) { o.releaseSome(o.holds(), octets) }

// releaseSome answers the first that are held.
func (o *outside) releaseSome(n, octets int) {
	o.mu.Lock()
	held, names := o.held[:n:n], o.name[:n:n]
	o.held, o.name = o.held[n:], o.name[n:]
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
	config.QUIC, config.HTTP3 = addrs("127.0.0.1:0"), true
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
	switch transport {
	case "doq":
		conn := overQUIC(tb, from, e.QUICAddrs()[0], e.tls)
		defer conn.CloseWithError(0, "")
		return askStream(tb, conn, m)
	case "h3":
		_, reply := overHTTP3(tb, from, e.HTTP3Addrs()[0], e.tls, "/dns-query", m)
		return reply
	}
	if transport != "https" {
		conn := e.dial(tb, transport, from)
		defer conn.Close()
		write(tb, conn, pack(tb, m))
		return unpack(tb, read(tb, conn))
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: e.tls.Clone(), ForceAttemptHTTP2: true}}
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
			return streams
		}
		return datagrams
	}
	before := waiting()
	await := func(more int) {
		n := min(before+more, limit)
		resolvertest.Until(tb, fmt.Sprintf("%d pending questions", n), func() bool { return waiting() >= n })
	}
	for i := range count {
		write(tb, conn, pack(tb, query(fmt.Sprintf("silent-%d.attack.example", from+i))))
		if !stream && i%50 == 49 {
			await(i + 1) // the socket has little room
		}
	}
	await(count)
}
