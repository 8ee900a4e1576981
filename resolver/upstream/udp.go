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

// askUDP asks over a socket of its own and waits for the reply as long as ctx
// lasts. What is not the reply is ignored, so that a broken or forged packet
// cannot end the wait (the TuDoor attack).
func (s *server) askUDP(ctx context.Context, q resolver.Question, m manners) (*dns.Msg, error) {
	conn, err := dialUDP(s.Addr)
	if err != nil {
		return nil, s.failure(ctx, err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if !m.plain {
		local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		m.cookie = s.cookies.forQuery(local.Addr(), s.now())
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

// receive waits for the reply.
func (s *server) receive(ctx context.Context, conn *net.UDPConn, asked *query) (*dns.Msg, error) {
	buffer := s.buffers.Get().(*[receiveSize]byte)
	defer s.buffers.Put(buffer)
	for range maxForeign {
		n, err := conn.Read(buffer[:])
		if err != nil {
			return nil, s.failure(ctx, err)
		}
		found := asked.match(buffer[:n])
		if found == recased && asked.manners.sameCase {
			found = matching
		}
		switch found {
		case noQuestion:
			return rcodeOnly(buffer[:n]), nil
		case recased:
			return nil, errRecased
		case matching:
			msg, err := asked.read(append([]byte(nil), buffer[:n]...))
			if err != nil {
				return nil, &Failure{s.Text, Malformed, err}
			}
			switch s.cookies.check(msg, asked.manners.cookie) {
			case cookieFine:
				return msg, nil
			case cookieMissing:
				return nil, errNoCookie
			}
		}
	}
	return nil, errSuspect
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
