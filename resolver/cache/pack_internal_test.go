package cache

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// FuzzPack has whatever can be read from a message written by the short way and by
// the library, and read by the short way and by the library: the records are the
// same each time.
func FuzzPack(f *testing.F) {
	for _, answer := range [][]string{
		{"www.example.com. 300 IN A 192.0.2.1", "www.example.com. 300 IN A 192.0.2.2"},
		{
			"www.example.com. 300 IN CNAME a.example.com.", "a.example.com. 20 IN CNAME b.www.example.com.",
			"b.www.example.com. 20 IN AAAA 2001:db8::1",
		},
		{"www.example.com. 300 IN CNAME .", ". 300 IN A 192.0.2.1"},
		{"www.example.com. 300 IN CNAME www.example.com.", "www.example.com. 300 IN CNAME WWW.example.com."},
		{"www.example.com. 300 IN CNAME a\\.b.example.com.", "a\\.b.example.com. 300 CH A 192.0.2.1"},
		{"www.example.com. 300 IN CNAME com.", "com. 300 IN TXT a", "other. 1 IN A 192.0.2.1", "com. 300 IN A 192.0.2.1"},
	} {
		msg := new(dns.Msg)
		msg.SetQuestion("www.example.com.", dns.TypeA)
		for _, line := range answer {
			rr, err := dns.NewRR(line)
			if err != nil {
				f.Fatal(err)
			}
			msg.Answer = append(msg.Answer, rr)
		}
		wire, err := msg.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire, uint32(0))
		f.Add(wire, uint32(100))
	}
	f.Fuzz(func(t *testing.T, wire []byte, passed uint32) {
		msg := new(dns.Msg)
		if msg.Unpack(wire) != nil || len(msg.Question) != 1 {
			return
		}
		q := resolver.Question{Name: zones.NameOf(msg.Question[0].Name), Type: msg.Question[0].Qtype}
		said := resolver.Reply{Answer: msg.Answer, Authority: msg.Ns}
		byLibrary := packAny(q, said)
		if short := packPlain(make([]byte, 0, maxPlain), q, said); short != nil {
			putHeader(short, q, said)
			if read := new(dns.Msg); read.Unpack(short) != nil || byLibrary == nil || !same(read, byLibrary) {
				t.Fatalf("the short way writes %x, the library %x", short, byLibrary)
			}
		}
		k := key{group: "azure", question: q}
		e := newEntry(k, said, 1, time.Hour)
		if e == nil {
			return
		}
		if !e.of(k) || e.name() != q.Name {
			t.Fatalf("what was said to %v is kept for %v", q.Name, e.name())
		}
		reply, _, read := e.reply(q.Name.FQDN(), 1+time.Duration(passed)*time.Second, false)
		want := new(dns.Msg)
		if err := want.Unpack(e.wire); err != nil || !read {
			t.Fatalf("what is kept is read: %v, by the library: %v", read, err)
		}
		for _, rr := range append(want.Answer, want.Ns...) {
			rr.Header().Ttl -= min(rr.Header().Ttl, passed)
		}
		if len(want.Answer) == 0 {
			want.Answer = nil
		}
		if len(want.Ns) == 0 {
			want.Ns = nil
		}
		if !reflect.DeepEqual(reply.Answer, want.Answer) || !reflect.DeepEqual(reply.Authority, want.Ns) {
			t.Fatalf("read %v %v, by the library %v %v", reply.Answer, reply.Authority, want.Answer, want.Ns)
		}
	})
}

// same tells whether a message has the records of another, as the library writes them.
func same(read *dns.Msg, other []byte) bool {
	again := packAny(resolver.Question{Name: zones.NameOf(read.Question[0].Name), Type: read.Question[0].Qtype},
		resolver.Reply{Answer: read.Answer, Authority: read.Ns})
	return again != nil && bytes.Equal(again[headerSize:], other[headerSize:])
}

// Names are compared as they are, octet by octet, whatever they hold.
func TestNameIs(t *testing.T) {
	for _, name := range []string{".", "com.", "www.example.com.", "a\\.b.example.com.", "\\000.example.", "a\\\\.b.", "-._x.*."} {
		wire := make([]byte, 256)
		if _, err := dns.PackDomainName(name, wire, 0, nil, false); err != nil {
			t.Fatal(err)
		}
		if !nameIs(wire, name) {
			t.Errorf("%q is not itself", name)
		}
		for _, other := range []string{
			".", "co.", "com.com.", "ww.example.com.", "www.example.comx.", "www.example.com.x.", "a.b.example.com.", "a\\.b.", "b.",
		} {
			if other != name && nameIs(wire, other) {
				t.Errorf("%q is %q", name, other)
			}
		}
	}
}
