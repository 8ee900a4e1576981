package listen

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pldns/resolver/forward/share"
)

// giveUpTime is how long Run waits for the last replies to be sent, after Config.Drain, and
// giveUpEvery how often it looks for what is still pending.
const giveUpTime, giveUpEvery = time.Second, 10 * time.Millisecond

// Server listens for queries and sends answers. Listen binds, Run serves; each
// is called once. The other methods may be called at any time after Listen.
type Server struct {
	config     Config
	sockets    sockets
	secure     map[string][]netip.AddrPort // the bound addresses of each secure transport
	trust      atomic.Pointer[trusted]
	tap        atomic.Pointer[tapped]
	peers      atomic.Pointer[Peers] // nil for none
	transfers  transfers
	local      map[netip.Addr]struct{}
	conns      *connections
	datagrams  *pendings      // over UDP
	streams    *pendings      // over everything else
	holders    room           // UDP readers that hold a processor of the Go runtime
	work       sync.WaitGroup // everything that runs, and every query that is pending
	replies    replyCaches
	queries    sync.Pool // of *query
	scratches  sync.Pool // of *scratch
	messages   sync.Pool // of *[]byte, for messages over QUIC
	cookies    cookies
	handshakes *handshakes // over QUIC, that are under way
	limits     atomic.Pointer[limits]
	buckets    *buckets // of clients
	responses  *buckets // of kinds of replies to a client
	// quicOpen ends, by endQUIC, when nothing more is to be read over QUIC.
	quicOpen   context.Context
	endQUIC    context.CancelFunc
	own        own // sockets that are not limited
	complaints complaints
	troubles   complaints
}

// room counts places.
type room struct {
	limit int64
	taken atomic.Int64
}

// enter takes a place, if there is one.
func (r *room) enter() bool {
	if r.taken.Add(1) > r.limit {
		r.taken.Add(-1)
		return false
	}
	return true
}

// leave gives a place back.
func (r *room) leave() { r.taken.Add(-1) }

// New makes a Server that is not bound yet. It fails if c cannot be served.
func New(c Config) (*Server, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	now := time.Now()
	s := &Server{
		config:     c,
		conns:      newConnections(c),
		datagrams:  newPendings(c.InFlight),
		streams:    newPendings(c.InFlight),
		queries:    sync.Pool{New: func() any { return new(query) }},
		scratches:  sync.Pool{New: func() any { return newScratch() }},
		messages:   sync.Pool{New: func() any { room := make([]byte, messageSize); return &room }},
		cookies:    newCookies(),
		handshakes: newHandshakes(c),
		buckets:    newBuckets(),
		responses:  newBuckets(),
		complaints: complaints{since: now},
		troubles:   complaints{since: now},
		secure:     make(map[string][]netip.AddrPort),
	}
	s.quicOpen, s.endQUIC = context.WithCancel(context.Background())
	s.SetTrust(c.Trust)
	s.SetLimits(c.Limits)
	s.SetPeers(c.Peers)
	return s, nil
}

// Listen binds every address, UDP and TCP, or none of them. An error names the
// address and says what to do. From here on queries wait in the sockets until
// Run reads them; Run also closes the sockets, even with a ctx that has ended.
func (s *Server) Listen() error { return s.ListenOn(nil) }

// ListenOn is Listen with sockets that were opened before: they take the place of
// those for the same addresses. One for any other address is an error. They are the
// caller's to close when ListenOn has returned.
func (s *Server) ListenOn(inherited *Inherited) error {
	if len(s.sockets.addrs) > 0 {
		return errors.New("listen: the server is bound already")
	}
	c := s.config
	packets := slices.Clone(c.QUIC)
	if c.HTTP3 {
		packets = append(packets, c.HTTPS...)
	}
	if err := inherited.check(slices.Concat(c.Addrs, packets), slices.Concat(c.Addrs, c.TLS, c.HTTPS)); err != nil {
		return err
	}
	open := binder{readers: c.Readers, inherited: inherited}
	bound, missing6, err := open.bind(s.config.Addrs)
	if err != nil {
		return err
	}
	for transport, addrs := range map[string][]netip.AddrPort{dot: c.TLS, doh: c.HTTPS, doq: c.QUIC} {
		more, without6, err := open.bindSecure(addrs, transport, c.HTTP3)
		if err != nil {
			bound.close()
			return err
		}
		bound.tcp, bound.quic = append(bound.tcp, more.tcp...), append(bound.quic, more.quic...)
		s.secure[transport] = more.addrs
		missing6 = missing6 || without6
	}
	for _, socket := range bound.quic {
		if socket.transport == h3 {
			s.secure[h3] = append(s.secure[h3], socket.local)
		}
	}
	if missing6 {
		s.config.Log.Info("this host has no IPv6: listening on IPv4 only")
	}
	s.sockets = bound
	s.local = localAddrs()
	return nil
}

