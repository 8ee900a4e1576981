package listen

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
)

// Inherited are sockets that were opened before the program began, by a service
// manager such as systemd (sd_listen_fds(3)). They take the place of those that
// would be opened for the same addresses. Because they outlive the program, queries
// wait in them while it is replaced. Nil has none. Not for use by several goroutines at once.
type Inherited struct{ sockets []*inherited }

// inherited is one passed socket.
type inherited struct {
	file      *os.File
	transport string // tcp or udp
	addr      netip.AddrPort
	taken     bool
}

// Inherit takes passed sockets over; their files are named after the unit or as it
// says (FileDescriptorName=). If one of them cannot be served, none is kept.
func Inherit(files []*os.File) (*Inherited, error) {
	i := &Inherited{}
	var faults []error
	for _, file := range files {
		socket, err := inherit(file)
		if err != nil {
			file.Close()
			faults = append(faults, fmt.Errorf("the socket %q that the service manager passes: %w", file.Name(), err))
			continue
		}
		i.sockets = append(i.sockets, socket)
	}
	if len(faults) > 0 {
		i.Close()
		return nil, errors.Join(faults...)
	}
	return i, nil
}

// inherit finds out what a passed socket is.
func inherit(file *os.File) (*inherited, error) {
	conn, err := net.FileConn(file)
	if err == nil { // only what is connected has an address at the other end
		defer conn.Close()
		if conn.RemoteAddr() != nil {
			return nil, errors.New("it is a connection: set Accept=no in the socket unit")
		}
	}
	if listener, err := net.FileListener(file); err == nil {
		defer listener.Close()
		if at, is := listener.Addr().(*net.TCPAddr); is {
			return newInherited(file, tcp, at.AddrPort())
		}
	} else if packets, err := net.FilePacketConn(file); err == nil {
		defer packets.Close()
		if at, is := packets.LocalAddr().(*net.UDPAddr); is {
			return newInherited(file, udp, at.AddrPort())
		}
	}
	return nil, errors.New("it is neither a UDP nor a TCP socket: the socket unit may have ListenDatagram= and " +
		"ListenStream= with an address and a port")
}

// newInherited refuses the one kind of socket that hides who asks.
func newInherited(file *os.File, transport string, at netip.AddrPort) (*inherited, error) {
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if at.Addr() == netip.IPv6Unspecified() && takesIPv4(file) {
		return nil, fmt.Errorf("it takes IPv4 in at %s (%s): set BindIPv6Only=ipv6-only in the socket unit, and name 0.0.0.0:%d besides",
			at, transport, at.Port())
	}
	return &inherited{file: file, transport: transport, addr: at}, nil
}

// take gives the sockets for an address, to be used.
func (i *Inherited) take(transport string, addr netip.AddrPort) []*os.File {
	if i == nil {
		return nil
	}
	var files []*os.File
	for _, socket := range i.sockets {
		if socket.transport == transport && socket.addr == addr {
			socket.taken = true
			files = append(files, socket.file)
		}
	}
	return files
}

// Listener gives the listener for an address at which something else than DNS is
// served, nil if none was passed. It is an error if what was passed is no listener.
func (i *Inherited) Listener(addr netip.AddrPort) (net.Listener, error) {
	files := i.take(tcp, addr)
	if len(files) == 0 {
		return nil, nil
	}
	return net.FileListener(files[0])
}

// has tells whether there is a socket for an address.
func (i *Inherited) has(transport string, addr netip.AddrPort) bool {
	return i != nil && slices.ContainsFunc(i.sockets, func(s *inherited) bool { return s.transport == transport && s.addr == addr })
}

// check tells which sockets are for none of these addresses, and not taken either.
func (i *Inherited) check(packets, streams []netip.AddrPort) error {
	if i == nil {
		return nil
	}
	wanted := map[string][]netip.AddrPort{
		udp: slices.Concat(groups(packets)...),
		tcp: slices.Concat(groups(streams)...),
	}
	var faults []error
	for _, socket := range i.sockets {
		if socket.taken || slices.Contains(wanted[socket.transport], socket.addr) {
			continue
		}
		option := map[string]string{udp: "ListenDatagram", tcp: "ListenStream"}[socket.transport]
		faults = append(faults, fmt.Errorf("the service manager passes a socket for %s (%s), which is no address in [listen]: "+
			"add it there, or take %s=%s out of the socket unit", socket.addr, socket.transport, option, socket.addr))
	}
	return errors.Join(faults...)
}

// Close lets go of the sockets. What is used of them stays open.
func (i *Inherited) Close() {
	if i == nil {
		return
	}
	for _, socket := range i.sockets {
		socket.file.Close()
	}
}

// adoptUDP makes passed sockets for one address those of its readers. Several of
// them (ReusePort=yes) have readers of their own; one is read by all.
func adoptUDP(files []*os.File, addr netip.AddrPort, readers int) ([]*udpSocket, error) {
	var adopted []*udpSocket
	for i := range max(readers, len(files)) {
		opened, err := net.FilePacketConn(files[i%len(files)])
		if err != nil {
			return adopted, err
		}
		u, err := newUDPSocket(opened.(*net.UDPConn), addr.Addr())
		if err != nil {
			return adopted, err
		}
		adopted = append(adopted, u)
	}
	return adopted, nil
}

// adoptTCP makes passed sockets for one address listeners.
func adoptTCP(files []*os.File) ([]*net.TCPListener, error) {
	var adopted []*net.TCPListener
	for _, file := range files {
		opened, err := net.FileListener(file)
		if err != nil {
			return adopted, err
		}
		adopted = append(adopted, opened.(*net.TCPListener))
	}
	return adopted, nil
}

// Addrs are the addresses of the sockets, each once, in order.
func (i *Inherited) Addrs() []netip.AddrPort {
	if i == nil {
		return nil
	}
	var addrs []netip.AddrPort
	for _, socket := range i.sockets {
		addrs = append(addrs, socket.addr)
	}
	slices.SortFunc(addrs, func(a, b netip.AddrPort) int { return cmp.Or(a.Addr().Compare(b.Addr()), int(a.Port())-int(b.Port())) })
	return slices.Compact(addrs)
}
