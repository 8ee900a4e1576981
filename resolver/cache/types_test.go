package cache_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/zones"
)

// bitmap is a type bitmap with all 65,536 types in it (RFC 4034 section 4.1.2).
func bitmap() []byte {
	var all []byte
	for window := range 256 {
		all = append(append(all, byte(window), 32), bytes.Repeat([]byte{0xFF}, 32)...)
	}
	return all
}

// most is about as much data as one record can have beside a header.
const most = 60_000

// parameters are SVCB parameters of unknown keys without values.
func parameters() []byte {
	var all []byte
	for key := 1000; len(all) < most; key++ {
		all = binary.BigEndian.AppendUint32(all, uint32(key)<<16)
	}
	return all
}

// greedy is record data that is to take as much memory as it can when it is
// unpacked, for one type or for whichever can read it.
func greedy(rrtype uint16) [][]byte {
	zeros := func(n int) []byte { return make([]byte, n) }
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	switch rrtype {
	case dns.TypeAPL: // prefixes without octets
		return [][]byte{bytes.Repeat([]byte{0, 1, 0, 0}, most/4)}
	case dns.TypeNSEC:
		return [][]byte{join(zeros(1), bitmap())}
	case dns.TypeNSEC3:
		return [][]byte{join([]byte{1, 0, 0, 0, 0, 1, 0}, bitmap())}
	case dns.TypeCSYNC:
		return [][]byte{join(zeros(6), bitmap())}
	case dns.TypeSVCB, dns.TypeHTTPS:
		hints := func(key byte, size int) []byte {
			return join([]byte{0, 1, 0, 0, key}, binary.BigEndian.AppendUint16(nil, uint16(size)), zeros(size))
		}
		alpn := join([]byte{0, 1, 0, 0, 1}, binary.BigEndian.AppendUint16(nil, most), bytes.Repeat([]byte{1, 'x'}, most/2))
		return [][]byte{hints(4, most), hints(6, most), alpn, join([]byte{0, 1, 0}, parameters())}
	case dns.TypeHIP: // rendezvous servers at the root
		return [][]byte{join([]byte{1, 2, 0, 1, 7, 7}, zeros(most))}
	case dns.TypeCAA:
		return [][]byte{join([]byte{0, 5}, []byte("issue"), bytes.Repeat([]byte{'x'}, 1000))}
	}
	var all [][]byte
	for _, size := range []int{most, 255, 64, 48, 38, 34, 28, 22, 20, 18, 16, 12, 10, 8, 6, 5, 4, 3, 2, 1, 0} {
		all = append(all, zeros(size))
	}
	return all
}

// worst are records of a type, unpacked from the data that is the first to be
// understood, each in one answer.
func worst(tb testing.TB, rrtype uint16, owner string) []dns.RR {
	wire := make([]byte, 300)
	end, err := dns.PackDomainName(owner, wire, 0, nil, false)
	if err != nil {
		tb.Fatal(err)
	}
	var found []dns.RR
	candidates := greedy(rrtype)
	for _, data := range candidates {
		packed := binary.BigEndian.AppendUint16(slices.Clone(wire[:end]), rrtype)
		packed = append(packed, 0, 1, 0, 0, 14, 16)
		packed = append(binary.BigEndian.AppendUint16(packed, uint16(len(data))), data...)
		rr, off, err := dns.UnpackRR(packed, 0)
		if err != nil || off != len(packed) || !packs(rr) {
			continue
		}
		if found = append(found, rr); len(candidates) > 10 {
			break
		}
	}
	return found
}

// packs tells whether the library can write what it has read: it refuses texts of
// some types that are longer than a client could be told.
func packs(rr dns.RR) bool {
	_, err := dns.PackRR(rr, make([]byte, dns.Len(rr)+1), 0, nil, false)
	return err == nil
}

// types are all that the library unpacks.
func types() []uint16 {
	var all []uint16
	for rrtype := range dns.TypeToRR {
		all = append(all, rrtype)
	}
	slices.Sort(all)
	return all
}

// What is told from memory is what was said, bit for bit, whatever the type, and
// so is what no type is known for (RFC 3597).
func TestEveryTypeIsExact(t *testing.T) {
	c := cache.New(cache.Config{})
	for _, rrtype := range append(types(), 65_000) {
		records := worst(t, rrtype, "www.example.com.")
		if rrtype == 65_000 {
			records = rrs(t, "www.example.com. 300 IN TYPE65000 \\# 4 C00CFFFF")
		}
		for _, rr := range records {
			var server script
			server.says(resolver.Reply{Answer: []dns.RR{rr}, Authority: []dns.RR{rr}}, nil)
			group := c.Group(fmt.Sprintf("%d %p", rrtype, rr), &server)
			q := resolver.Question{Name: zones.MustName("www.example.com"), Type: rrtype}
			said := message(t, q, ask(t, group, q))
			again := ask(t, group, q)
			if len(said) < 1<<16-1 && again.Source != resolver.FromCache {
				t.Errorf("%v: %d octets are not kept", dns.Type(rrtype), len(said))
			}
			if told := message(t, q, again); !bytes.Equal(said, told) {
				t.Errorf("%v: %d octets became %d others", dns.Type(rrtype), len(said), len(told))
			}
		}
	}
}

// message is what a client would be sent.
func message(tb testing.TB, q resolver.Question, reply resolver.Reply) []byte {
	tb.Helper()
	msg := new(dns.Msg)
	msg.SetQuestion(q.Name.FQDN(), q.Type)
	msg.Id, msg.Compress, msg.Answer, msg.Ns = 0, true, reply.Answer, reply.Authority
	wire, err := msg.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return wire
}

// An answer that no message could hold is told, and not kept.
func TestTooLongIsNotKept(t *testing.T) {
	var server script
	record := worst(t, dns.TypeNULL, "www.example.com.")[0]
	server.says(resolver.Reply{Answer: []dns.RR{record, record}, Source: resolver.FromUpstream}, nil)
	c := cache.New(cache.Config{})
	group, q := c.Group("azure", &server), question("www.example.com", dns.TypeNULL)
	for range 2 {
		if reply := ask(t, group, q); len(reply.Answer) != 2 || reply.Source != resolver.FromUpstream {
			t.Errorf("%d records from %v", len(reply.Answer), reply.Source)
		}
	}
	if c.Len() != 0 || c.Bytes() != 0 {
		t.Errorf("%d entries, %d bytes", c.Len(), c.Bytes())
	}
}
