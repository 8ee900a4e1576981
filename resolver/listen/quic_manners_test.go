package listen_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
	"github.com/pires/go-proxyproto"
	"github.com/quic-go/quic-go"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
	"pldns/resolver/wire"
)

// TestAlternative: who asks over HTTPS is told of HTTP/3 at the port that it asks at.
func TestAlternative(t *testing.T) {
	s := startSecured(t, listen.Config{})
	for host, want := range map[string]string{"": `h3=":443"; ma=3600`, "a.dns.contoso.net:8443": `h3=":8443"; ma=3600`} {
		for version := 1; version <= 2; version++ {
			wantAlternative(t, s.browser(t, version), host, want)
		}
	}
}

// TestNoAlternative: nobody is told of HTTP/3 where it is turned off, and nobody who comes
// through a proxy, which passes no QUIC on.
func TestNoAlternative(t *testing.T) {
	authority := resolvertest.NewAuthority(t)
	off := secured{start(t, listen.Config{HTTPS: addrs("127.0.0.1:0"), TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{authority.Certificate(t, "a.dns.contoso.net")},
	}}), authority, nil}
	if open := off.HTTP3Addrs(); len(open) > 0 {
		t.Errorf("HTTP/3 is spoken at %v", open)
	}
	wantAlternative(t, off.browser(t, 2), "", "")

	s := startSecured(t, listen.Config{Trust: listen.Trust{Proxies: here()}})
	proxied := s.browser(t, 2)
	proxied.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.HTTPSAddrs()[0].String())
		if err == nil {
			_, err = conn.Write(proxyHeader(t, "10.1.2.3:5353", proxyproto.TCPv4))
		}
		return conn, err
	}
	wantAlternative(t, proxied, "", "")
}

// wantAlternative asks and looks at the header Alt-Svc (RFC 7838).
func wantAlternative(t *testing.T, client *http.Client, host, want string) {
	t.Helper()
	request, err := http.NewRequest("POST", "https://a.dns.contoso.net/dns-query", strings.NewReader(string(pack(t, query("a.example")))))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/dns-message")
	request.Host = host
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := response.Header.Get("Alt-Svc"); got != want || response.StatusCode != http.StatusOK {
		t.Errorf("%s: Alt-Svc is %q, want %q", response.Status, got, want)
	}
}

// TestQUICLongReplies: of the replies that do not fit into a packet, 32 wait for a client
// that does not take them; it is told that the others are too many, gets what waited when
// it reads, and nobody else feels it.
func TestQUICLongReplies(t *testing.T) {
	authority := resolvertest.NewAuthority(t)
	var long []dns.RR
	for i := range 20 {
		long = append(long, resolvertest.RR(t, fmt.Sprintf("long.example. 60 IN TXT %d%s", i, strings.Repeat("x", 200))))
	}
	s := start(t, listen.Config{
		QUIC: addrs("127.0.0.1:0"), TLSConfig: &tls.Config{Certificates: []tls.Certificate{authority.Certificate(t, "a.dns.contoso.net")}},
		Handler: handler(func(ctx context.Context, q resolver.Query) resolver.Answer {
			if q.Name.FQDN() == "long.example." {
				return resolver.Answer{Records: long}
			}
			return known(ctx, q)
		}),
	})
	settings := &tls.Config{RootCAs: authority.Pool, ServerName: "a.dns.contoso.net", NextProtos: []string{"doq"}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const window = 16 // octets, of all streams together
	conn, err := endpoint(t, "127.0.0.1").Dial(ctx, net.UDPAddrFromAddrPort(s.QUICAddrs()[0]), settings, &quic.Config{
		InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window, InitialConnectionReceiveWindow: window, MaxConnectionReceiveWindow: window,
	})
	if err != nil {
		t.Fatal(err)
	}
	const asked, waiting = 40, 32
	question := query("long.example")
	question.Question[0].Qtype = dns.TypeTXT
	var streams []*quic.Stream
	for range asked {
		streams = append(streams, begin(t, conn, framed(t, question), true))
	}
	other := overQUIC(t, "127.0.0.2", s.QUICAddrs()[0], settings)
	if reply := askStream(t, other, query("a.example")); len(reply.Answer) != 1 {
		t.Errorf("somebody else gets %v", reply)
	}
	// One octet of each is no reply, and lets none be completed.
	refused, begun, whole := make(chan struct{}, asked), make(chan struct{}), atomic.Int64{}
	var reading sync.WaitGroup
	for _, stream := range streams {
		reading.Go(func() {
			var first [1]byte
			var reset *quic.StreamError
			_, err := stream.Read(first[:])
			if errors.As(err, &reset) && reset.Remote && reset.ErrorCode == wire.DoQExcessiveLoad {
				refused <- struct{}{}
				return
			}
			<-begun
			rest, err := io.ReadAll(stream)
			if err != nil || len(rest) < 4000 {
				t.Errorf("%d octets, %v", len(rest), err)
			}
			whole.Add(1)
		})
	}
	for range asked - waiting {
		select {
		case <-refused:
		case <-ctx.Done():
			t.Error("not all that are too many are refused")
		}
	}
	close(begun)
	reading.Wait()
	if whole.Load() != waiting {
		t.Errorf("%d replies are whole, want %d", whole.Load(), waiting)
	}
}
