package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
)

// Page is where a browser on this machine finds the status page; empty where there is none.
// It is known once the listeners are open.
func (s *Server) Page() string {
	addr := s.AdminAddr()
	if !addr.IsValid() {
		return ""
	}
	host := addr.Addr()
	switch host {
	case netip.IPv4Unspecified():
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case netip.IPv6Unspecified(): // of both families
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return fmt.Sprintf("http://%s/", netip.AddrPortFrom(host.Unmap(), addr.Port()))
}

// listenNear opens an address or, where its port is taken, a free one beside it.
func listenNear(addr netip.AddrPort, log *slog.Logger) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr.String())
	if !errors.Is(err, syscall.EADDRINUSE) {
		return listener, err
	}
	if listener, err = net.Listen("tcp", netip.AddrPortFrom(addr.Addr(), 0).String()); err != nil {
		return nil, err
	}
	log.Warn("the admin address is taken by another program, and a free port is used", "taken", addr, "used", listener.Addr())
	return listener, nil
}
