package resolver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/zones"
)

// The splice reads messages in wire form. What follows is the same over records, as the
// measure of it.

// overRecords follows the chain as [chain.follow] does.
func (c *chain) overRecords() (answer Answer, done bool) {
	for {
		if result := c.network.Lookup(c.name(), c.query.Type); result.Owned() {
			answer, done = c.owned(result)
		} else {
			if answer, done = c.unasked(); done {
				return answer, true
			}
			c.ask()
			c.reply.Group = c.route.Group
			c.last, c.once = c.reply, true
			if c.query.Type == dns.TypeANY {
				return c.minimal(), true
			}
			answer, done = c.spliceRecords(c.route, c.reply)
		}
		if done {
			return answer, true
		}
	}
}

// spliceRecords is [chain.splice] over records.
func (c *chain) spliceRecords(route Route, reply Reply) (Answer, bool) {
	c.signed = c.signed && reply.Authenticated
	failing := reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError
	packed, err := reply.Packed(c.asked)
	if err != nil {
		return failure(route.Group, err), true
	}
	if c.query.Type == dns.TypeHTTPS || c.query.Type == dns.TypeSVCB {
		packed = c.withoutHints(packed)
	}
	records, followed := packed.Unpacked().Answer, false
	for i, rr := range records {
		c.records = append(c.records, rr)
		cname, is := rr.(*dns.CNAME)
		if !is || c.query.Type == dns.TypeCNAME || zones.NameOf(cname.Hdr.Name) != c.name() {
			continue
		}
		followed = true
		target := zones.NameOf(cname.Target)
		if answer, done := c.step(target); done {
			return answer, true
		}
		if c.leaves(route, target, failing) {
			c.records = append(c.records, signatures(records[i+1:], rr)...)
			return Answer{}, false
		}
	}
	if failing {
		return unanswered(route.Group, reply), true
	}
	stops := reply.Rcode == dns.RcodeSuccess && len(reply.Authority) == 0 &&
		!slices.ContainsFunc(records, func(rr dns.RR) bool { return zones.NameOf(rr.Header().Name) == c.name() })
	if followed && stops {
		return Answer{}, false
	}
	if reply.Rcode == dns.RcodeNameError && c.network.HasBelow(c.name()) {
		reply.Rcode, reply.Authority, c.altered = dns.RcodeSuccess, onlySOA(reply.Authority), true
	}
	return Answer{
		Rcode: reply.Rcode, Records: c.records, Authority: reply.Authority, Authenticated: c.signed && !c.local && !c.altered, Errors: reply.Errors,
	}, true
}

// randomOutside says, of every question, something made from its seed.
type randomOutside uint64

func (o randomOutside) Start(q Question, _ Asker, _ time.Time, _ func(Reply, error)) (Reply, bool, error) {
	hash := uint64(q.Type)
	for _, octet := range []byte(q.Name.FQDN()) {
		hash = hash*31 + uint64(octet)
	}
	return randomReply(rand.New(rand.NewPCG(uint64(o), hash)), q), false, nil
}

// splicedNames are names that the network owns, that lead to another group, and others.
var splicedNames = strings.Fields(`www.example.com. a.example.com. b.example.com. c.example.com. example.com. mine.contoso.com.
	above.contoso.com. deep.above.contoso.com. host.corp.example. corp.example. far.corp.example. a\.b.example.com. \000.example.com. .`)

