package listen

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"pldns/resolver"
	"pldns/resolver/listen/replycache"
	"pldns/zones"
	"pldns/zones/policy"
)

// Handler decides queries, as a *resolver.Resolver does. It is called by many goroutines
// at once, and must not wait for anything.
type Handler interface {
	// Snapshot is the snapshot of the moment. Clients are located in its table, and
	// answers that may be given again are remembered as long as it is that, and given without
	// asking the Handler. It may be nil: then nobody belongs to a network, and nothing
	// is remembered.
	Snapshot() *resolver.Snapshot
	// Begin decides a query by a snapshot that was given before: see
	// [resolver.Snapshot.Begin]. A query that is AtOnce is never pending.
	Begin(s *resolver.Snapshot, q resolver.Query, network *zones.Network, wake func()) (resolver.Answer, resolver.Pending)
}

// Observer counts what happens at the ingresses; who wants to know of single queries is a
// [Tap]. Its methods are called by many
// goroutines at once and on the path of every query: they must be quick. The
// transport is a [resolver.Transport].
type Observer interface {
	// Tally gives what counts the queries with an answer of one kind. It may be asked for
	// the same kind again and again.
	Tally(Kind) replycache.Tally
	// Policed gives what counts the queries of a network of which a policy has said one
	// thing. It may be asked for the same again and again.
	Policed(network, policy string, action policy.Action) replycache.Tally
	// Confined gives what counts the queries of a network of whose answers public addresses
	// were left out, because it requires private ones. It may be asked for again and again.
	Confined(network string) replycache.Tally
	// SubnetIgnored is called for every query with a client subnet of somebody who
	// is not trusted to tell one.
	SubnetIgnored(transport string)
	// Refused is called for every packet, query and connection that was refused.
	Refused(transport string, why Refusal)
	// Limited is called for every query over a limit, with the name of its network
	// (empty: none); why is Limited or Slipped. Of ReleaseLimit it is Slipped, and the
	// query is served; else Refused is called, too.
	Limited(network string, limit Limit, why Refusal)
	// Connections is called with 1 when a connection is taken in and with -1
	// when it is gone.
	Connections(transport string, change int)
}

// Kind is what answers have in common that are counted together.
type Kind struct {
	Transport string
	Network   string // empty for none
	Rcode     int
	Source    resolver.Source
	// Remembered says that the reply cache has the reply, which is given again.
	Remembered bool
}

// Config says what a [Server] listens on and how much it takes upon itself. A
// zero number or duration stands for its default.
type Config struct {
	// Addrs are the addresses to listen on, over UDP and TCP. 0.0.0.0 stands for
	// every local IPv4 address, :: for every local address of both families (of
	// IPv4 alone where the host has no IPv6). Addresses that are there twice, or
	// that such a wildcard covers, are bound once. Port 0 stands for a free port,
	// the same over UDP, TCP and both families. Must not be empty.
	Addrs []netip.AddrPort
	// TLS and HTTPS are the addresses to listen on for DNS over TLS (RFC 7858) and
	// over HTTPS (RFC 8484), in the same form.
	TLS, HTTPS []netip.AddrPort
	// QUIC are the addresses to listen on for DNS over QUIC (RFC 9250), which is UDP, in the
	// same form.
	QUIC []netip.AddrPort
	// HTTP3 says that DNS over HTTPS is spoken over HTTP/3 (RFC 9114), too: at the ports of
	// HTTPS over UDP, which those who ask over TCP are told (RFC 7838).
	HTTP3 bool
	// TLSConfig holds their certificate; what it offers as application protocols
	// is replaced. To change it while serving, let its GetConfigForClient choose. It
	// must not be nil if there is an address for them.
	TLSConfig *tls.Config
	// ResetSecret is what a client of QUIC is told with that the server knows nothing of its
	// connection, as after a restart (a stateless reset, RFC 9000 section 10.3): else it
	// waits until that has been idle for too long. It has to outlive a restart, and no other
	// server may have it: one that gets packets of a client of this one would give away
	// how to break that connection (section 21.11). Empty tells nobody.
	ResetSecret []byte
	// Trust says who may say that somebody else asks. See [Server.SetTrust].
	Trust Trust
	// Limits says how much a client is answered over UDP. See [Server.SetLimits].
	Limits Limits
	// Peers are servers with which zones are exchanged. See [Server.SetPeers].
	Peers Peers
	// Handler answers the queries. Must not be nil.
	Handler Handler
	// Log receives what an operator may want to know. What clients cause is logged
	// at most once a minute for each kind. Nil means nowhere.
	Log *slog.Logger
	// Observer counts. Nil means nobody.
	Observer Observer

	// InFlight is how many queries may wait for the outside at one time; UDP and all
	// streams are counted apart, so that addresses that may be forged take no room from
	// those that are proven. It is shared out between networks, clients and the domains
	// that are asked about: what comes on top makes one of the largest share give way,
	// which is answered SERVFAIL at once. What is known here never waits. Default 16384.
	InFlight int
	// Readers is how many goroutines read each UDP address. On Linux each has a
	// socket of its own, and one is sent everything as long as it keeps up; else the
	// system spreads the clients over all. Default: one for each processor, at most 8.
	Readers int

	// Dedicated says that the process is there to serve: on Linux, Run adds to
	// GOMAXPROCS one processor of the Go runtime for each UDP reader (twice as many as
	// there were at most), and takes them off at its end. A busy reader then waits for
	// packets in the system and not in the poller of the runtime, which halves what a
	// packet costs when packets come one by one. Only one Server of a process may say
	// so.
	Dedicated bool

	// Connections is how many connections, over TCP, TLS, HTTPS and QUIC, are open at one time. A further one
	// takes the place of the one that has been idle the longest; if none is idle,
	// it is closed. Default 4096.
	Connections int
	// ClientConnections is how many of them one client may have: an IPv4 address, or a
	// prefix of IPv6 as long as Limits says. Further ones are closed. Default 256.
	ClientConnections int
	// Pipeline is how many queries of one connection are worked on at one time.
	// With so many under way, the connection is not read. With DNS over QUIC a client may have
	// four times as many streams open, because each is in use until its client has acknowledged
	// the reply. Default 128.
	Pipeline int
	// Idle is how long a connection may be without a query after its last answer
	// (RFC 7766 section 6.2.3). It shrinks to a tenth as Connections fills up from
	// half. Clients that ask are told (RFC 7828). Default 10 s.
	Idle time.Duration
	// FirstByte is how long a new connection may take to begin its first query.
	// Default 3 s.
	FirstByte time.Duration
	// Receive is how long a message may take from its first octet to its last.
	// Default 5 s.
	Receive time.Duration
	// Send is how long a reply may wait for its client to take it, counted from
	// when it is ready, those before it included; then the connection is closed.
	// Default 5 s.
	Send time.Duration
	// SendZone is the same for a message of a zone transfer, which comes behind others that are on
	// the way to a slow reader. Default 30 s.
	SendZone time.Duration

	// LastWord is how long a connection that has not asked yet may still do so when
	// Run ends: its query is on the way as a rule, and nobody else can read it.
	// Default 200 ms.
	LastWord time.Duration
	// Drain is how long Run waits at its end for the answers to what was read.
	// Default 3 s.
	Drain time.Duration
}

