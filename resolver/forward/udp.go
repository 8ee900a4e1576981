package forward

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
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
	// listenUnknown is how long a better reply than a doubtful one is waited for as
	// long as it is not known how long the server usually takes.
	listenUnknown = 100 * time.Millisecond
	// shownFor is how long a server that has shown EDNS is known to understand
	// queries, so that a reply without a question cannot be its own.
	shownFor = 10 * time.Minute
)

// errSuspect says that what came over UDP may be forged, and TCP should tell.
var errSuspect = errors.New("packets that are not the reply came to the port of the query")

// errNoSocket says that a query needs a socket of its own.
var errNoSocket = errors.New("no socket of the pool can be had")

// errRecased is an errSuspect that was the reply but for the case of its letters.
var errRecased = fmt.Errorf("%w, or the server changes the letter case of names", errSuspect)

// errNoCookie is an errSuspect that was the reply but for its cookie.
var errNoCookie = fmt.Errorf("%w, or the server forgot its cookies", errSuspect)

// accept reads a packet whose id and question are right.
func (s *server) accept(asked *query, packet []byte, now time.Time) (reading, certainty) {
	r, found, err := asked.read(packet)
	if err != nil {
		return reading{err: &Failure{s.Text, Malformed, err}}, doubtful
	}
	switch s.cookies.check(found, asked.sent) {
	case cookieWrong:
		return reading{}, stray
	case cookieMissing:
		return reading{err: errNoCookie}, doubtful
	case cookieBack:
		s.learned.show(noCookie, now)
	}
	if found.shown {
		s.learned.show(noEDNS, now)
	}
	if asked.mixed {
		s.learned.show(sameCase, now)
	}
	if r.truncated() {
		return r, doubtful
	}
	return r, certain
}

// rcodeOnly is the message that a packet without a question stands for.
func rcodeOnly(packet []byte) *dns.Msg {
	return &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Rcode: int(wire.Flags(packet) & wire.Rcodes)}}
}

// ownSocket is a socket for one query, where there is no socket pool.
type ownSocket struct {
	server *server
	conn   *net.UDPConn

	mu      sync.Mutex
	pending *pendingQuery // nil when nobody waits
}

// sendAlone sends a query over a socket of its own.
func (s *server) sendAlone(p *pendingQuery, q resolver.Question, o queryOptions) error {
	conn, err := dialUDP(s.Addr)
	if err != nil {
		return &Failure{s.Text, Unreachable, err}
	}
	var cookie []byte
	if !o.noEDNS {
		local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		cookie = s.cookies.appendFor(p.cookie[:0], local.Addr(), o.noCookie, time.Now())
	}
	err = p.write(q, o, cookie, make([]byte, querySize))
	if err == nil {
		if _, err = conn.Write(p.packet); err != nil {
			err = &Failure{s.Text, Unreachable, err}
		}
	}
	if err != nil {
		_ = conn.Close()
		return err
	}
	own := &ownSocket{server: s, conn: conn, pending: p}
	p.over = own
	s.alone.add()
	go own.read() // ends with the query; close waits for it
	return nil
}

// read reads packets until one is the reply.
func (o *ownSocket) read() {
	defer o.server.alone.done()
	defer func() { _ = o.conn.Close() }()
	buffer := o.server.buffers.Get().(*[receiveSize]byte)
	defer o.server.buffers.Put(buffer)
	for {
		n, err := o.conn.Read(buffer[:])
		p, r := o.receive(buffer[:n], err)
		if !r.empty() {
			p.told(r)
		}
		if p == nil || !r.empty() {
			return
		}
	}
}

// receive takes a packet, or what is wrong with the socket, for the query that waits
// here: it gives that, and what it is to be told, if anything.
func (o *ownSocket) receive(packet []byte, err error) (p *pendingQuery, r reading) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p = o.pending
	if p == nil {
		return nil, reading{}
	}
	if err != nil {
		r = reading{err: &Failure{o.server.Text, Unreachable, err}}
	} else {
		worth := stray
		if r, worth = o.server.hear(p, p.match(packet), packet, time.Now()); worth == stray {
			if p.strays++; p.strays >= maxForeign {
				r.err = errSuspect
			}
		}
	}
	if !r.empty() {
		o.pending = nil
	}
	return p, r
}

// hear takes a packet that came to the port of a pending query, what it is to that, and
// gives what the query is to be told; nothing if it goes on waiting. The packet is changed
// by that. What is not the reply does not end the wait, so that a broken or forged
// packet cannot either (the TuDoor attack); nor does at once what is wrong with the
// reply in a way that a forger would rather have than the right one.
func (s *server) hear(p *pendingQuery, found verdict, packet []byte, now time.Time) (r reading, worth certainty) {
	defer func() {
		if fault := recover(); fault != nil {
			s.pool.panicked(fault, debug.Stack())
			r, worth = reading{err: errFault}, certain
		}
	}()
	if p.isTapped() {
		as := bytes.Clone(packet)
		defer func() {
			if worth != stray {
				p.answered(as, now)
			}
		}()
	}
	switch {
	case found == matching, found == recased && p.options.sameCase:
		r, worth = s.accept(&p.query, packet, now)
	case found == recased:
		r, worth = reading{err: errRecased}, doubtful
	case found == noQuestion && !s.learned.shownWithin(noEDNS, shownFor, now):
		r, worth = reading{msg: rcodeOnly(packet)}, doubtful
	}
	if worth == doubtful && now.Before(p.listen) {
		p.suspects(r)
		r = reading{}
	}
	return r, worth
}

func (o *ownSocket) withdraw(*pendingQuery) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.pending != nil
	o.pending = nil
	_ = o.conn.SetReadDeadline(time.Unix(1, 0)) // the reader closes it
	return was
}

func (o *ownSocket) settleFor(p *pendingQuery) (reading, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending == nil || !p.doubted() {
		return reading{}, false
	}
	o.pending = nil
	_ = o.conn.SetReadDeadline(time.Unix(1, 0))
	return p.doubt, true
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
