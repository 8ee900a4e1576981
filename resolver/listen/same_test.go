package listen

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/listen/replycache"
	"pldns/resolver/wire"
	"pldns/zones"
)

// TestSameFromMemory: a reply from memory, or that is decided at once, is octet for
// octet the reply that the Handler's answer makes, TTLs apart, for every question that
// anybody may ask, and never longer than the asker can take.
func TestSameFromMemory(t *testing.T) {
	e := newEstate(t)
	s, err := New(Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}, Handler: e})
	if err != nil {
		t.Fatal(err)
	}
	var remembered atomic.Int64
	var group sync.WaitGroup
	workers, questions := runtime.GOMAXPROCS(0), sameQuestions
	if testing.Short() {
		questions = min(questions, 50_000)
		t.Logf("%d of %d questions: make test-all tries all", questions, sameQuestions)
	}
	for worker := range workers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 4))
			plain, quick := newScratch(), newAsker()
			for range questions / workers {
				packet := randomPacket(random)
				over := usualOrigins[random.IntN(len(usualOrigins))]
				quick.peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{[]byte{127, 127, 10, 192}[random.IntN(4)], byte(random.IntN(256)), 0, 1}), 4000)
				want := ordinary(s, plain, packet, quick.peer, over)
				got, known := fastOver(s, packet, quick, over)
				if known {
					remembered.Add(1)
				}
				if len(want) > 0 && want[3]&0xF == dns.RcodeServerFailure { // the first to fail is told other reasons than the next
					want = ordinary(s, plain, packet, quick.peer, over)
				}
				if r, _ := accept(packet); len(got) > r.size && !over.stream {
					t.Errorf("client %s\nasked %x\n got %d octets, more than %d: %x", quick.peer, packet, len(got), r.size, got)
					return
				}
				if !bytes.Equal(withoutTTLs(got), withoutTTLs(want)) {
					t.Errorf("from memory: %v, client %s over %s\nasked %x\n got %x\nwant %x", known, quick.peer, over.transport, packet, got, want)
					return
				}
			}
		})
	}
	group.Wait()
	// How many depends on how often replies expire meanwhile, so on the machine.
	if n := remembered.Load(); n < int64(questions)/20 {
		t.Errorf("of %d questions only %d were answered from memory: little was shown", questions, n)
	}
}

// accept reads the whole of a packet, the name in its question included.
func accept(packet []byte) (r request, why Refusal) {
	if why = r.read(packet); why == Accepted {
		why = r.readName()
	}
	return r, why
}

// usualOrigins are transports, the usual one most often.
var usualOrigins = []origin{
	{transport: udp}, {transport: udp}, {transport: doq, kind: replycache.QUIC, stream: true, encrypted: true},
	{transport: h3, kind: replycache.HTTP3, stream: true, encrypted: true},
}

// ordinary is the reply to a packet by way of Resolve and Message.
func ordinary(s *Server, x *scratch, packet []byte, peer netip.AddrPort, over origin) []byte {
	r, why := accept(packet)
	q := &query{client: zones.NewClient(peer.Addr(), here), began: time.Now()}
	q.origin, q.peer, q.cookieFor = over, peer, q.client.Addr
	if q.transport == doq && why == Accepted && r.keepalive {
		return nil
	}
	if why != Accepted {
		return s.refuse(q, x, &r, why).reply
	}
	q.asked = r.query(q.client)
	answer := s.config.Handler.(*estate).Resolve(context.Background(), q.asked)
	x.memory.key = nil
	return s.finish(q, x, &r, answer).reply
}

// here is where the packets of an asker arrive.
var here = netip.MustParseAddrPort("127.0.0.1:53")

// asker asks with packets and without sockets.
type asker struct {
	*query
	x      *scratch
	socket *udpSocket
	peer   netip.AddrPort
	late   chan []byte // replies to what was pending
}

func newAsker() *asker {
	return &asker{
		query: new(query), x: newScratch(), socket: &udpSocket{local: here}, peer: netip.MustParseAddrPort("127.0.0.1:4000"),
		late: make(chan []byte, 1),
	}
}

func (a *asker) deliver(_ *query, reply []byte) { a.late <- bytes.Clone(reply) }

// fast is the reply to a packet by the way that packets take, and whether it came from
// the reply cache.
func fast(s *Server, packet []byte, a *asker) (reply []byte, known bool) {
	return fastOver(s, packet, a, usualOrigins[0])
}

// fastOver is fast over some transport.
func fastOver(s *Server, packet []byte, a *asker, over origin) (reply []byte, known bool) {
	a.began, a.client = time.Now(), zones.NewClient(a.peer.Addr(), here)
	a.origin, a.query.peer, a.cookieFor, a.to = over, a.peer, a.client.Addr, a
	a.x.memory.open(s, a.began)
	out := s.serve(a.query, a.x, packet)
	reply = out.reply
	if out.waits {
		reply = <-a.late
	}
	if out.taken {
		a.query = new(query)
	}
	return reply, out.inScratch
}

