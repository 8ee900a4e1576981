package primary

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/tsig"
	"pldns/resolver/wire"
	"pldns/zones/content"
)

const (
	// attempts is how often another server is told of one change (RFC 1996 section 3.6): with the
	// default wait for some five minutes. It looks by itself when the zone's refresh time is over.
	attempts = 6
	// longestWait bounds the wait for a reply.
	longestWait = time.Minute
	// ofTarget is how many zones one server is told of at one time: who does not answer holds up
	// nobody else.
	ofTarget = 4
)

// Told is a server that is told of changes.
type Told struct {
	To     netip.AddrPort
	Serial uint32    // that it has confirmed last; 0 for none
	At     time.Time // when the last attempt to tell it ended
	Fault  string    // of the last attempt; empty if it was confirmed
	Busy   bool      // it is being told
}

// notices are who is told of what.
type notices struct {
	wait0 time.Duration
	log   *slog.Logger
	work  sync.WaitGroup

	mu      sync.Mutex
	all     map[noticeOf]*notice
	targets map[netip.AddrPort]chan struct{} // places
}

type noticeOf struct {
	of id
	to netip.AddrPort
}

// notice is what one server is told of one zone, under the lock of notices.
type notice struct {
	zone *content.Zone // that it is to know of; nil for none any more
	key  *tsig.Key
	done uint32 // serial that it was told of, or not to be told of again
	// telling is the serial that it is being told of, and stop ends that; nil while it is not.
	telling uint32
	stop    context.CancelFunc
	Told
}

func (n *notices) open(o Options) {
	n.wait0, n.log = o.FirstWait, o.Log
	n.all, n.targets = make(map[noticeOf]*notice), make(map[netip.AddrPort]chan struct{})
}

func (n *notices) wait() { n.work.Wait() }

// tell tells others of what they have not been told yet.
func (s *Server) tell(ctx context.Context) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := &s.notices
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, old := range n.all {
		old.zone = nil
	}
	for of, h := range s.zones {
		if h.content == nil || h.Copy != "" && s.copies[h.Copy].Expired {
			continue
		}
		for _, to := range h.Tell {
			one := noticeOf{of, to}
			if n.all[one] == nil {
				n.all[one] = &notice{Told: Told{To: to}}
			}
			n.all[one].zone, n.all[one].key = h.content, h.Key
			n.begin(ctx, n.all[one])
		}
	}
	for one, old := range n.all {
		switch {
		case old.zone != nil:
		case old.stop != nil:
			old.stop()
		case !old.Busy:
			delete(n.all, one)
		}
	}
}

// begin begins to tell a server, unless that is under way or not needed. One that is being told of
// what has changed once more is told of the last change at once.
func (n *notices) begin(ctx context.Context, one *notice) {
	if one.stop != nil && one.telling != one.zone.Serial() {
		one.stop()
	}
	if one.Busy || one.done == one.zone.Serial() && one.done != 0 {
		return
	}
	if n.targets[one.To] == nil {
		n.targets[one.To] = make(chan struct{}, ofTarget)
	}
	place := n.targets[one.To]
	one.Busy = true
	n.work.Go(func() {
		select {
		case place <- struct{}{}:
			defer func() { <-place }()
		case <-ctx.Done():
			return
		}
		for n.tellOnce(ctx, one) {
		}
	})
}

// tellOnce tells a server of the zone as it is now, and tells whether it has changed meanwhile.
func (n *notices) tellOnce(ctx context.Context, one *notice) (again bool) {
	n.mu.Lock()
	zone, key := one.zone, one.key
	if zone == nil {
		one.Busy = false
		n.mu.Unlock()
		return false
	}
	telling, stop := context.WithCancel(ctx)
	defer stop()
	one.telling, one.stop = zone.Serial(), stop
	n.mu.Unlock()
	err := n.persist(telling, one.To, zone, key)
	n.mu.Lock()
	defer n.mu.Unlock()
	one.stop = nil
	switch {
	case ctx.Err() != nil:
		one.Busy = false
		return false
	case err == nil:
		one.done, one.Serial, one.At, one.Fault = zone.Serial(), zone.Serial(), time.Now(), ""
	case telling.Err() == nil:
		one.done, one.At, one.Fault = zone.Serial(), time.Now(), err.Error()
		n.log.Warn("another server could not be told that a zone has changed: it looks by itself, later",
			"zone", zone.Apex(), "server", one.To, "error", err)
	}
	one.Busy = one.zone != nil && one.zone.Serial() != one.done
	return one.Busy
}

// persist tells a server until it answers, or has not answered often enough.
func (n *notices) persist(ctx context.Context, to netip.AddrPort, zone *content.Zone, key *tsig.Key) (err error) {
	wait := n.wait0
	for range attempts {
		attempt, cancel := context.WithTimeout(ctx, wait)
		final := false
		if final, err = notify(attempt, to, zone, key); !final {
			<-attempt.Done() // who is not there is not asked at once again
		}
		cancel()
		if final || ctx.Err() != nil {
			return err
		}
		wait = min(2*wait, longestWait)
	}
	return err
}

// notify sends one NOTIFY and waits for the reply, and tells whether there was one.
func notify(ctx context.Context, to netip.AddrPort, zone *content.Zone, key *tsig.Key) (final bool, err error) {
	m := new(dns.Msg).SetNotify(zone.Apex().FQDN())
	m.Answer = []dns.RR{zone.SOA()} // RFC 1996 section 3.7
	var id [2]byte
	if _, err := rand.Read(id[:]); err != nil {
		return true, err
	}
	m.Id = binary.BigEndian.Uint16(id[:])
	packed, err := m.Pack()
	if err != nil {
		return true, fmt.Errorf("pack the message: %w", err)
	}
	var replies *tsig.Replies
	if key != nil {
		packed, replies = key.Sign(packed, time.Now())
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", to.String())
	if err != nil {
		return false, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(packed); err != nil {
		return false, err
	}
	return confirmed(conn, m.Id, replies)
}

// errSilent is no reply in time.
var errSilent = errors.New("it does not answer")

// confirmed reads the reply.
func confirmed(conn net.Conn, id uint16, replies *tsig.Replies) (final bool, err error) {
	buf := make([]byte, dns.MaxMsgSize)
	for {
		size, err := conn.Read(buf)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return false, errSilent
		case err != nil:
			return false, err
		}
		reply := buf[:size]
		flags := uint16(0)
		if size >= wire.HeaderSize {
			flags = wire.Flags(reply)
		}
		if flags&wire.QR == 0 || wire.ID(reply) != id || flags&wire.Opcodes != dns.OpcodeNotify<<11 {
			continue // somebody else's
		}
		if replies != nil {
			if _, err := replies.Verify(reply, time.Now()); err != nil {
				return true, fmt.Errorf("its reply: %w", err)
			}
		}
		if rcode := int(flags & wire.Rcodes); rcode != dns.RcodeSuccess {
			return true, fmt.Errorf("it says %s", wire.RcodeName(rcode))
		}
		return true, nil
	}
}

// states are how the servers that are told of a zone stand.
func (n *notices) states(of id, tell []netip.AddrPort) []Told {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []Told
	for _, to := range tell {
		state := Told{To: to}
		if known := n.all[noticeOf{of, to}]; known != nil {
			state = known.Told
		}
		all = append(all, state)
	}
	return all
}
