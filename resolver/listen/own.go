package listen

import (
	"net/netip"
	"sync"
)

// own are the sockets by which this program asks itself whether it answers. The zero
// value has none.
type own struct{ sockets sync.Map }

// Own says that a socket of this program begins to ask over UDP, or ceases to. What
// it asks is not limited, whatever else comes from its address.
func (s *Server) Own(socket netip.AddrPort, asks bool) {
	if asks {
		s.own.sockets.Store(socket, nil)
	} else {
		s.own.sockets.Delete(socket)
	}
}

// has tells whether a socket is one of them.
func (o *own) has(socket netip.AddrPort) bool {
	_, is := o.sockets.Load(netip.AddrPortFrom(socket.Addr().Unmap(), socket.Port()))
	return is
}
