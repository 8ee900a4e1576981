package forward

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
)

// Patient makes a pool wait for each answer as long as the whole Exchange may
// take, so that a test may count queries on a machine that is slow now and then.
func Patient(p *Pool) *Pool {
	p.patience = maxAttempts * p.config.Timeout
	p.hedges.left.Store(-1e9)
	return p
}

// Pooled makes a pool keep sockets as it does while it runs, without all else that
// Run does, until the returned function is called.
func Pooled(p *Pool) (*Pool, func()) {
	for _, s := range p.servers {
		s.keepSockets()
	}
	return p, func() {
		for _, s := range p.servers {
			s.closeSockets()
		}
	}
}

// KeepsSockets tells whether the servers' sockets are kept.
func KeepsSockets(p *Pool) bool { return p.servers[0].sockets.ready() }

// Kept tells whether the servers' connections are kept.
func Kept(p *Pool) bool {
	k := p.servers[len(p.servers)-1].streams
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept
}

// Places bounds the socket pools of a pool, which have not been used yet.
func Places(p *Pool, n int) *Pool {
	for _, s := range p.servers {
		s.sockets.size = n
	}
	return p
}

// Sweep closes the sockets that are worn at some time.
func Sweep(p *Pool, now time.Time) {
	for _, s := range p.servers {
		s.sockets.sweep(now)
	}
}

// Restless makes the socket pools close what nobody uses for a moment.
func Restless(p *Pool) *Pool {
	for _, s := range p.servers {
		s.sockets.every, s.sockets.unused = time.Millisecond, time.Millisecond
	}
	return p
}

// LimitSockets is a limit of so many sockets.
func LimitSockets(n int64) *SocketLimit { return &SocketLimit{most: n} }

// SocketUses is how many queries a socket is good for.
const SocketUses = socketUses

// Simulate puts a function in the place of the network, for tests of pure timing:
// it is asked instead of the server that it is given the name of.
func Simulate(p *Pool, network func(ctx context.Context, server string, q resolver.Question) (*dns.Msg, error)) *Pool {
	for _, s := range p.servers {
		s.sockets.size = 0
		s.network = func(p *pendingQuery, x *exchange) error {
			ctx, cancel := context.WithDeadline(context.Background(), x.ends)
			made := &simulatedQuery{stop: cancel}
			p.over = made
			q := x.question
			go func() { // ends with ctx
				msg, err := network(ctx, s.Text, q)
				switch {
				case ctx.Err() != nil:
					err = s.silent
				case err != nil:
					err = s.failure(err)
				}
				cancel()
				if !made.over.Swap(true) {
					p.told(reading{msg: msg, err: err})
				}
			}()
			return nil
		}
	}
	return p
}

// simulatedQuery is a query to a function.
type simulatedQuery struct {
	over atomic.Bool // it was told of, or withdrawn
	stop context.CancelFunc
}

func (s *simulatedQuery) withdraw(*pendingQuery) bool {
	s.stop()
	return !s.over.Swap(true)
}

func (*simulatedQuery) settleFor(*pendingQuery) (reading, bool) { return reading{}, false }

// Scrub gives the tests what is kept of a message.
func Scrub(q resolver.Question, msg *dns.Msg) (resolver.Reply, error) { return scrub(q, msg) }

// ReadReply gives the tests what becomes of a packet that came to the port of a
// query for q: whether it counts as the reply, and what it says.
func ReadReply(q resolver.Question, spoil func(query, packet []byte) []byte, packet []byte) (reply resolver.Reply, counts bool, err error) {
	asked, err := writeQuery(q, queryOptions{})
	if err != nil {
		return resolver.Reply{}, false, err
	}
	packet = spoil(asked.packet, packet)
	if found := asked.match(packet); found != matching && found != recased {
		return resolver.Reply{}, false, nil
	}
	read, _, err := asked.read(packet)
	if err != nil {
		return resolver.Reply{}, true, err
	}
	reply, failure := new(server).reply(q, read)
	if failure != nil {
		return resolver.Reply{}, true, failure
	}
	return reply.Unpacked(), true, nil
}

// ReadPlain gives the tests what becomes of a reply to q that is read the short
// way, and what becomes of it otherwise; not plain if there is no short way for it.
// The records stand behind the header and the question of the reply.
func ReadPlain(q resolver.Question, header, records []byte) (short, whole resolver.Reply, plain bool) {
	asked, err := writeQuery(q, queryOptions{sameCase: true})
	if err != nil {
		return short, whole, false
	}
	packet := append([]byte(nil), asked.packet[:asked.question]...)
	packet[2], packet[3] = header[0]&^byte(wire.Opcodes>>8)|byte(wire.QR>>8), header[1]
	copy(packet[6:wire.HeaderSize], header[2:])
	packet = append(packet, records...)
	read, _ := asked.readPlain(bytes.Clone(packet))
	if read.plain == nil {
		return short, whole, false
	}
	first, failure := new(server).reply(q, read)
	if failure != nil {
		return short, whole, false
	}
	first.Source = resolver.FromNowhere
	short = first.Unpacked()
	msg, err := readWhole(packet)
	if err != nil {
		return short, resolver.Reply{Errors: []resolver.Error{{Text: err.Error()}}}, true
	}
	whole, err = scrub(q, msg)
	if err == nil && read.private != holdsPrivate(whole.Answer) {
		return short, resolver.Reply{Errors: []resolver.Error{{Text: "what is private differs"}}}, true
	}
	if err != nil {
		whole.Errors = append(whole.Errors, resolver.Error{Text: err.Error()})
	}
	for _, section := range [][]dns.RR{short.Answer, short.Authority, whole.Answer, whole.Authority} {
		for _, rr := range section {
			rr.Header().Rdlength = 0 // which depends on how names are compressed
		}
	}
	return short, whole, true
}

// writeQuery writes the query for q.
func writeQuery(q resolver.Question, o queryOptions) (*query, error) {
	asked := new(query)
	return asked, asked.write(q, o, nil, make([]byte, querySize))
}

// Running is how many goroutines work for the connections to the servers.
func Running(p *Pool) int64 {
	var n int64
	for _, s := range p.servers {
		n += s.streams.running.n.Load()
	}
	return n
}
