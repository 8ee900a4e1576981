package listen

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/primary"
	"pldns/resolver/tsig"
	"pldns/resolver/wire"
	"pldns/zones"
)

// willing gives every zone, and takes every NOTIFY.
type willing struct{}

func (willing) Notify(zones.Name, netip.Addr, zones.Name) bool { return true }

func (willing) Transfer(q primary.Request) primary.Outcome {
	soa := zones.SOA(q.Zone)
	return primary.Outcome{Verdict: primary.Given, SOA: soa, Records: func(yield func(dns.RR) bool) { yield(soa) }}
}

func (willing) Took(primary.Request, bool) {}

// FuzzPeers: whatever comes, signed or not, there is silence or a well-formed reply with the same
// id, no larger than the client can take, that is signed if and only if the signature of the message
// is right or only its time is wrong.
func FuzzPeers(f *testing.F) {
	key := &tsig.Key{Name: zones.MustName("key.example"), Algorithm: "hmac-sha256", Secret: []byte("a secret that the seeds are signed with")}
	ring := tsig.Ring{key.Name: key}
	now := time.Unix(1_800_000_000, 0)
	seeds(f)
	for _, m := range []*dns.Msg{
		new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA), new(dns.Msg).SetNotify("a.example."), new(dns.Msg).SetAxfr("a.example."),
		new(dns.Msg).SetIxfr("a.example.", 1, "ns.example.", "mb.example."), new(dns.Msg).SetQuestion("a.example.", dns.TypeSOA).SetEdns0(1232, true),
		new(dns.Msg).SetUpdate("a.example."),
	} {
		for _, at := range []time.Time{now, now.Add(-time.Hour)} {
			packed, _ := key.Sign(packed(f, m), at)
			f.Add(packed)
			wrong := bytes.Clone(packed)
			wrong[len(wrong)-8] ^= 1
			f.Add(wrong)
		}
	}
	s, err := New(Config{
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53")}, Handler: newEstate(f),
		Peers: Peers{Keys: ring, Notified: willing{}, Transfers: willing{}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		original, a := bytes.Clone(packet), newAsker()
		a.peer, a.began = netip.MustParseAddrPort("10.0.0.1:4000"), now
		a.x.memory.open(s, now)
		out := s.receive(a.query, a.x, a.socket, packet, a.peer, nil)
		if !bytes.Equal(packet, original) {
			t.Fatal("the packet was changed")
		}
		if out.reply == nil {
			return
		}
		r, _ := accept(original)
		reply := new(dns.Msg)
		if err := reply.Unpack(out.reply); err != nil {
			t.Fatalf("the reply is malformed: %v: %x", err, out.reply)
		}
		if !reply.Response || wire.ID(out.reply) != wire.ID(original) || len(out.reply) > r.size {
			t.Fatalf("%d octets, limit %d: %v", len(out.reply), r.size, reply)
		}
		request, err := ring.Receive(bytes.Clone(original), now)
		proves := err == nil && (request.Fault == nil || request.Fault.Code == dns.RcodeBadTime || request.Fault.Code == dns.RcodeBadTrunc)
		signed := reply.IsTsig() != nil && reply.IsTsig().MACSize > 0
		if signed && !proves || proves && !signed && out.why == Accepted {
			t.Fatalf("proven: %v, signed: %v, %s: %v", proves, signed, out.why, reply)
		}
	})
}
