package resolvertest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"pldns/resolver/wire"
)

// Way is an encrypted way to ask a server.
type Way struct {
	Transport string // dot, doh (over HTTP/2), doq or h3
	Addr      netip.AddrPort
	Name      string // what the client knows the server by
	Path      string // of a URL
}

func (w Way) String() string {
	return fmt.Sprintf("%s %s at %s%s", w.Transport, w.Name, w.Addr, w.Path)
}

// Asker asks over one connection, which stays open. Many goroutines may use it at once.
type Asker struct {
	exchange func(ctx context.Context, query []byte) ([]byte, error)
	close    func()
}

// Exchange asks and waits for the reply, whose id is that of the query. The error is the
// connection's, or that of ctx.
func (a *Asker) Exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	packed, err := query.Pack()
	if err != nil {
		return nil, err
	}
	if packed, err = a.exchange(ctx, packed); err != nil {
		return nil, err
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(packed); err != nil {
		return nil, err
	}
	reply.Id = query.Id
	return reply, nil
}

// Close ends the connection.
func (a *Asker) Close() { a.close() }

// Open prepares a client of this way, whose settings say whom it trusts. Over HTTP it
// connects when it asks first. The error is that of connecting, or of a transport that
// there is not.
func (w Way) Open(ctx context.Context, settings *tls.Config) (*Asker, error) {
	settings = settings.Clone()
	settings.ServerName = w.Name
	switch w.Transport {
	case "dot":
		settings.NextProtos = []string{"dot"}
		return w.openTLS(ctx, settings)
	case "doq":
		settings.NextProtos = []string{"doq"}
		return w.openQUIC(ctx, settings)
	case "doh":
		transport := &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", w.Addr.String())
			}}
		return &Asker{w.overHTTP(transport), transport.CloseIdleConnections}, nil
	case "h3":
		transport := &http3.Transport{TLSClientConfig: settings,
			Dial: func(ctx context.Context, _ string, settings *tls.Config, config *quic.Config) (*quic.Conn, error) {
				return quic.DialAddrEarly(ctx, w.Addr.String(), settings, config)
			}}
		return &Asker{w.overHTTP(transport), func() { _ = transport.Close() }}, nil
	}
	return nil, fmt.Errorf("there is no transport %q", w.Transport)
}

// overHTTP asks as RFC 8484 says.
func (w Way) overHTTP(transport http.RoundTripper) func(context.Context, []byte) ([]byte, error) {
	url := fmt.Sprintf("https://%s%s", net.JoinHostPort(w.Name, fmt.Sprint(w.Addr.Port())), w.Path)
	return func(ctx context.Context, query []byte) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(query))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/dns-message")
		response, err := transport.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return nil, errors.New(response.Status)
		}
		return io.ReadAll(response.Body)
	}
}

// openQUIC asks as RFC 9250 says: each query on a stream of its own, with id 0.
func (w Way) openQUIC(ctx context.Context, settings *tls.Config) (*Asker, error) {
	conn, err := quic.DialAddr(ctx, w.Addr.String(), settings, nil)
	if err != nil {
		return nil, err
	}
	exchange := func(ctx context.Context, query []byte) ([]byte, error) {
		stream, err := conn.OpenStreamSync(ctx)
		if err != nil {
			return nil, err
		}
		defer context.AfterFunc(ctx, func() { stream.CancelRead(0) })()
		binary.BigEndian.PutUint16(query, 0)
		if _, err := stream.Write(wire.AppendFrame(nil, query)); err != nil {
			return nil, err
		}
		_ = stream.Close()
		reply, err := wire.ReadFrame(stream)
		return reply, errors.Join(err, ctx.Err())
	}
	return &Asker{exchange, func() { _ = conn.CloseWithError(0, "") }}, nil
}

// openTLS asks as RFC 7858 says: the queries that are under way are told apart by their id.
func (w Way) openTLS(ctx context.Context, settings *tls.Config) (*Asker, error) {
	conn, err := (&tls.Dialer{Config: settings}).DialContext(ctx, "tcp", w.Addr.String())
	if err != nil {
		return nil, err
	}
	p := &pipelined{conn: conn, waiting: make(map[uint16]chan []byte), ended: make(chan struct{})}
	go p.read()
	return &Asker{p.exchange, func() {
		conn.Close()
		<-p.ended
	}}, nil
}

// pipelined is a connection with several queries under way.
type pipelined struct {
	conn  net.Conn
	ended chan struct{} // closed when nothing more is read

	mu      sync.Mutex
	next    uint16
	waiting map[uint16]chan []byte
}

// read passes replies on until the connection ends.
func (p *pipelined) read() {
	defer close(p.ended)
	for {
		reply, err := wire.ReadFrame(p.conn)
		if err != nil || len(reply) < wire.HeaderSize {
			return
		}
		p.mu.Lock()
		if waits := p.waiting[wire.ID(reply)]; waits != nil {
			waits <- reply
			delete(p.waiting, wire.ID(reply))
		}
		p.mu.Unlock()
	}
}

func (p *pipelined) exchange(ctx context.Context, query []byte) ([]byte, error) {
	reply := make(chan []byte, 1)
	p.mu.Lock()
	p.next++
	id := p.next
	p.waiting[id] = reply
	binary.BigEndian.PutUint16(query, id)
	_, err := p.conn.Write(wire.AppendFrame(nil, query))
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case packet := <-reply:
		return packet, nil
	case <-p.ended:
		return nil, io.ErrUnexpectedEOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
