package resolvertest

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Relay passes datagrams between clients and one server, as a NAT does, and forgets as told.
// Its methods may be called by many goroutines at once.
type Relay struct {
	// Addr is where it takes datagrams for the server.
	Addr netip.AddrPort

	server  netip.AddrPort
	front   *net.UDPConn
	running sync.WaitGroup

	mu     sync.Mutex
	flows  map[netip.AddrPort]*net.UDPConn // by the address of the client; nil for one that is cut off
	closed bool
}

// StartRelay starts a relay to a server, which ends with the test.
func StartRelay(tb testing.TB, server netip.AddrPort) *Relay {
	tb.Helper()
	front, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		tb.Fatalf("start a relay: %v", err)
	}
	r := &Relay{Addr: addrPort(front.LocalAddr()), server: server, front: front, flows: make(map[netip.AddrPort]*net.UDPConn)}
	r.running.Go(r.serve)
	tb.Cleanup(func() {
		r.mu.Lock()
		r.closed = true
		_ = front.Close()
		r.mu.Unlock()
		r.Rebind()
		r.running.Wait()
	})
	return r
}

// Clients is how many clients it has seen.
func (r *Relay) Clients() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.flows)
}

// CutOff drops what the clients seen so far send and are sent, without a word to anybody.
func (r *Relay) CutOff() { r.each(func(client netip.AddrPort) { r.flows[client] = nil }) }

// Rebind has the server see the clients at other ports than before.
func (r *Relay) Rebind() { r.each(func(client netip.AddrPort) { delete(r.flows, client) }) }

// each does something with each client, whose port is closed.
func (r *Relay) each(do func(client netip.AddrPort)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for client, back := range r.flows {
		if back != nil {
			_ = back.Close()
			do(client)
		}
	}
}

// serve passes on what clients send.
func (r *Relay) serve() {
	packet := make([]byte, dns.MaxMsgSize)
	for {
		n, client, err := r.front.ReadFromUDPAddrPort(packet)
		if err != nil {
			return
		}
		if back := r.flow(client); back != nil {
			_, _ = back.Write(packet[:n])
		}
	}
}

// flow is the port towards the server of a client; nil if it is cut off.
func (r *Relay) flow(client netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	back, known := r.flows[client]
	if known || r.closed {
		return back
	}
	back, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(r.server))
	if err != nil {
		return nil
	}
	r.flows[client] = back
	r.running.Go(func() {
		packet := make([]byte, dns.MaxMsgSize)
		for {
			n, err := back.Read(packet)
			if err != nil {
				return
			}
			_, _ = r.front.WriteToUDPAddrPort(packet[:n], client)
		}
	})
	return back
}
