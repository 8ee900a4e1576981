package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// quicFromEurope opens a connection over QUIC from a client of all the networks, and gives
// what closes it.
func (b behindIngresses) quicFromEurope(to netip.AddrPort, config *tls.Config) (*quic.Conn, func(), error) {
	b.tb.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(europe)})
	if err != nil {
		b.tb.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket}
	var conn *quic.Conn
	end := func() {
		if conn != nil {
			_ = conn.CloseWithError(0, "") // or the server keeps it for a while
		}
		transport.Close()
		socket.Close()
	}
	ctx, cancel := context.WithTimeout(b.tb.Context(), 20*time.Second)
	defer cancel()
	conn, err = transport.Dial(ctx, net.UDPAddrFromAddrPort(to), config, nil)
	return conn, end, err
}

// overQUIC asks over DNS over QUIC.
func (b behindIngresses) overQUIC(config *tls.Config) string {
	b.tb.Helper()
	config.NextProtos = []string{"doq"}
	conn, end, err := b.quicFromEurope(b.doq, config)
	defer end()
	if err != nil {
		return "failed"
	}
	return last(askStream(b.tb.Context(), conn))
}

// askStream asks on a stream of its own (RFC 9250 section 4.2).
func askStream(ctx context.Context, conn *quic.Conn) (*dns.Msg, error) {
	query := mydb()
	query.Id = 0
	wire, err := query.Pack()
	if err != nil {
		return nil, err
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	_ = stream.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := stream.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)); err != nil {
		return nil, err
	}
	_ = stream.Close() // an error where the reply is there already
	framed, err := io.ReadAll(stream)
	if err != nil {
		return nil, err
	}
	reply := new(dns.Msg)
	return reply, reply.Unpack(framed[min(2, len(framed)):])
}

// overHTTP3 asks over DNS over HTTPS by HTTP/3.
func (b behindIngresses) overHTTP3(config *tls.Config, url string) string {
	b.tb.Helper()
	transport := &http3.Transport{TLSClientConfig: config}
	end := func() {}
	transport.Dial = func(_ context.Context, _ string, config *tls.Config, _ *quic.Config) (conn *quic.Conn, err error) {
		conn, end, err = b.quicFromEurope(b.h3, config)
		return conn, err
	}
	defer func() { end() }()
	defer transport.Close()
	return b.post(transport, url)
}
