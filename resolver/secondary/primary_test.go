package secondary_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/tsig"
	"pldns/resolver/wire"
	"pldns/zones"
	"pldns/zones/content"
)

const apex = "corp.example."

// primary is a scripted primary. It does what its script says, and else what a good one does with
// the versions that it has.
type primary struct {
	t    testing.TB
	addr netip.AddrPort
	ring tsig.Ring

	mu       sync.Mutex
	versions []*content.Zone // the last one is served; changes are told between them
	script   func(*call) bool
	asked    map[uint16]int
	perReply int           // records of a message; 0 for 100
	ahead    time.Duration // of its clock
}

// call is one question over one connection.
type call struct {
	*primary
	conn    net.Conn
	query   *dns.Msg
	request *tsig.Request // nil if it is not signed
	replies int
}

// newPrimary listens on loopback, over TLS if there are settings for it.
func newPrimary(t testing.TB, secure *tls.Config, versions ...*content.Zone) *primary {
	t.Helper()
	p := &primary{t: t, versions: versions, asked: make(map[uint16]int)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = listener.Addr().(*net.TCPAddr).AddrPort()
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	var serving sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				p.serve(conn)
			})
		}
	})
	t.Cleanup(func() { stop(); listener.Close(); serving.Wait() })
	return p
}

// serve answers what comes over a connection until that ends.
func (p *primary) serve(conn net.Conn) {
	defer conn.Close()
	for {
		packed, err := wire.ReadFrame(conn)
		if err != nil {
			return
		}
		c := &call{primary: p, conn: conn, query: new(dns.Msg)}
		if err := c.query.Unpack(packed); err != nil {
			p.t.Errorf("a question cannot be read: %v", err)
			return
		}
		if c.query.IsTsig() != nil {
			if c.request, err = p.ring.Receive(packed, p.clock()); err != nil {
				p.t.Errorf("a signature cannot be read: %v", err)
				return
			}
		}
		p.mu.Lock()
		p.asked[c.kind()]++
		script := p.script
		p.mu.Unlock()
		if script == nil || !script(c) {
			c.answer()
		}
	}
}

func (p *primary) clock() time.Time { return time.Now().Add(p.ahead) }

func (c *call) kind() uint16 { return c.query.Question[0].Qtype }

// serves says which versions the primary has from now on, and what it does with them.
func (p *primary) serves(script func(*call) bool, versions ...*content.Zone) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.versions, p.script = versions, script
}

func (p *primary) count(kind uint16) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[kind]
}

func (p *primary) has() []*content.Zone {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.versions
}

// answer is what a good primary says.
func (c *call) answer() {
	versions := c.has()
	last := versions[len(versions)-1]
	switch {
	case c.request != nil && c.request.Fault != nil:
		c.rcode(dns.RcodeNotAuth)
	case c.kind() == dns.TypeSOA:
		c.send(last.SOA())
	case c.kind() == dns.TypeAXFR:
		c.stream(whole(last))
	case c.kind() == dns.TypeIXFR:
		c.stream(since(c.query.Ns[0].(*dns.SOA).Serial, versions))
	}
}

// whole is a zone as AXFR has it.
func whole(z *content.Zone) []dns.RR {
	var all []dns.RR
	for rr := range z.Records() {
		all = append(all, rr)
	}
	return append(all, z.SOA())
}

// since is what has changed as IXFR has it: all of the zone where that is not known.
func since(serial uint32, versions []*content.Zone) []dns.RR {
	last := versions[len(versions)-1]
	all := []dns.RR{last.SOA()}
	if serial == last.Serial() {
		return all
	}
	known := false
	for i, from := range versions[:len(versions)-1] {
		if known = known || from.Serial() == serial; known {
			all = append(all, steps(content.Diff(from, versions[i+1]))...)
		}
	}
	if !known {
		return whole(last)
	}
	return append(all, last.SOA())
}

// steps is one change as IXFR has it.
func steps(c content.Change) []dns.RR {
	all := append([]dns.RR{c.From}, c.Removed...)
	return append(append(all, c.To), c.Added...)
}

// stream sends records in as many messages as it takes.
func (c *call) stream(records []dns.RR) {
	c.mu.Lock()
	size := c.perReply
	c.mu.Unlock()
	if size == 0 {
		size = 100
	}
	for len(records) > 0 {
		n := min(size, len(records))
		c.send(records[:n]...)
		records = records[n:]
	}
}

// send sends one message with an answer, signed if the question was.
func (c *call) send(records ...dns.RR) { c.sendMsg(func(m *dns.Msg) { m.Answer = records }) }

func (c *call) rcode(rcode int) { c.sendMsg(func(m *dns.Msg) { m.Rcode = rcode }) }

// sendMsg sends one message that is changed before it is signed.
func (c *call) sendMsg(change func(*dns.Msg)) {
	m := new(dns.Msg).SetReply(c.query)
	m.Authoritative, m.Compress, m.Extra = true, true, nil
	change(m)
	packed, err := m.Pack()
	if err != nil {
		c.t.Errorf("an answer cannot be written: %v", err)
		return
	}
	if c.request != nil {
		packed = c.request.Sign(packed, c.clock())
	}
	c.raw(packed)
}

// raw sends octets as a message. Whoever has heard enough may have gone.
func (c *call) raw(packed []byte) bool {
	c.replies++
	_, err := c.conn.Write(wire.AppendFrame(nil, packed))
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) && !isReset(err) {
		c.t.Errorf("an answer cannot be sent: %v", err)
	}
	return err == nil
}

func isReset(err error) bool {
	return strings.Contains(err.Error(), "reset") || strings.Contains(err.Error(), "broken pipe") || strings.Contains(err.Error(), "aborted")
}

// zone is a version of the zone: its SOA and NS records, and others.
func zone(t testing.TB, serial uint32, records ...string) *content.Zone {
	t.Helper()
	return zoneOf(t, apex, serial, 3600, records...)
}

func zoneOf(t testing.TB, apex string, serial, refresh uint32, records ...string) *content.Zone {
	t.Helper()
	all := []string{
		fmt.Sprintf("%s 3600 IN SOA ns.corp.example. mail.corp.example. %d %d 600 86400 60", apex, serial, refresh),
		apex + " 3600 IN NS ns.corp.example.",
	}
	z, err := content.New(zones.MustName(apex), func(yield func(dns.RR) bool) {
		for _, text := range append(all, records...) {
			if !yield(rr(t, text)) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func rr(t testing.TB, text string) dns.RR {
	t.Helper()
	record, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// hosts are address records of so many names, from one on.
func hosts(from, n int) (all []string) {
	for i := from; i < from+n; i++ {
		all = append(all, fmt.Sprintf("h%d.%s 60 IN A 10.0.%d.%d", i, apex, i>>8&255, i&255))
	}
	return all
}
