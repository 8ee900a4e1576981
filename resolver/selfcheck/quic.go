package selfcheck

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// quicFlow asks over a new connection of QUIC each time: that those which are open are
// answered does not show that others are taken in.
type quicFlow struct {
	c         *Checker
	transport string // doq or h3, which are also the names of the protocols in TLS
	to        netip.AddrPort
}

func (*quicFlow) close() {}

func (q *quicFlow) ask(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, q.c.config.Timeout)
	defer cancel()
	// From the address itself, as over UDP.
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(q.to.Addr(), 0)))
	if err != nil {
		return judge(ctx, err)
	}
	defer socket.Close()
	transport := &quic.Transport{Conn: socket}
	defer transport.Close()
	secure := trusting()
	secure.NextProtos = []string{q.transport}
	conn, err := transport.Dial(within, net.UDPAddrFromAddrPort(q.to), secure, &quic.Config{HandshakeIdleTimeout: q.c.config.Timeout})
	if err != nil {
		return judge(ctx, err)
	}
	if q.transport == "doq" {
		err = q.c.askQUIC(within, conn)
		_ = conn.CloseWithError(0, "")
	} else {
		err = q.c.askHTTP3(within, conn, q.to)
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	}
	return judge(ctx, err)
}

// askQUIC asks over DNS over QUIC (RFC 9250), and ends with any reply.
func (c *Checker) askQUIC(ctx context.Context, conn *quic.Conn) error {
	_, query, err := c.question()
	if err != nil {
		return err
	}
	query[0], query[1] = 0, 0
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	_ = stream.SetDeadline(deadline)
	hurry := context.AfterFunc(ctx, func() { _ = stream.SetDeadline(time.Unix(1, 0)) })
	defer hurry()
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(query)))
	if _, err := stream.Write(append(framed, query...)); err != nil {
		return err
	}
	if err := stream.Close(); err != nil {
		return err
	}
	_, err = io.ReadFull(stream, framed[:2])
	return err
}

// askHTTP3 asks over HTTP/3 (RFC 8484), and ends with any response.
func (c *Checker) askHTTP3(ctx context.Context, conn *quic.Conn, to netip.AddrPort) error {
	_, query, err := c.question()
	if err != nil {
		return err
	}
	transport := &http3.Transport{
		Dial: func(context.Context, string, *tls.Config, *quic.Config) (*quic.Conn, error) { return conn, nil },
	}
	defer transport.Close()
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
