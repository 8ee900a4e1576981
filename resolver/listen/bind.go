package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"pldns/resolver/udpio"
)

const (
	// portAttempts is how often a free port is drawn until UDP and TCP of every
	// family have it.
	portAttempts = 100
	// socketBuffer is the room asked for packets that wait to be read, in octets.
	// The system may give less; a burst beyond it is dropped there.
	socketBuffer = 4 << 20
)

// sockets are what a Server is reached by.
type sockets struct {
	udp   []*udpSocket
	tcp   []streamListener
	quic  []*quicSocket
	addrs []netip.AddrPort
}

// streamListener takes connections in for what is spoken over them.
type streamListener struct {
	*net.TCPListener
	transport string
	alternate bool // HTTP/3 is spoken at the same port
}

// binder opens sockets.
type binder struct {
	readers   int        // of each UDP address; without any there is no plain UDP
	inherited *Inherited // takes the place of what would be opened
	quic      string     // what is spoken over QUIC; empty for nothing
	noTCP     bool
}

// bindSecure opens the sockets of a secure transport for addrs, as bind does: TCP for
// those that are streams, UDP for QUIC, both for HTTPS with HTTP/3.
func (b binder) bindSecure(addrs []netip.AddrPort, transport string, http3 bool) (bound sockets, missing6 bool, err error) {
	b.readers = 0
	switch {
	case transport == doq:
		b.quic, b.noTCP = doq, true
	case transport == doh && http3:
		b.quic = h3
	}
	bound, missing6, err = b.bind(addrs)
	for i := range bound.tcp {
		bound.tcp[i].transport = transport
	}
	return bound, missing6, err
}

// close closes everything. What has been closed before does not matter.
func (s *sockets) close() {
	for _, u := range s.udp {
		u.conn.Close()
	}
	for _, l := range s.tcp {
		l.Close()
	}
	for _, q := range s.quic {
		q.close()
	}
}

// bind opens UDP and TCP sockets for addrs, or none and says which address is
// at fault. Where the host has no IPv6, "[::]" means IPv4 only and missing6 is true.
func (b binder) bind(addrs []netip.AddrPort) (bound sockets, missing6 bool, err error) {
	for _, group := range groups(addrs) {
		part, without6, err := b.bindGroup(group)
		if err != nil {
			bound.close()
			return sockets{}, false, err
		}
		bound.udp = append(bound.udp, part.udp...)
		bound.tcp = append(bound.tcp, part.tcp...)
		bound.quic = append(bound.quic, part.quic...)
		bound.addrs = append(bound.addrs, part.addrs...)
		missing6 = missing6 || without6
	}
	return bound, missing6, nil
}

// groups gives the addresses to bind; those of one group share their port.
// "[::]" stands for every local address of both families. An address that
// another one covers needs no socket: who was asked is known anyway.
func groups(addrs []netip.AddrPort) [][]netip.AddrPort {
	var wild, all [][]netip.AddrPort
	covered := make(map[netip.AddrPort]bool)
	add := func(to *[][]netip.AddrPort, group ...netip.AddrPort) {
		group = slices.DeleteFunc(group, func(a netip.AddrPort) bool { return covered[a] })
		for _, a := range group {
			covered[a] = a.Port() != 0
		}
		if len(group) > 0 {
			*to = append(*to, group)
		}
	}
	for _, a := range addrs {
		switch a.Addr() {
		case netip.IPv4Unspecified():
			add(&wild, a)
		case netip.IPv6Unspecified():
			add(&wild, netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port()), a)
		}
	}
	for _, a := range addrs {
		if addr := a.Addr(); !addr.IsUnspecified() && !covered[netip.AddrPortFrom(unspecified(addr), a.Port())] {
			add(&all, a)
		}
	}
	return append(wild, all...)
}

