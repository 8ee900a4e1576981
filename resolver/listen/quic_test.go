package listen_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
)

// endpoint is a socket of a client over QUIC.
func endpoint(tb testing.TB, from string) *quic.Transport {
	tb.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)})
	if err != nil {
		tb.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket}
	tb.Cleanup(func() {
		transport.Close()
		socket.Close()
	})
	return transport
}

// overQUIC connects over QUIC, from an address.
func overQUIC(tb testing.TB, from string, to netip.AddrPort, settings *tls.Config) *quic.Conn {
	tb.Helper()
	settings = settings.Clone()
	if settings.NextProtos == nil {
		settings.NextProtos = []string{"doq"}
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	conn, err := endpoint(tb, from).Dial(ctx, net.UDPAddrFromAddrPort(to), settings, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return conn
}

// framed is a message with id 0, after its length.
func framed(tb testing.TB, m *dns.Msg) []byte {
	tb.Helper()
	m.Id = 0
	packed := pack(tb, m)
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
}

// begin opens a stream and sends octets on it, and its end if there is one.
func begin(tb testing.TB, conn *quic.Conn, octets []byte, end bool) *quic.Stream {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	_ = stream.SetDeadline(time.Now().Add(patience))
	if _, err := stream.Write(octets); err != nil {
		tb.Fatal(err)
	}
	if end {
		stream.Close()
	}
	return stream
}

// replyOn is the one reply on a stream, which ends behind it.
func replyOn(tb testing.TB, stream *quic.Stream) *dns.Msg {
	tb.Helper()
	octets, err := io.ReadAll(stream)
	if err != nil || len(octets) < 2 || int(binary.BigEndian.Uint16(octets)) != len(octets)-2 {
		tb.Fatalf("the reply is %x, error %v", octets, err)
	}
	return unpack(tb, octets[2:])
}

// askStream asks on a stream of its own.
func askStream(tb testing.TB, conn *quic.Conn, m *dns.Msg) *dns.Msg {
	tb.Helper()
	return replyOn(tb, begin(tb, conn, framed(tb, m), true))
}

// overHTTP3 asks over HTTP/3, from an address.
func overHTTP3(tb testing.TB, from string, to netip.AddrPort, settings *tls.Config, path string, m *dns.Msg) (*http.Response, *dns.Msg) {
	tb.Helper()
	via := endpoint(tb, from)
	client := &http3.Transport{TLSClientConfig: settings.Clone(), Dial: func(ctx context.Context, _ string, tls *tls.Config, config *quic.Config) (*quic.Conn, error) {
		return via.DialEarly(ctx, net.UDPAddrFromAddrPort(to), tls, config)
	}}
	defer client.Close()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	name := settings.ServerName
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("https://%s:%d%s", name, to.Port(), path), bytes.NewReader(pack(tb, m)))
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/dns-message")
	response, err := client.RoundTrip(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		return response, nil
	}
	return response, unpack(tb, body)
}

// closedBy is the code by which the server ended a connection.
func closedBy(tb testing.TB, conn *quic.Conn) quic.ApplicationErrorCode {
	tb.Helper()
	select {
	case <-conn.Context().Done():
	case <-time.After(patience):
		tb.Fatal("the connection is still open")
	}
	var closed *quic.ApplicationError
	if err := context.Cause(conn.Context()); !errors.As(err, &closed) || !closed.Remote {
		tb.Fatalf("the connection ended with %v", err)
	}
	return closed.ErrorCode
}

// A client may end a stream when the reply has come: it is not told that this is unwanted,
// if it does so soon.
func TestQUICEndBehindTheReply(t *testing.T) {
	s := startSecured(t, listen.Config{})
	conn := overQUIC(t, "127.0.0.7", s.QUICAddrs()[0], &tls.Config{RootCAs: s.authority.Pool, ServerName: "a.dns.contoso.net"})
	resolvertest.Until(t, "an end that is taken", func() bool {
		stream := begin(t, conn, framed(t, query("a.example")), false)
		if reply := replyOn(t, stream); len(reply.Answer) != 1 {
			t.Errorf("the reply is %v", reply)
		}
		<-s.asked
		return stream.Close() == nil
	})
}

// TestQUIC: DNS over QUIC (RFC 9250) and over HTTP/3: the Handler is told the server name,
// the names of the client's certificate and the path; those who observe know the transport.
func TestQUIC(t *testing.T) {
	watch := newRecorder()
	s := startSecured(t, listen.Config{Observer: watch})
	gateway := s.authority.Certificate(t, "gw.contoso.com")
	for _, row := range []struct {
		name         string
		certificates []tls.Certificate
		path         string
		want         string
	}{
		{"a.dns.contoso.net", nil, "", `127.0.0.7 at 127.0.0.1: name "a.dns.contoso.net" path "" certificates []`},
		{"127.0.0.1", nil, "", `127.0.0.7 at 127.0.0.1: name "" path "" certificates []`},
		{"b.dns.contoso.net", []tls.Certificate{gateway}, "", `127.0.0.7 at 127.0.0.1: name "b.dns.contoso.net" path "" certificates [gw.contoso.com]`},
		{"b.dns.contoso.net", []tls.Certificate{gateway}, "/x", `127.0.0.7 at 127.0.0.1: name "b.dns.contoso.net" path "x" certificates [gw.contoso.com]`},
	} {
		settings := &tls.Config{RootCAs: s.authority.Pool, ServerName: row.name, Certificates: row.certificates}
		if row.path == "" {
			conn := overQUIC(t, "127.0.0.7", s.QUICAddrs()[0], settings)
			for range 2 {
				if reply := askStream(t, conn, query("a.example")); reply.Id != 0 || len(reply.Answer) != 1 {
					t.Errorf("the reply is %v", reply)
				}
				if got := identity(<-s.asked); got != row.want {
					t.Errorf("over QUIC the client is %s, want %s", got, row.want)
				}
			}
			watch.await(t, func(e event) bool { return e.served && e.transport == "doq" })
			conn.CloseWithError(0, "")
		}
		if _, reply := overHTTP3(t, "127.0.0.7", s.HTTP3Addrs()[0], settings, "/dns-query"+row.path, query("a.example")); len(reply.Answer) != 1 {
			t.Errorf("the reply is %v", reply)
		}
		if got := identity(<-s.asked); got != row.want {
			t.Errorf("over HTTP/3 the client is %s, want %s", got, row.want)
		}
		watch.await(t, func(e event) bool { return e.served && e.transport == "h3" })
	}
}
