package listen

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
	"pldns/zones"
)

// TestSaidAsPacked: an answer that stays in wire form makes octet for octet the reply that
// its records make, whatever is asked, where all of it fits.
func TestSaidAsPacked(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	client := zones.NewClient(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddrPort("192.0.2.53:53"))
	q, one, other := new(query), newScratch(), newScratch()
	tried := 0
	for range 20_000 {
		r, why := accept(randomPacket(random))
		if why != Accepted || r.class != dns.ClassINET {
			continue
		}
		q.client, q.asked, q.stream = client, r.query(client), random.IntN(2) == 0
		answer, authority := randomSections(random, dns.CanonicalName(r.name))
		packed, err := wire.Pack(q.asked.Name.FQDN(), q.asked.Type, wire.QR, answer, authority)
		if err != nil {
			t.Fatal(err)
		}
		a := resolver.Answer{Rcode: []int{dns.RcodeSuccess, dns.RcodeNameError}[random.IntN(2)], Authenticated: random.IntN(2) == 0}
		if a.Wire = packed.Aged(uint32(random.IntN(100))); random.IntN(4) == 0 {
			a.Wire = packed.Expired(uint32(random.IntN(400)), 30)
			a.Errors = []resolver.Error{{Code: dns.ExtendedErrorCodeStaleAnswer, Text: "old"}, {Code: 22}}
		}
		got, whole, err := q.pack(one, &r, a)
		want, wholeToo, errToo := q.pack(other, &r, a.Unpacked())
		if !bytes.Equal(got, want) || whole != wholeToo || err != errToo {
			t.Fatalf("%s %s: %v\n%x\nas records: %v\n%x", r.name, dns.Type(r.kind), err, got, errToo, want)
		}
		tried++
	}
	if tried < 5_000 {
		t.Errorf("only %d were tried", tried)
	}
}

func randomSections(random *rand.Rand, name string) (answer, authority []dns.RR) {
	header := func(name string, rrtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: uint32(random.IntN(300))}
	}
	for i := range random.IntN(3) {
		target := fmt.Sprintf("hop%d.Example.", i)
		answer = append(answer, &dns.CNAME{Hdr: header(name, dns.TypeCNAME), Target: dns.CanonicalName(target)})
		name = dns.CanonicalName(target)
	}
	for i := range random.IntN(40) {
		answer = append(answer, &dns.A{Hdr: header(name, dns.TypeA), A: []byte{192, 0, 2, byte(i)}})
	}
	if len(answer) == 0 {
		authority = []dns.RR{&dns.SOA{Hdr: header("example.", dns.TypeSOA), Ns: "ns.example.", Mbox: "host.example.", Minttl: 10}}
	}
	return answer, authority
}
