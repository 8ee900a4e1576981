package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"

	"github.com/pires/go-proxyproto"
	"golang.org/x/sync/errgroup"
)

// azureTLV is the type of the PROXY protocol's field that Azure adds, and
// linkID the kind of what is in it: the id of the connection of a private endpoint,
// four octets, the lowest first.
const (
	azureTLV = 0xEE
	linkID   = 0x01
)

// link is a private endpoint of somebody's Private Link Service: what connects to
// it comes out on the other side, from another address. With a link id the service
// has the PROXY protocol switched on, and says first who came, and over which link.
func link(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	listen := flags.String("listen", ":443", "address of the endpoint")
	to := flags.String("to", "", "address of the service")
	id := flags.Uint("link-id", 0, "say it, and the client, in a PROXY header; none if 0")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Println("listening at", listener.Addr())
	var group errgroup.Group
	defer func() { _ = group.Wait() }()
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		group.Go(func() error {
			if err := carry(ctx, conn, *to, uint32(*id)); err != nil {
				fmt.Println(conn.RemoteAddr(), err)
			}
			return nil
		})
	}
}

// carry connects one client to the service until one of them is done.
func carry(ctx context.Context, client net.Conn, to string, id uint32) error {
	defer client.Close()
	service, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err != nil {
		return err
	}
	defer service.Close()
	defer context.AfterFunc(ctx, func() { _ = client.Close() })()
	if id != 0 {
		header := proxyproto.HeaderProxyFromAddrs(2, client.RemoteAddr(), client.LocalAddr())
		value := binary.LittleEndian.AppendUint32([]byte{linkID}, id)
		if err := header.SetTLVs([]proxyproto.TLV{{Type: azureTLV, Value: value}}); err != nil {
			return err
		}
		if _, err := header.WriteTo(service); err != nil {
			return err
		}
	}
	var both errgroup.Group
	both.Go(func() error { return pass(service, client) })
	both.Go(func() error { return pass(client, service) })
	return both.Wait()
}

// pass copies until the end of from, and ends to in that direction.
func pass(to, from net.Conn) error {
	_, err := io.Copy(to, from)
	if tcp, is := to.(*net.TCPConn); is {
		_ = tcp.CloseWrite()
	}
	return err
}