// withoutTTLs is a reply with every TTL zero, and the server's part of a cookie,
// which says when it was made.
func withoutTTLs(reply []byte) []byte {
	reply = bytes.Clone(reply)
	const made = 12
	if at, found := wire.LastOPT(reply); found && len(reply)-at >= cookieRoom {
		if option := reply[len(reply)-cookieRoom:]; option[1] == dns.EDNS0COOKIE && option[3] == cookieRoom-4 {
			clear(reply[len(reply)-made:])
		}
	}
	offsets, _ := wire.TTLs(reply)
	for _, at := range offsets {
		clear(reply[at : at+4])
	}
	return reply
}

// randomPacket is a query: most are ordinary, so that they are asked again, and
// some are odd in every way.
func randomPacket(random *rand.Rand) []byte {
	pick := func(from ...uint16) uint16 { return from[random.IntN(len(from))] }
	names := []string{
		"mydb.database.windows.net", "mydb.privatelink.database.windows.net", "probed.database.windows.net",
		"none.privatelink.database.windows.net", "privatelink.database.windows.net", "api.contoso.com", "www.api.contoso.com",
		"a.env.azurecontainerapps.io", "b.env.azurecontainerapps.io", "a.privatelink.env.azurecontainerapps.io", "*.env.azurecontainerapps.io",
		"corp.contoso.com", "db.corp.contoso.com", "away.corp.contoso.com", "none.corp.contoso.com",
		"www.example", "short.example", "fleeting.example", "nothing.example", "unproven.example", "servfail.example", "broken.example",
		"large.example", "vanity.example", "localhost", "4.1.0.10.in-addr.arpa", "1.0.10.in-addr.arpa", "_dns.resolver.arpa", "",
	}
	kinds := []uint16{dns.TypeA, dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeTXT, dns.TypeMX, dns.TypeSOA, dns.TypeNS, dns.TypeDS,
		dns.TypeCNAME, dns.TypePTR, dns.TypeANY, dns.TypeAXFR, dns.TypeOPT, dns.TypeTSIG, 0, 65280}
	class, flags := uint16(dns.ClassINET), uint16(wire.RD)
	if random.IntN(20) == 0 {
		class = pick(dns.ClassCHAOS, dns.ClassANY, 0)
	}
	if random.IntN(3) == 0 {
		flags = uint16(random.Uint32()) &^ (wire.QR | wire.Opcodes)
	}
	if random.IntN(50) == 0 {
		flags |= uint16(random.Uint32()) & (wire.QR | wire.Opcodes) &^ wire.QR
	}
	packet := binary.BigEndian.AppendUint16(nil, uint16(random.Uint32()))
	packet = binary.BigEndian.AppendUint16(packet, flags)
	packet = append(packet, 0, 1, 0, 0, 0, 0, 0, 0)
	packet = appendName(packet, names[random.IntN(len(names))], random)
	packet = binary.BigEndian.AppendUint16(packet, pick(kinds...))
	packet = binary.BigEndian.AppendUint16(packet, class)
	if random.IntN(2) == 0 {
		return packet
	}
	packet[11] = 1
	packet = append(packet, 0, 0, byte(dns.TypeOPT))
	packet = binary.BigEndian.AppendUint16(packet, pick(0, 512, 600, 1232, 1232, 4096, 65535))
	packet = append(packet, 0, 0, byte(pick(0, 0, 0, 0x80)), 0)
	if random.IntN(50) == 0 {
		packet[len(packet)-3] = 1 // a version that nobody knows
	}
	options := []string{"", "", "", "\x00\x0a\x00\x0812345678", "\x00\x0a\x00\x05short", "\x00\x08\x00\x07\x00\x01\x18\x00\x0a\x01\x02", "\xfd\xe9\x00\x00", "\x00\x0b\x00\x00", "\x00\x0c\x00\x04\x00\x00\x00\x00", "\x00"}
	option := options[random.IntN(len(options))]
	packet = binary.BigEndian.AppendUint16(packet, uint16(len(option)))
	return append(packet, option...)
}

// appendName appends a name in wire form, in random letter case.
func appendName(packet []byte, name string, random *rand.Rand) []byte {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			continue
		}
		packet = append(packet, byte(len(label)))
		for _, letter := range []byte(label) {
			if random.IntN(2) == 0 && 'a' <= letter && letter <= 'z' {
				letter -= 'a' - 'A'
			}
			packet = append(packet, letter)
		}
	}
	return append(packet, 0)
}
