package forward

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/zones"
)

// BenchmarkWithoutNetwork asks for names that nobody has asked for, over a cache, and
// hears the replies, hundreds at a time: all that forwarding does between two packets, and
// no system call.
func BenchmarkWithoutNetwork(b *testing.B) {
	const batch = 512
	p, err := New(Config{Name: "azure", Timeout: time.Minute, Servers: []Server{{Addr: netip.MustParseAddrPort("127.0.0.1:9")}}})
	if err != nil {
		b.Fatal(err)
	}
	Patient(p)
	var sent []*pendingQuery
	var room [querySize]byte
	p.servers[0].network = func(p *pendingQuery, x *exchange) error {
		if err := p.write(x.question, queryOptions{}, nil, room[:]); err != nil {
			return err
		}
		p.packet, p.over = append(p.room[:0], p.packet[:p.question]...), unheard{}
		sent = append(sent, p)
		return nil
	}
	group, told := cache.New(cache.Config{}).Group("azure", p), 0
	done := func(_ resolver.Reply, err error) {
		if told++; err != nil {
			b.Error(err)
		}
	}
	names := make([]zones.Name, b.N)
	for i := range names {
		names[i] = zones.NameOf("u" + strconv.Itoa(i) + ".example.")
	}
	b.ReportAllocs()
	b.ResetTimer()
	for rest := names; len(rest) > 0; rest = rest[min(batch, len(rest)):] {
		for _, name := range rest[:min(batch, len(rest))] {
			_, _, _ = group.Start(resolver.Question{Name: name, Type: dns.TypeA}, resolver.Asker{}, time.Time{}, done)
		}
		for _, p := range sent {
			reply := append(room[:0], p.packet...)
			reply[2], reply[3], reply[7], reply[11] = reply[2]|0x80, 0x80, 1, 1
			reply = append(reply, "\xC0\x0C\x00\x01\x00\x01\x00\x00\x01\x2C\x00\x04\xC0\x00\x02\x01\x00\x00\x29\x04\xD0\x00\x00\x00\x00\x00\x00"...)
			r, _ := p.attempt.server.hear(p, p.match(reply), reply, time.Now())
			p.told(r)
		}
		sent = sent[:0]
	}
	if told != len(names) {
		b.Errorf("%d of %d were told", told, len(names))
	}
}

// unheard carries queries that nobody sends.
type unheard struct{}

func (unheard) withdraw(*pendingQuery) bool             { return true }
func (unheard) settleFor(*pendingQuery) (reading, bool) { return reading{}, false }