// unspecified is the wildcard address of the family of addr.
func unspecified(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// bindGroup binds the addresses of one group. For port 0 it draws ports until
// one is free everywhere.
func (b binder) bindGroup(group []netip.AddrPort) (bound sockets, missing6 bool, err error) {
	attempts := 1
	if group[0].Port() == 0 {
		attempts = portAttempts
	}
	for range attempts {
		bound, missing6, err = b.bindOnce(group)
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return bound, missing6, err
}

// bindOnce binds the addresses of one group to its port, or to the one that the
// system gives to the first of them.
func (b binder) bindOnce(group []netip.AddrPort) (bound sockets, missing6 bool, err error) {
	port := group[0].Port()
	for _, a := range group {
		part, err := b.bindAddr(netip.AddrPortFrom(a.Addr(), port))
		if a.Addr() == netip.IPv6Unspecified() && noIPv6(err) {
			missing6 = true
			continue
		}
		if err != nil {
			bound.close()
			return sockets{}, false, err
		}
		port = part.addrs[0].Port()
		bound.udp = append(bound.udp, part.udp...)
		bound.tcp = append(bound.tcp, part.tcp...)
		bound.quic = append(bound.quic, part.quic...)
		bound.addrs = append(bound.addrs, part.addrs...)
	}
	return bound, missing6, nil
}

// bindAddr binds one address: UDP (if anybody reads it), TCP and QUIC on the same port.
func (b binder) bindAddr(addr netip.AddrPort) (sockets, error) {
	var bound sockets
	local := addr
	if b.readers > 0 {
		var err error
		if bound.udp, err = b.openUDP(addr); err != nil {
			bound.close()
			return sockets{}, bindError("udp", addr, err)
		}
		local = bound.udp[0].local
	}
	if !b.noTCP {
		opened, err := b.openTCP(local)
		for _, listener := range opened {
			bound.tcp = append(bound.tcp, streamListener{TCPListener: listener, transport: tcp})
		}
		if err != nil {
			bound.close()
			return sockets{}, bindError("tcp", local, err)
		}
		local = netip.AddrPortFrom(local.Addr(), opened[0].Addr().(*net.TCPAddr).AddrPort().Port())
	}
	local, err := b.addQUIC(&bound, local)
	if err != nil {
		bound.close()
		return sockets{}, err
	}
	bound.addrs = []netip.AddrPort{local}
	return bound, nil
}

// openUDP opens the sockets of the readers of an address, unless they are there.
func (b binder) openUDP(addr netip.AddrPort) (opened []*udpSocket, err error) {
	if files := b.inherited.take(udp, addr); len(files) > 0 {
		opened, err = adoptUDP(files, addr, b.readers)
	} else {
		opened, err = bindShared(addr, b.readers)
	}
	if err == nil {
		spread := newSpread(opened)
		for _, u := range opened {
			u.spread = spread
		}
	}
	return opened, err
}

// openTCP opens a listener, unless some are there.
func (b binder) openTCP(addr netip.AddrPort) ([]*net.TCPListener, error) {
	if files := b.inherited.take(tcp, addr); len(files) > 0 {
		return adoptTCP(files)
	}
	opened, err := bindTCP(addr)
	if err != nil {
		return nil, err
	}
	return []*net.TCPListener{opened}, nil
}

// bindUDP opens a UDP socket of one family, so that no address ever appears
// mapped into the other. The config may change the socket before it is bound.
func bindUDP(addr netip.AddrPort, config net.ListenConfig) (*udpSocket, error) {
	opened, err := config.ListenPacket(context.Background(), "udp"+family(addr), addr.String())
	if err != nil {
		return nil, err
	}
	return newUDPSocket(opened.(*net.UDPConn), addr.Addr())
}

// newUDPSocket makes ready what is bound to an address, or closes it.
func newUDPSocket(conn *net.UDPConn, addr netip.Addr) (*udpSocket, error) {
	port := conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	u := &udpSocket{local: netip.AddrPortFrom(addr, port), wildcard: addr.IsUnspecified(), readers: 1}
	if u.wildcard {
		if err := udpio.EnablePacketInfo(conn, addr.Is6()); err != nil {
			conn.Close()
			return nil, fmt.Errorf("this system does not tell which address a packet was sent to (%w): "+
				"name each address of this host instead of all", err)
		}
	}
	_ = conn.SetReadBuffer(socketBuffer) // a wish
	udpio.NeverFragment(conn, addr.Is6())
	return u, u.takeOver(conn)
}

// bindTCP opens a TCP socket of one family.
func bindTCP(addr netip.AddrPort) (*net.TCPListener, error) {
	var config net.ListenConfig
	opened, err := config.Listen(context.Background(), "tcp"+family(addr), addr.String())
	if err != nil {
		return nil, err
	}
	return opened.(*net.TCPListener), nil
}

// family is the suffix of package net's names for networks of one family.
func family(addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return "4"
	}
	return "6"
}

// noIPv6 tells whether binding "::" failed because the host has no IPv6.
func noIPv6(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// bindError names the address and says what to do.
func bindError(transport string, addr netip.AddrPort, err error) error {
	err = fmt.Errorf("listen on %s (%s): %w", addr, transport, withoutAddress(err))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: stop the service that has it (on port 53 usually systemd-resolved or dnsmasq; "+
			"see `ss -lnptu sport = :%d`), or listen on another address", err, addr.Port())
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		// Container engines give an added capability to root alone; the program runs as somebody else.
		return fmt.Errorf("%w: ports below 1024, such as 53, need the capability CAP_NET_BIND_SERVICE: "+
			"give it to the program (`setcap cap_net_bind_service=+ep`) "+
			"or to its systemd unit (AmbientCapabilities=), or have systemd pass the socket; "+
			"in a container that has not root for its user, allow the ports: `--sysctl net.ipv4.ip_unprivileged_port_start=0`, "+
			"or with the network of the host `sysctl -w "+
			"net.ipv4.ip_unprivileged_port_start=53` there; or listen on a port from 1024", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: no interface of this host has the address; correct it, or add it to an interface first", err)
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return fmt.Errorf("%w: this host has no IPv%s; listen on an address of the other family", err, family(addr))
	}
	return err
}

// withoutAddress takes off what package net puts around the error of the system,
// which repeats the address.
func withoutAddress(err error) error {
	var call *net.OpError
	if errors.As(err, &call) {
		return call.Err
	}
	return err
}
