package listen_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
)

// TestQUICRestart: a client whose server has been replaced, without a word to it, is told at
// its next query that the connection is gone, by the server that has the same secret.
func TestQUICRestart(t *testing.T) {
	authority := resolvertest.NewAuthority(t)
	socket := packetSocket(t, "127.0.0.1")
	at, file := socket.LocalAddr().(*net.UDPAddr).AddrPort(), passed(t, socket)
	serve := func(secret string) (stop func() error) {
		inherited, err := listen.Inherit([]*os.File{file})
		if err != nil {
			t.Fatal(err)
		}
		s, err := listen.New(listen.Config{
			Addrs: addrs("127.0.0.1:0"), QUIC: []netip.AddrPort{at}, Handler: handler(known), ResetSecret: []byte(secret), Idle: patience,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{authority.Certificate(t, "a.dns.contoso.net")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ListenOn(inherited); err != nil {
			t.Fatal(err)
		}
		return run(t, s)
	}
	settings := &tls.Config{RootCAs: authority.Pool, ServerName: "a.dns.contoso.net"}
	for _, row := range []struct {
		after string
		told  bool
	}{{"secret", true}, {"another", false}} {
		stop := serve("secret")
		via := newRelay(t, "127.0.0.2", at)
		conn := overQUIC(t, "127.0.0.1", via.addr(), settings)
		askStream(t, conn, query("a.example"))
		via.silence(true)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		via.moveTo(t, "127.0.0.2") // what the first server said at its end is lost with the socket
		via.silence(false)
		stop = serve(row.after)
		begin(t, conn, framed(t, query("b.example")), true)
		var gone *quic.StatelessResetError
		if row.told {
			select {
			case <-conn.Context().Done():
			case <-time.After(patience):
				t.Fatal("the client is not told that its connection is gone")
			}
			if err := context.Cause(conn.Context()); !errors.As(err, &gone) {
				t.Errorf("the connection ends with %v", err)
			}
		} else {
			askStream(t, overQUIC(t, "127.0.0.1", at, settings), query("c.example")) // the packets of the other are read by then
			if err := context.Cause(conn.Context()); errors.As(err, &gone) {
				t.Error("a server that another one could be gives away how to break its connections")
			}
			_ = conn.CloseWithError(0, "")
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}
