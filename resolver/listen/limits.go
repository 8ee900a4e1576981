package listen

import (
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/gaissmai/bart"
)

// Limits says how many queries a second each client is answered over UDP, where the
// address of a client may be forged, and an answer hits whoever it belongs to. A
// client may save up what it has earned in one second. Of what exceeds it, most is
// met with silence, and some is answered in as few octets as were asked, with the TC
// bit: who really is there comes back over TCP, which shows its address and is not
// limited here, because Config.Connections and its kin bound it.
//
// A client is who asks, as those in Trust tell it. Clients whose addresses share a
// prefix count as one. Nothing is limited while the Handler is not [Remembered],
// because then nobody knows the networks. The zero value limits nobody.
type Limits struct {
	// Unlisted is the limit of clients that belong to no network, in queries a
	// second. All that they are told is that they are refused, so they need little,
	// and with little nobody can use this server against them. 0 is no limit.
	Unlisted int
	// Networks are the limits of each client of the networks, by name. A network
	// that is not there is not limited, nor is one with 0.
	Networks map[string]int
	// Slip is which of the queries over the limit are answered with the TC bit: 1
	// for all, 2 for every second one, 0 for none.
	Slip int
	// IPv4Bits and IPv6Bits are the lengths of the prefixes whose clients count as
	// one. Default 32 and 56.
	IPv4Bits, IPv6Bits int
	// Exempt are clients that are never limited.
	Exempt []netip.Prefix
}

// limits is a Limits in a form that is quick to ask.
type limits struct {
	unlisted           limit
	networks           map[string]limit // nil where no network is limited
	slip               uint32
	ipv4Bits, ipv6Bits int
	exempt             *bart.Lite
}

// limit is that of one network, or of those who have none.
type limit struct {
	interval time.Duration // between two queries; 0 for no limit
	scope    uint64        // tells its clients from those of other networks
}

// SetLimits replaces Config.Limits for what is read from here on. What clients
// have used up stays used up.
func (s *Server) SetLimits(l Limits) {
	ready := &limits{slip: uint32(l.Slip), ipv4Bits: l.IPv4Bits, ipv6Bits: l.IPv6Bits, exempt: listed(l.Exempt)}
	set(&ready.ipv4Bits, 32)
	set(&ready.ipv6Bits, 56)
	if l.Unlisted > 0 {
		ready.unlisted.interval = time.Second / time.Duration(l.Unlisted)
	}
	for name, rate := range l.Networks {
		if rate <= 0 {
			continue
		}
		if ready.networks == nil {
			ready.networks = make(map[string]limit)
		}
		ready.networks[name] = limit{time.Second / time.Duration(rate), maphash.String(s.buckets.seed, name)}
	}
	s.limits.Store(ready)
}

// limited tells whether d is over the limit of its client, in the place of what was
// to become of it. The network of the client has been found.
func (s *Server) limited(d *datagram, why Refusal) Refusal {
	if l := s.limits.Load(); d.memory.network == nil || l.networks != nil {
		return s.measured(l, d, why)
	}
	return why // so it is for all but a few
}

// measured is limited, for those who may have a limit.
func (s *Server) measured(l *limits, d *datagram, why Refusal) Refusal {
	if d.memory.snapshot == nil {
		return why // nobody knows the networks
	}
	of, name := l.unlisted, ""
	if network := d.memory.network; network != nil {
		name = network.Name()
		of = l.networks[name]
	}
	if of.interval == 0 || holds(l.exempt, d.asker.Addr) {
		return why
	}
	client := d.asker.Prefix()
	length := l.ipv6Bits
	if client.Addr().Is4() {
		length = l.ipv4Bits
	}
	client, err := client.Addr().Prefix(min(length, client.Bits()))
	if err != nil {
		return why // who asks has no address
	}
	over := s.buckets.take(s.buckets.owner(of.scope, client), of.interval, d.began)
	if over == 0 {
		return why
	}
	beyond := Limited
	if why == Accepted && l.slip > 0 && over%l.slip == 0 {
		beyond = Slipped
	}
	s.config.Observer.Limited(name, beyond)
	return beyond
}
