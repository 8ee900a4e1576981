package selfcheck

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/miekg/dns"
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
	if l.Transport == "doq" || l.Transport == "h3" {
		return &quicFlow{c, l.Transport, to}, nil
	}
	if l.Transport != "udp" {
		return &stream{c, l.Transport, to, header}, nil
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

// stream asks on a new connection each time, since what matters is also whether
// connections are taken in.
type stream struct {
	c         *Checker
	transport string
	to        netip.AddrPort
	header    []byte
}

func (*stream) close() {}

func (s *stream) ask(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, s.c.config.Timeout)
	defer cancel()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.to.Addr(), 0))}
	conn, err := dialer.DialContext(within, "tcp", s.to.String())
	if err != nil {
		return judge(ctx, err)
	}
	defer conn.Close()
	deadline, _ := within.Deadline()
	_ = conn.SetDeadline(deadline)
	hurry := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer hurry()
	if _, err := conn.Write(s.header); err != nil {
		return judge(ctx, err)
	}
	if s.transport == "https" {
		return judge(ctx, s.c.askWeb(within, conn, s.to))
	}
	if s.transport == "tls" {
		return judge(ctx, s.c.askStream(tls.Client(conn, trusting())))
	}
	return judge(ctx, s.c.askStream(conn))
}

// trusting are settings that take any certificate: whether it is the right one is
// for clients to say, who know the name that they ask for.
func trusting() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// askStream asks over a stream (RFC 1035 section 4.2.2), and ends with any reply.
func (c *Checker) askStream(conn net.Conn) error {
	_, query, err := c.question()
	if err != nil {
		return err
	}
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(query)))
	if _, err := conn.Write(append(framed, query...)); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, framed[:2])
	return err
}

// askWeb asks over HTTPS (RFC 8484), and ends with any response.
func (c *Checker) askWeb(ctx context.Context, conn net.Conn, to netip.AddrPort) error {
	_, query, err := c.question()
	if err != nil {
		return err
	}
	transport := &http.Transport{
		DialTLSContext:    func(context.Context, string, string) (net.Conn, error) { return tls.Client(conn, trusting()), nil },
		DisableKeepAlives: true,
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		"https://"+to.String()+"/dns-query?dns="+base64.RawURLEncoding.EncodeToString(query), nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err == nil {
		response.Body.Close()
	}
	return err
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
