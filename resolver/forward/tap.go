package forward

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// Tap is told of single messages to servers and from them. Its methods are called by many
// goroutines at once, by those who ask, and must not wait for anything.
type Tap interface {
	// Asked is told of a query that is about to be sent, and says whether its reply is
	// wanted, too.
	Asked(m *Message) bool
	// Answered is told of what came of such a query, unless it is surely no reply to it.
	Answered(m *Message)
}

// Message is a message to or from a server. Nothing in it may be kept.
type Message struct {
	Group, Server string
	Addr          netip.AddrPort // of the server; not valid where only its URL is known
	Transport     Transport      // that it goes over: TCP for what is asked again there
	Sent          time.Time      // when the query was sent
	Heard         time.Time      // when the reply came; zero for a query
	Octets        []byte         // as it goes over UDP, and elsewhere but for the id
}

// Taps is who is told, if anybody is: it may be changed while groups ask. The zero value
// is nobody.
type Taps struct{ to atomic.Pointer[Tap] }

// Set says who is told from now on, nil for nobody.
func (t *Taps) Set(to Tap) {
	if to == nil {
		t.to.Store(nil)
		return
	}
	t.to.Store(&to)
}

// now is who is told; nil for nobody.
func (t *Taps) now() Tap {
	if t == nil {
		return nil
	}
	if to := t.to.Load(); to != nil {
		return *to
	}
	return nil
}

// asks tells of the query that has been written.
func (p *pendingQuery) asks() {
	if p.attempt == nil {
		return
	}
	tap := p.attempt.server.pool.config.Taps.now()
	if tap == nil {
		return
	}
	m := p.message(p.packet)
	m.Sent = time.Now()
	if tap.Asked(&m) {
		p.asked = m.Sent
	}
}

// isTapped tells whether what comes of the query is to be told of.
func (p *pendingQuery) isTapped() bool { return !p.asked.IsZero() }

// answered tells of what came of the query.
func (p *pendingQuery) answered(packet []byte, now time.Time) {
	if tap := p.attempt.server.pool.config.Taps.now(); tap != nil {
		m := p.message(packet)
		m.Sent, m.Heard = p.asked, now
		tap.Answered(&m)
	}
}

func (p *pendingQuery) message(octets []byte) Message {
	s := p.attempt.server
	m := Message{Group: s.group, Server: s.Text, Addr: s.Addr, Transport: s.Transport, Octets: octets}
	if m.Transport == Plain && p.attempt.stream {
		m.Transport = TCP
	}
	return m
}