// Addrs are the bound addresses: one for each address and family, wildcards as
// such, with the port that port 0 has become.
func (s *Server) Addrs() []netip.AddrPort { return slices.Clone(s.sockets.addrs) }

// TLSAddrs are the bound addresses for DNS over TLS.
func (s *Server) TLSAddrs() []netip.AddrPort { return slices.Clone(s.secure[dot]) }

// HTTPSAddrs are the bound addresses for DNS over HTTPS.
func (s *Server) HTTPSAddrs() []netip.AddrPort { return slices.Clone(s.secure[doh]) }

// QUICAddrs are the bound addresses for DNS over QUIC.
func (s *Server) QUICAddrs() []netip.AddrPort { return slices.Clone(s.secure[doq]) }

// HTTP3Addrs are the bound addresses for DNS over HTTPS by HTTP/3: those of HTTPS, unless
// that is turned off.
func (s *Server) HTTP3Addrs() []netip.AddrPort { return slices.Clone(s.secure[h3]) }

// Readers is how many sockets share each address over UDP: the system spreads clients
// over them where one does not keep up.
func (s *Server) Readers() int { return s.config.Readers }

// InFlight is how many queries wait for the outside, over UDP and over streams.
func (s *Server) InFlight() (datagrams, streams int) {
	return s.datagrams.quota.Held(), s.streams.quota.Held()
}

// Limiting is who has most queries waiting for the outside and who gave way to others
// lately, over UDP and over streams: at most n networks, clients and suffixes each.
func (s *Server) Limiting(n int) (datagrams, streams share.View) {
	now := time.Now()
	return s.datagrams.quota.Top(n, now), s.streams.quota.Top(n, now)
}

// query is a query to read into.
func (s *Server) query() *query { return s.queries.Get().(*query) }

// Run serves until ctx ends. Then it stops reading, answers what has been read
// and closes everything. What is not answered after Config.Drain is answered SERVFAIL.
// Run returns an error only without a Listen before it, and when a client cannot be
// told that in time.
func (s *Server) Run(ctx context.Context) error {
	if len(s.sockets.addrs) == 0 {
		return errors.New("listen: run: the server is not bound")
	}
	defer s.sockets.close()
	defer s.spare()()
	defer s.endQUIC()
	for _, socket := range s.sockets.quic {
		if err := s.openQUIC(socket); err != nil {
			return fmt.Errorf("listen: run: QUIC at %s: %w", socket.local, err)
		}
	}

	for _, socket := range s.sockets.udp {
		for range socket.readers {
			s.work.Go(func() { s.readUDP(ctx, socket) })
		}
	}
	s.work.Go(func() { s.watchReaders(ctx) })
	for _, listener := range s.sockets.tcp {
		s.work.Go(func() { s.acceptTCP(ctx, listener) })
	}
	for _, socket := range s.sockets.quic {
		s.work.Go(func() { s.acceptQUIC(ctx, socket) })
	}
	<-ctx.Done()
	s.stopReading()
	return s.drain()
}

// stopReading ends all reading and accepting. UDP sockets stay open for answers.
func (s *Server) stopReading() {
	for _, socket := range s.sockets.udp {
		socket.stop()
	}
	for _, listener := range s.sockets.tcp {
		listener.Close()
	}
	s.conns.drain()
	s.transfers.hurry(time.Now().Add(s.config.Drain / 2))
	for _, socket := range s.sockets.quic {
		socket.stop()
	}
	time.AfterFunc(s.config.LastWord, s.endQUIC)
}

// drain waits until nothing runs any more, in bounded time.
func (s *Server) drain() error {
	done := make(chan struct{})
	go func() { // ends with the last of the work
		s.work.Wait()
		close(done)
	}()
	if within(done, s.config.Drain) {
		return nil
	}
	datagrams, streams := s.InFlight()
	s.config.Log.Warn("stopping with queries unanswered", "udp", datagrams, "tcp", streams, "after", s.config.Drain)
	for range giveUpTime / giveUpEvery {
		if s.giveUp(); within(done, giveUpEvery) {
			return nil
		}
	}
	s.conns.each(func(c *conn) { c.Close() })
	if within(done, giveUpTime) {
		return nil
	}
	return fmt.Errorf("listen: run: queries are still being answered %s after they were told to stop", 2*giveUpTime)
}

// within waits for done, at most for a time.
func within(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