// check tells what is wrong with c.
func (c Config) check() error {
	switch {
	case len(c.Addrs) == 0:
		return errors.New("listen: there is no address to listen on")
	case c.Handler == nil:
		return errors.New("listen: there is no handler")
	case len(c.TLS)+len(c.HTTPS)+len(c.QUIC) > 0 && c.TLSConfig == nil:
		return errors.New("listen: there is no certificate for TLS")
	case min(c.Limits.Unlisted, c.Limits.Listed, c.Limits.Responses, c.Limits.Slip, c.Limits.ListedSlip) < 0 || c.Limits.IPv4Bits < 0 ||
		c.Limits.IPv4Bits > 32 ||
		c.Limits.IPv6Bits < 0 || c.Limits.IPv6Bits > 128:
		return errors.New("listen: a limit of clients is out of range")
	case min(c.InFlight, c.Readers, c.Connections, c.ClientConnections, c.Pipeline) < 0:
		return errors.New("listen: a limit is negative; leave it 0 for its default")
	case min(c.Idle, c.FirstByte, c.Receive, c.Send, c.SendZone, c.LastWord, c.Drain) < 0:
		return errors.New("listen: a duration is negative; leave it 0 for its default")
	}
	for _, a := range slices.Concat(c.Addrs, c.TLS, c.HTTPS, c.QUIC) {
		if !a.IsValid() || a.Addr().Is4In6() || a.Addr().IsMulticast() {
			return fmt.Errorf("listen: %s is no address to listen on: give a plain IPv4 or IPv6 address and a port", a)
		}
	}
	return nil
}

// withDefaults is c with every zero value replaced.
func (c Config) withDefaults() Config {
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	c.Observer = cmp.Or[Observer](c.Observer, nobody{})
	c.InFlight = cmp.Or(c.InFlight, 16384)
	c.Readers = cmp.Or(c.Readers, min(runtime.GOMAXPROCS(0), 8))
	c.Connections = cmp.Or(c.Connections, 4096)
	c.ClientConnections = cmp.Or(c.ClientConnections, 256)
	c.Pipeline = cmp.Or(c.Pipeline, 128)
	c.Idle = cmp.Or(c.Idle, 10*time.Second)
	c.FirstByte = cmp.Or(c.FirstByte, 3*time.Second)
	c.Receive = cmp.Or(c.Receive, 5*time.Second)
	c.Send = cmp.Or(c.Send, 5*time.Second)
	c.SendZone = cmp.Or(c.SendZone, 30*time.Second)
	c.LastWord = cmp.Or(c.LastWord, 200*time.Millisecond)
	c.Drain = cmp.Or(c.Drain, 3*time.Second)
	return c
}

// nobody is the Observer of those who have none.
type nobody struct{}

func (nobody) Tally(Kind) replycache.Tally                            { return nobody{} }
func (nobody) Policed(string, string, policy.Action) replycache.Tally { return nobody{} }
func (nobody) Confined(string) replycache.Tally                       { return nobody{} }
func (nobody) Add(int, time.Duration)                                 {}
func (nobody) SubnetIgnored(string)                                   {}
func (nobody) Refused(string, Refusal)                                {}
func (nobody) Limited(string, Limit, Refusal)                         {}
func (nobody) Connections(string, int)                                {}
