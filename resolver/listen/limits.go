package listen

import (
	"cmp"
	"math/bits"
	"net/netip"
	"sync"
	"time"

	"github.com/gaissmai/bart"
)

// Limits says how many queries a second each client is answered over UDP, where the
// address of a client may be forged, and an answer hits whoever it belongs to. A
// client may save up what it has earned in one second. Of what exceeds it, some is
// answered in as few octets as were asked, with the TC bit, and the rest is met
// with silence: who really is there comes back over TCP, which shows its address and
// is not limited here, because Config.Connections and its kin bound it. Neither is
// a query with a cookie of this server, which shows its address as well (RFC 7873).
//
// A client is who asks, as those in Trust tell it. Clients whose addresses share a
// prefix count as one. Nothing is limited while the Handler has no snapshot,
// because then nobody knows the networks. The zero value limits nobody.
type Limits struct {
	// Unlisted is the limit of clients that belong to no network, in queries a
	// second. All that they are told is that they are refused, so they need little,
	// and with little nobody can use this server against them. 0 is no limit.
	Unlisted int
	// Listed is the limit of each client of a network, unless Networks has another
	// for the network. 0 is no limit.
	Listed   int
	Networks map[string]int
	// Responses is how many replies of one kind a client gets in a second: those that
	// say what there is at one name, or that there is nothing of the type. Of those
	// that deny or fail names of one zone it gets zoneShare times as many. 0 is no
	// limit.
	Responses int
	// Slip is which of the queries over a limit are answered with the TC bit: 1 for
	// all, 2 for every second one, 0 for none. ListedSlip is the same for clients of
	// networks, who should not have to wait for what an attacker sends in their name.
	Slip, ListedSlip int
	// IPv4Bits and IPv6Bits are the lengths of the prefixes whose clients count as
	// one. Default 32 and 56. IPv6Bits holds for connections, too.
	IPv4Bits, IPv6Bits int
	// Exempt are clients that are never limited.
	Exempt []netip.Prefix
}

// zoneShare is how many times as many replies may deny names of one zone as may tell
// of one name: many clients behind one address mistype, try search domains, and look up the names of
// addresses that have none.
const zoneShare = 5

// Limit is what a query may be over.
type Limit uint8

// The limits.
const (
	ClientLimit   Limit = iota // how many queries a second a client asks
	ResponseLimit              // how many replies of one kind it gets
	ReleaseLimit               // how large the replies are that one answer releases
	limitKinds                 // how many there are
)

// String is the word used in metrics.
func (l Limit) String() string { return [limitKinds]string{"client", "responses", "release"}[l] }

// limits is a Limits in a form that is quick to ask.
type limits struct {
	off              bool // nothing is limited
	unlisted, listed rates
	networks         map[string]rates // nil where none has its own
	prefixes         prefixLengths
	exempt           *bart.Lite
}

// rates are those of the clients of one network, or of those who have none.
type rates struct {
	query    time.Duration // between two queries; 0 for no limit
	response time.Duration // between two replies of one kind; 0 for no limit
	slip     uint32
}

// SetLimits replaces Config.Limits for what is read from here on. What clients
// have used up stays used up.
func (s *Server) SetLimits(l Limits) {
	response := interval(l.Responses)
	ready := &limits{
		off:      l.Unlisted <= 0 && l.Listed <= 0 && l.Responses <= 0,
		unlisted: rates{interval(l.Unlisted), response, uint32(l.Slip)},
		listed:   rates{interval(l.Listed), response, uint32(l.ListedSlip)},
		prefixes: newPrefixLengths(l),
		exempt:   listed(l.Exempt),
	}
	for name, rate := range l.Networks {
		if rate == l.Listed {
			continue
		}
		if ready.networks == nil {
			ready.networks = make(map[string]rates)
		}
		ready.networks[name] = rates{interval(rate), response, uint32(l.ListedSlip)}
		ready.off = ready.off && rate <= 0
	}
	s.limits.Store(ready)
	s.conns.countBy(ready.prefixes.ipv6)
}

// interval is the time between two events at a rate for each second; 0 for no rate.
func interval(rate int) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Second / time.Duration(rate)
}