func randomReply(random *rand.Rand, q Question) Reply {
	pick := func() string { return splicedNames[random.IntN(len(splicedNames))] }
	reply := Reply{Source: FromCache, Server: "192.0.2.53", Authenticated: random.IntN(2) == 0}
	header := func(name string, rrtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: uint32(random.IntN(300))}
	}
	at := q.Name.FQDN()
	for range random.IntN(4) {
		target := pick()
		reply.Answer = append(reply.Answer, &dns.CNAME{Hdr: header(at, dns.TypeCNAME), Target: target})
		if random.IntN(6) == 0 {
			reply.Answer = append(reply.Answer, &dns.RRSIG{Hdr: header(at, dns.TypeRRSIG), TypeCovered: dns.TypeCNAME, SignerName: "com."})
		}
		if at = target; random.IntN(20) == 0 {
			at = pick()
		}
	}
	switch random.IntN(3) {
	case 0:
		kind := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeHTTPS}[random.IntN(4)]
		rr := dns.TypeToRR[kind]()
		switch rr := rr.(type) {
		case *dns.A:
			rr.A = []byte{192, 0, 2, byte(random.IntN(4))}
		case *dns.AAAA:
			rr.AAAA = netip.MustParseAddr("2001:db8::1").AsSlice()
		case *dns.TXT:
			rr.Txt = []string{"text"}
		case *dns.HTTPS:
			rr.Priority, rr.Target = 1, pick()
			rr.Value = []dns.SVCBKeyValue{&dns.SVCBIPv4Hint{Hint: []net.IP{{192, 0, 2, 1}}}}
		}
		*rr.Header() = header(at, kind)
		reply.Answer = append(reply.Answer, rr)
	case 1:
		reply.Rcode = []int{dns.RcodeSuccess, dns.RcodeNameError}[random.IntN(2)]
		reply.Authority = []dns.RR{&dns.SOA{Hdr: header("example.com.", dns.TypeSOA), Ns: "ns.example.com.", Mbox: ".", Minttl: 10}}
	}
	if random.IntN(10) == 0 {
		reply.Rcode, reply.Errors = []int{dns.RcodeServerFailure, dns.RcodeRefused}[random.IntN(2)], []Error{{Code: 22}}
	}
	return reply
}

// splicedQuestions is how many random questions are tried.
const splicedQuestions = 30_000

// TestSpliceOverMessages: the answer to random questions is that which the same rules give
// over records.
func TestSpliceOverMessages(t *testing.T) {
	endpoint := func(name string) zones.Endpoint {
		return zones.Endpoint{Name: zones.MustName(name), TTL: 10, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.4")}}
	}
	table, err := zones.Build([]zones.NetworkSpec{{
		Name: "hub", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Endpoints: []zones.Endpoint{endpoint("mine.contoso.com"), endpoint("deep.above.contoso.com")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	network, _ := table.Network("hub")
	random := rand.New(rand.NewPCG(1, 2))
	wired := 0
	var outside randomOutside
	var snapshot *Snapshot
	for i := range splicedQuestions {
		if i%64 == 0 {
			outside = randomOutside(random.Uint64())
			snapshot, err = NewSnapshot(Options{Table: table, Routes: map[string][]Route{"hub": {
				{Suffix: zones.Root(), Group: "azure", To: outside}, {Suffix: zones.MustName("corp.example"), Group: "corp", To: outside},
			}}})
			if err != nil {
				t.Fatal(err)
			}
		}
		kinds := []uint16{dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeCNAME, dns.TypeTXT, dns.TypeANY}
		q := NewClientQuery(zones.NameOf(splicedNames[random.IntN(len(splicedNames))]), kinds[random.IntN(len(kinds))],
			zones.NewClient(netip.MustParseAddr("10.0.0.1"), netip.AddrPort{}))
		got, pending := snapshot.Begin(q, network, nil)
		if pending != nil {
			t.Fatal("it waits")
		}
		if !got.Wire.IsZero() {
			wired++
		}
		c := &chain{walk: walk{query: q, snapshot: snapshot, network: network, routes: snapshot.routes[network], names: []zones.Name{q.Name}, signed: true}}
		want, _ := c.overRecords()
		want.Source = c.source(want)
		if one, other := said(got.Unpacked(), len(c.names)-1), said(want, len(c.names)-1); one != other || got.Hops != len(c.names)-1 {
			t.Fatalf("seed %d asks %s %s:\n%s\nover records:\n%s", outside, q.Name, dns.Type(q.Type), one, other)
		}
	}
	if wired < splicedQuestions/20 {
		t.Errorf("only %d of %d answers stay in wire form", wired, splicedQuestions)
	}
}

// said is what an answer says, in words.
func said(a Answer, hops int) string {
	return fmt.Sprintln(a.Rcode, Presentation(a.Records), Presentation(a.Authority), a.Authoritative, a.Authenticated, a.Errors, a.Endpoint, a.Zone, a.Source, hops)
}
