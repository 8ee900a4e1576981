package upstream

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
)

const (
	// minPort is the lowest source port of a query. Every port from here on is as
	// likely as any other (RFC 6056): 15.6 bits, whatever range the system draws
	// from by itself, and below it the services of a host have their ports.
	minPort = 16384
	// portDraws is how many ports are drawn before the system chooses one.
	portDraws = 8
	// receiveSize is the longest datagram in octets that is read; servers that
	// heed what they are told send less.
	receiveSize = 4096
	// maxForeign is how many packets with a wrong id or question one socket takes
	// before somebody is taken to be guessing. The question then goes over TCP,
	// where there is nothing to guess.
	maxForeign = 16
)

// errSuspect says that what came over UDP may be forged, and TCP should tell.
var errSuspect = errors.New("packets that are not the reply came to the port of the query")

// errRecased is an errSuspect that was the reply but for the case of its letters.
var errRecased = fmt.Errorf("%w, or the server changes the letter case of names", errSuspect)

// errNoCookie is an errSuspect that was the reply but for its cookie.
var errNoCookie = fmt.Errorf("%w, or the server forgot its cookies", errSuspect)

// askUDP asks over a socket of the stock, or over one of its own if there is no
// stock, and waits for the reply as long as ctx lasts.
func (s *server) askUDP(ctx context.Context, q resolver.Question, m manners) (*dns.Msg, error) {
	box := make(mailbox, 1)
	t := &ticket{to: box}
	if err := s.stock.send(t, q, m); err == nil {
		defer s.stock.leave()
		return s.await(ctx, t, box)
	}
	conn, err := dialUDP(s.Addr)
	if err != nil {
		return nil, s.failure(ctx, err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if !m.plain {
		local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		m.cookie = s.cookies.appendFor(nil, local.Addr(), s.now())
	}
	asked, err := writeQuery(q, m)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(asked.packet); err != nil {
		return nil, s.failure(ctx, err)
	}
	return s.receive(ctx, conn, asked)
}

// receive waits for the reply. What is not the reply is ignored, so that a broken
// or forged packet cannot end the wait (the TuDoor attack).
func (s *server) receive(ctx context.Context, conn *net.UDPConn, asked *query) (*dns.Msg, error) {
	buffer := s.buffers.Get().(*[receiveSize]byte)
	defer s.buffers.Put(buffer)
	for range maxForeign {
		n, err := conn.Read(buffer[:])
		if err != nil {
			return nil, s.failure(ctx, err)
		}
		if read, counts := s.judge(asked, buffer[:n]); counts {
			return read.msg, read.err
		}
	}
	return nil, errSuspect
}

// reading is what a packet turned out to say.
type reading struct {
	msg *dns.Msg
	err error
}

// judge reads a packet that came to the port of a query. It is changed by that.
// If the packet does not count, it is not the reply, and waiting goes on.
func (s *server) judge(asked *query, packet []byte) (read reading, counts bool) {
	found := asked.match(packet)
	if found == recased && asked.manners.sameCase {
		found = matching
	}
	switch found {
	case noQuestion:
		return reading{msg: rcodeOnly(packet)}, true
	case recased:
		return reading{err: errRecased}, true
	case matching:
		msg, err := asked.read(packet)
		if err != nil {
			return reading{err: &Failure{s.Text, Malformed, err}}, true
		}
		switch s.cookies.check(msg, asked.manners.cookie) {
		case cookieFine:
			return reading{msg: msg}, true
		case cookieMissing:
			return reading{err: errNoCookie}, true
		}
	}
	return reading{}, false
}

// rcodeOnly is the message that a packet without a question stands for.
func rcodeOnly(packet []byte) *dns.Msg {
	return &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Rcode: int(packet[3] & rcodeBits)}}
}

// dialUDP opens a socket on a port drawn at random that only hears from addr.
func dialUDP(addr netip.AddrPort) (*net.UDPConn, error) {
	var draws [2 * portDraws]byte
	_, _ = rand.Read(draws[:]) // never fails, by its documentation
	remote := net.UDPAddrFromAddrPort(addr)
	for i := 0; i < len(draws); i += 2 {
		port := binary.BigEndian.Uint16(draws[i:])
		if port < minPort {
			continue
		}
		if conn, err := net.DialUDP("udp", &net.UDPAddr{Port: int(port)}, remote); err == nil {
			return conn, nil
		}
	}
	return net.DialUDP("udp", nil, remote)
}
