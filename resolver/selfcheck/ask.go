package selfcheck

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/ask"
	"pldns/zones"
)

// errUnasked is a question that did not leave this side: there is no free file
// descriptor or port, or the address has been taken off its interface.
var errUnasked = errors.New("the question could not be sent")

// proxyHeader is the header of the PROXY protocol, version 2, before what a proxy
// asks for itself.
const proxyHeader = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"

// open makes a way to a listener.
func (c *Checker) open(ctx context.Context, l Listener) (flow, error) {
	to := l.Addr
	if to.Addr().IsUnspecified() {
		loopback := netip.IPv6Loopback()
		if to.Addr().Is4() {
			loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		to = netip.AddrPortFrom(loopback, to.Port())
	}
	var header []byte
	if c.config.Proxied(to.Addr()) {
		header = []byte(proxyHeader)
	}
	if l.Transport != resolver.OverUDP {
		// Whether the certificate is the right one is for clients to say, who know the name
		// that they ask for.
		trusting := &tls.Config{InsecureSkipVerify: true}
		return &connecting{c, ask.Way{
			Transport: l.Transport, To: to, From: to.Addr(), Header: header, TLS: trusting, Path: zones.DoHPath,
			Own: c.config.Own,
		}}, nil
	}
	// From the address itself: if that has been taken off its interface, the question
	// must not go to whoever has it now.
	dialer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(to.Addr(), 0))}
	conn, err := dialer.DialContext(ctx, "udp", to.String())
	if err != nil {
		return nil, errUnasked
	}
	c.config.Own(conn.LocalAddr().(*net.UDPAddr).AddrPort(), true)
	return &packets{c, conn, header}, nil
}

// question is a query with an id of its own.
func (c *Checker) question() (id uint16, packed []byte, err error) {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(c.config.Name), dns.TypeA)
	query.Id = uint16(rand.Uint32())
	packed, err = query.Pack()
	return query.Id, packed, err
}

// answers tells whether a message is a reply to a query.
func answers(message []byte, id uint16) bool {
	return len(message) >= 12 && binary.BigEndian.Uint16(message) == id && message[2]&0x80 != 0
}

// packets is a socket that asks over UDP.
type packets struct {
	c      *Checker
	conn   net.Conn
	header []byte
}

func (p *packets) ask(ctx context.Context) error {
	id, query, err := p.c.question()
	if err != nil {
		return err
	}
	_ = p.conn.SetDeadline(time.Now().Add(p.c.config.Timeout))
	hurry := context.AfterFunc(ctx, func() { _ = p.conn.SetDeadline(time.Unix(1, 0)) })
	defer hurry()
	if _, err := p.conn.Write(slices.Concat(p.header, query)); err != nil {
		return judge(ctx, err)
	}
	for room := make([]byte, 512); ; {
		n, err := p.conn.Read(room)
		switch {
		case err != nil:
			return judge(ctx, err)
		case answers(room[:n], id):
			return nil
		}
	}
}

func (p *packets) close() {
	p.c.config.Own(p.conn.LocalAddr().(*net.UDPAddr).AddrPort(), false)
	p.conn.Close()
}

// connecting asks on a new connection each time: that those which are open are answered
// does not show that others are taken in.
type connecting struct {
	c   *Checker
	way ask.Way
}

func (*connecting) close() {}

// ask ends with anything that comes back.
func (f *connecting) ask(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, f.c.config.Timeout)
	defer cancel()
	_, query, err := f.c.question()
	if err != nil {
		return err
	}
	conn, err := f.way.Open(within)
	if err != nil {
		return judge(ctx, err)
	}
	defer conn.Close()
	_, err = conn.Ask(within, query)
	return judge(ctx, err)
}

// judge makes of an error what it says of the listener: an error if nothing came,
// nil if something did. A connection that is closed at once, because there are too
// many, or a handshake that is refused, came from somebody who is awake.
func judge(ctx context.Context, err error) error {
	var late interface{ Timeout() bool }
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errUnasked
	case errors.Is(err, syscall.ECONNREFUSED), errors.As(err, &late) && late.Timeout():
		return err
	}
	for _, here := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE,
		syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EAFNOSUPPORT, syscall.EPERM, syscall.EACCES,
	} {
		if errors.Is(err, here) {
			return errUnasked
		}
	}
	return nil
}
