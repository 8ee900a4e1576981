//go:build linux

package stress

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"pldns/resolver/resolvertest"
)

// quicAttack is what many clients do over QUIC.
type quicAttack struct {
	Clients int // how many addresses there are

	Rate  int // connections a second, each of which asks once and is kept until it is closed
	Limit int // how many of them

	Connections int // which are full of streams that do not end their query
	Streams     int // on each

	Initials int // first packets a second, whose handshakes nobody goes on with
	Replays  int // the same, with a query in them (0-RTT), and a token that proves the address
}

// attackerAt are the addresses of the clients.
func attackerAt(i int) string { return fmt.Sprintf("127.0.1.%d", 100+i) }

// secure are the settings of somebody who does not care whom he speaks with.
func secure() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"doq"}, CurvePreferences: []tls.CurveID{tls.X25519}}
}

// attack makes the attack until ctx ends.
func (q quicAttack) attack(ctx context.Context, to netip.AddrPort) {
	transports := make([]*quic.Transport, q.Clients)
	for i := range transports {
		transports[i] = &quic.Transport{Conn: packets(attackerAt(i))}
	}
	switch {
	case q.Rate > 0:
		q.connect(ctx, transports, to)
	case q.Connections > 0:
		q.open(ctx, transports, to)
	case q.Initials > 0:
		pour(ctx, q.Clients, q.Initials, to, resolvertest.Initials(ctx, "dns.contoso.net", 2000))
	case q.Replays > 0:
		first, err := firstFlights(ctx, transports[0], to, 500)
		if err != nil {
			fmt.Fprintln(os.Stderr, "the attacker gets no session:", err)
			return
		}
		pour(ctx, 1, q.Replays, to, first) // the token is for one address
	}
}

// packets opens a socket at an address.
func packets(from string) *net.UDPConn {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)})
	if err != nil {
		panic(err)
	}
	return conn
}

// paced calls do so often a second, until ctx ends.
func paced(ctx context.Context, rate int, do func(i int)) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began, done := time.Now(), 0; ; {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for ; done < int(now.Sub(began).Seconds()*float64(rate)); done++ {
				do(done)
			}
		}
	}
}

// connect opens connections and keeps them until they are closed.
func (q quicAttack) connect(ctx context.Context, transports []*quic.Transport, to netip.AddrPort) {
	var under sync.WaitGroup
	paced(ctx, q.Rate, func(i int) {
		if i >= q.Limit {
			return
		}
		under.Go(func() {
			conn, err := transports[i%len(transports)].Dial(ctx, net.UDPAddrFromAddrPort(to), secure(), nil)
			if err != nil || askOver(ctx, conn, wireOf(private, 1, 0)) != nil {
				return
			}
			select {
			case <-conn.Context().Done():
			case <-ctx.Done():
			}
		})
	})
	under.Wait()
}

// askOver asks on a stream of its own.
func askOver(ctx context.Context, conn *quic.Conn, query []byte) error {
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	if _, err := stream.Write(framed(query)); err != nil {
		return err
	}
	_ = stream.Close()
	_, err = io.ReadAll(stream)
	return err
}

// open keeps connections full of streams. Most have half a query, and no more comes; some
// send an octet a second.
func (q quicAttack) open(ctx context.Context, transports []*quic.Transport, to netip.AddrPort) {
	var under sync.WaitGroup
	for i := range q.Connections {
		under.Go(func() {
			for ctx.Err() == nil {
				conn, err := transports[i%len(transports)].Dial(ctx, net.UDPAddrFromAddrPort(to), secure(), nil)
				if err == nil {
					q.fill(ctx, conn)
				}
			}
		})
	}
	under.Wait()
}

// fill keeps one connection full of streams until it ends.
func (q quicAttack) fill(ctx context.Context, conn *quic.Conn) {
	var streams sync.WaitGroup
	defer streams.Wait()
	for i := range q.Streams {
		streams.Go(func() {
			query := framed(wireOf(private, 1, 0))
			for {
				stream, err := conn.OpenStreamSync(ctx)
				if err != nil {
					return
				}
				if i%50 != 0 {
					_, _ = stream.Write(query[:len(query)/2])
					_, _ = stream.Read(make([]byte, 1)) // until it is reset
					continue
				}
				tick := time.NewTicker(time.Second)
				for _, octet := range query {
					if _, err := stream.Write([]byte{octet}); err != nil {
						break
					}
					select {
					case <-tick.C:
					case <-stream.Context().Done():
					}
				}
				tick.Stop()
			}
		})
	}
}

// firstFlights are what a client that has been here before says first: a query (0-RTT) and
// the token that proves its address, for so many connections.
func firstFlights(ctx context.Context, transport *quic.Transport, to netip.AddrPort, count int) ([][]byte, error) {
	settings, tokens := secure(), &reused{given: make(chan struct{})}
	settings.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	settings.ServerName = "dns.contoso.net"
	conn, err := transport.Dial(ctx, net.UDPAddrFromAddrPort(to), settings, &quic.Config{TokenStore: tokens})
	if err != nil {
		return nil, err
	}
	if err := askOver(ctx, conn, wireOf(private, 1, 0)); err != nil {
		return nil, err
	}
	<-tokens.given
	_ = conn.CloseWithError(0, "")
	keeper := resolvertest.NewKeeper()
	defer keeper.Close()
	again := &quic.Transport{Conn: keeper}
	for range count {
		conn, err := again.DialEarly(ctx, net.UDPAddrFromAddrPort(to), settings, &quic.Config{TokenStore: tokens})
		if err != nil {
			return nil, err
		}
		stream, err := conn.OpenStream()
		if err != nil {
			return nil, err
		}
		_, _ = stream.Write(framed(wireOf(private, 1, 0)))
		stream.Close()
	}
	pause(500 * time.Millisecond) // all of them have said it
	return keeper.Take(), nil
}

// reused is a store that gives its token again and again, which honest clients do not.
type reused struct {
	once  sync.Once
	given chan struct{}
	token *quic.ClientToken
}

func (r *reused) Pop(string) *quic.ClientToken { return r.token }

func (r *reused) Put(_ string, token *quic.ClientToken) {
	r.once.Do(func() {
		r.token = token
		close(r.given)
	})
}

// pour sends packets from many ports of some addresses, so many a second.
func pour(ctx context.Context, clients, rate int, to netip.AddrPort, what [][]byte) {
	const ports = 64
	var from []*net.UDPConn
	for i := range ports {
		from = append(from, packets(attackerAt(i%clients)))
	}
	paced(ctx, rate, func(i int) {
		_, _ = from[i%ports].WriteToUDPAddrPort(what[i%len(what)], to)
	})
}