// prefixLengths are those of the prefixes whose clients count as one.
type prefixLengths struct{ ipv4, ipv6 int }

func newPrefixLengths(l Limits) prefixLengths {
	p := prefixLengths{l.IPv4Bits, l.IPv6Bits}
	p.ipv4, p.ipv6 = cmp.Or(p.ipv4, 32), cmp.Or(p.ipv6, 56)
	return p
}

// of is the prefix that an address counts to; of a client's subnet no more than that
// many bits are known. It is not valid without an address.
func (p prefixLengths) of(addr netip.Addr, known int) netip.Prefix {
	length := p.ipv6
	if addr.Is4() {
		length = p.ipv4
	}
	if known > 0 {
		length = min(length, known)
	}
	prefix, err := addr.Prefix(length)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// usage is what is known of a query while it is held against limits.
type usage struct {
	rates
	owner  uint64 // the hash of who asks; 0 for nobody who is limited
	lively bool   // who asks may be over the rate of replies of one kind
}

// limited tells whether q is over the limit of its client, in the place of what was
// to become of it. The network of the client has been found.
func (s *Server) limited(q *query, m *memory, r *request, why Refusal) Refusal {
	q.usage = usage{}
	l := s.limits.Load()
	if l.off || m.snapshot == nil { // or nobody knows the networks
		return why
	}
	of, scope := l.unlisted, uint64(0) // the scope tells apart clients of two networks with one address
	if m.network != nil {
		of, scope = l.listed, uint64(m.network.Number())+1
		if own, has := l.networks[m.network.Name()]; has {
			of = own
		}
	}
	if of.query == 0 && of.response == 0 || holds(l.exempt, q.client.Addr) {
		return why
	}
	client := l.prefixes.of(q.client.Addr, int(q.client.Bits))
	if !client.IsValid() {
		return why
	}
	owner := s.buckets.owner(scope, client)
	over, lively := s.buckets.watch(owner, of.query, of.response, q.began)
	q.usage = usage{of, owner, lively}
	if over == 0 || why == Accepted && s.proven(q, r) {
		return why
	}
	return s.beyond(q, m.network.Name(), ClientLimit, over, why)
}

// beyond is what becomes of a query that is over a limit, by so many queries.
func (s *Server) beyond(q *query, network string, limit Limit, over uint32, why Refusal) Refusal {
	became := Limited
	if why == Accepted && q.usage.slip > 0 && over%q.usage.slip == 0 {
		became = Slipped
	}
	s.config.Observer.Limited(network, limit, became)
	return became
}

// overdone tells whether the reply to q, which is of a kind, is one of too many to its
// client, in a network.
func (s *Server) overdone(q *query, r *request, about account, network string) Refusal {
	if !q.usage.lively || about == 0 || s.proven(q, r) {
		return Accepted
	}
	every := q.usage.response
	if about.ofZone() {
		every /= zoneShare
	}
	owner := q.usage.owner ^ bits.RotateLeft64(uint64(about), 32) | 1
	over := s.responses.take(owner, every, q.began)
	if over == 0 {
		return Accepted
	}
	return s.beyond(q, network, ResponseLimit, over, Accepted)
}

// proven tells whether q shows that it comes from its address, or is from a socket of
// this program.
func (s *Server) proven(q *query, r *request) bool {
	return r.hasCookie && q.cookieFor.IsValid() && s.cookies.proves(r, q.cookieFor, q.began) || s.own.has(q.peer)
}

// own are the sockets by which this program asks itself whether it answers. The zero
// value has none.
type own struct{ sockets sync.Map }

// Own says that a socket of this program begins to ask over UDP, or ceases to. What
// it asks is not limited, whatever else comes from its address.
func (s *Server) Own(socket netip.AddrPort, asks bool) {
	if asks {
		s.own.sockets.Store(socket, nil)
	} else {
		s.own.sockets.Delete(socket)
	}
}

// has tells whether a socket is one of them.
func (o *own) has(socket netip.AddrPort) bool {
	_, is := o.sockets.Load(netip.AddrPortFrom(socket.Addr().Unmap(), socket.Port()))
	return is
}
