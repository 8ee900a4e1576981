package selfcheck_test

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"pldns/resolver/selfcheck"
)

// Of the sockets that share an address, one that nobody reads is found out, though
// most clients are answered: by the flow that leads to it, which is asked over.
func TestStuckReader(t *testing.T) {
	t.Parallel()
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if fault := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); fault != nil {
			return fault
		}
		return err
	}}
	at := "127.0.0.1:0"
	var stuck net.PacketConn
	for i := range 4 {
		conn, err := config.ListenPacket(context.Background(), "udp4", at)
		if err != nil {
			t.Fatal(err)
		}
		at = conn.LocalAddr().String()
		if i == 2 {
			stuck = conn
			defer conn.Close()
			continue
		}
		defer conn.Close()
		go answer(conn)
	}
	listener := selfcheck.Listener{Transport: "udp", Addr: netip.MustParseAddrPort(at), Readers: 4}
	checker := checking(t, selfcheck.Config{Listeners: []selfcheck.Listener{listener}, Timeout: hasty})
	until(t, checker, listener)
	go answer(stuck)
	until(t, checker)
}

// answer refuses every query until the socket is closed.
func answer(conn net.PacketConn) {
	for room := make([]byte, 512); ; {
		n, from, err := conn.ReadFrom(room)
		if err != nil {
			return
		}
		query := new(dns.Msg)
		if query.Unpack(room[:n]) != nil {
			continue
		}
		if reply, err := new(dns.Msg).SetRcode(query, dns.RcodeRefused).Pack(); err == nil {
			_, _ = conn.WriteTo(reply, from)
		}
	}
}
