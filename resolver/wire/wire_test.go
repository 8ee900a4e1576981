package wire_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
	"pldns/zones"
)

// messages are replies as servers send them.
func messages(tb testing.TB) (packed [][]byte) {
	tb.Helper()
	for _, sections := range [][3][]string{
		{{"www.example.com. 300 IN A 192.0.2.1", "www.example.com. 300 IN A 192.0.2.2"}},
		{{
			"www.example.com. 300 IN CNAME a.example.com.", "a.example.com. 20 IN CNAME b.www.example.com.",
			"b.www.example.com. 20 IN AAAA 2001:db8::1",
		}},
		{{}, {"example.com. 900 IN SOA ns.example.com. host.example.com. 1 3600 600 86400 300"}},
		{{"www.example.com. 5 IN MX 10 mx.example.com.", "www.example.com. 5 IN TXT \"a\" \"b\""}, {"example.com. 60 IN NS ns.example.com."}, {"ns.example.com. 60 IN A 192.0.2.3"}},
		{{"www.example.com. 300 IN CNAME a\\.b.example.com.", "a\\.b.example.com. 300 CH A 192.0.2.1"}},
		{{"www.example.com. 300 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1"}},
		{{"www.example.com. 300 IN SRV 1 2 3 host.example.com.", "www.example.com. 300 IN PTR ."}},
	} {
		msg := new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA).SetEdns0(1232, true)
		msg.Response, msg.Compress = true, true
		for i, section := range []*[]dns.RR{&msg.Answer, &msg.Ns, &msg.Extra} {
			for _, text := range sections[i] {
				rr, err := dns.NewRR(text)
				if err != nil {
					tb.Fatal(err)
				}
				*section = append([]dns.RR{rr}, *section...)
			}
		}
		opt := msg.IsEdns0()
		opt.Option = append(opt.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"})
		message, err := msg.Pack()
		if err != nil {
			tb.Fatal(err)
		}
		packed = append(packed, message)
	}
	return packed
}

// FuzzCheck shows that what is accepted as well formed is what the library reads, record
// for record.
func FuzzCheck(f *testing.F) {
	for _, message := range messages(f) {
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		opt, ok := wire.Check(message)
		if !ok {
			return
		}
		msg := new(dns.Msg)
		if err := msg.Unpack(message); err != nil {
			t.Fatalf("the library says %v", err)
		}
		r, ok := wire.ReadRecords(message)
		records := append(append(append([]dns.RR{}, msg.Answer...), msg.Ns...), msg.Extra...)
		if !ok || len(records) != wire.Records(message) || (opt.Type == dns.TypeOPT) != (msg.IsEdns0() != nil) {
			t.Fatalf("%d records, the library has %d", wire.Records(message), len(records))
		}
		for _, want := range records {
			rec, ok := r.Record()
			h := want.Header()
			name, named := wire.Name(message, rec.Owner)
			if !ok || !named || name != zones.NameOf(h.Name) || !wire.IsName(message, rec.Owner, name) ||
				rec.Type != h.Rrtype || rec.Class != h.Class || rec.TTL != h.Ttl || rec.End-rec.Data != int(h.Rdlength) {
				t.Fatalf("read %+v of %v, the library %v", rec, name, want)
			}
			if cname, is := want.(*dns.CNAME); is {
				if target, _ := wire.Name(message, rec.Data); target != zones.NameOf(cname.Target) {
					t.Fatalf("an alias of %v, the library says %s", target, cname.Target)
				}
			}
			if soa, is := want.(*dns.SOA); is && rec.MinTTL(message) != soa.Minttl {
				t.Fatalf("minimum %d, want %d", rec.MinTTL(message), soa.Minttl)
			}
		}
		sameNames(t, message, records)
	})
}

// sameNames compares the owners of a message with each other.
func sameNames(t *testing.T, message []byte, records []dns.RR) {
	t.Helper()
	owners := []int{wire.HeaderSize}
	name, _ := wire.Text(message, wire.HeaderSize)
	names := []string{name}
	r, _ := wire.ReadRecords(message)
	for _, rr := range records[:min(len(records), 8)] {
		rec, _ := r.Record()
		owners, names = append(owners, rec.Owner), append(names, rr.Header().Name)
	}
	for i, a := range owners {
		for j, b := range owners {
			one, other := dns.CanonicalName(names[i]), dns.CanonicalName(names[j])
			if got := wire.SameName(message, a, b); got != (one == other) {
				t.Fatalf("%s is %s: %v", one, other, got)
			}
			if got, want := wire.Within(message, a, b), zones.NameOf(one).Within(zones.NameOf(other)); got != want {
				t.Fatalf("%s is within %s: %v", one, other, got)
			}
		}
	}
}

// FuzzMessage has whatever the library reads written as a message, aged and read again:
// the records are the same, with their TTLs lower.
func FuzzMessage(f *testing.F) {
	for _, message := range messages(f) {
		f.Add(message, uint32(0))
		f.Add(message, uint32(100))
	}
	f.Fuzz(func(t *testing.T, message []byte, passed uint32) {
		msg := new(dns.Msg)
		if msg.Unpack(message) != nil || len(msg.Question) != 1 {
			return
		}
		name, qtype := dns.CanonicalName(msg.Question[0].Name), msg.Question[0].Qtype
		packed, err := wire.Pack(name, qtype, wire.QR, msg.Answer, msg.Ns)
		if err != nil {
			return
		}
		if !wire.IsName(packed.Octets(), wire.HeaderSize, zones.NameOf(name)) {
			t.Fatalf("what was said about %s is about something else", name)
		}
		want := new(dns.Msg)
		if err := want.Unpack(packed.Octets()); err != nil {
			t.Fatal(err)
		}
		for _, rr := range append(want.Answer, want.Ns...) {
			rr.Header().Ttl -= min(rr.Header().Ttl, passed)
		}
		answer, authority, err := packed.Aged(passed).Unpack()
		if err != nil || !same(answer, want.Answer) || !same(authority, want.Ns) {
			t.Fatalf("read %v %v (%v), the library %v", answer, authority, err, want)
		}
		written := packed.Aged(passed).AppendTo([]byte("before"))
		again := new(dns.Msg)
		if err := again.Unpack(written[len("before"):]); err != nil || !same(again.Answer, want.Answer) || !same(again.Ns, want.Ns) {
			t.Fatalf("written %v (%v), want %v", again, err, want)
		}
		if short := packed.WithoutAuthority(); short.Count(wire.Authority) != 0 || short.Count(wire.Answer) != len(want.Answer) {
			t.Fatal("more than the authority section is gone")
		}
	})
}

func same(a, b []dns.RR) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }

// FuzzReader reads anything: nothing is read beyond the end.
func FuzzReader(f *testing.F) {
	for _, message := range messages(f) {
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		offsets, _ := wire.TTLs(message)
		for _, at := range offsets {
			if int(at)+4 > len(message) {
				t.Fatalf("a TTL at %d of %d octets", at, len(message))
			}
		}
		_, _ = wire.LastOPT(message)
		if len(message) > wire.HeaderSize {
			_, _ = wire.Name(message, wire.HeaderSize)
			_ = wire.SameName(message, wire.HeaderSize, len(message)-1)
		}
	})
}

// Names are compared as they are, octet by octet, whatever they hold.
func TestIsName(t *testing.T) {
	for _, name := range []string{".", "com.", "www.example.com.", "a\\.b.example.com.", "\\000.example.", "a\\\\.b.", "-._x.*."} {
		message := make([]byte, wire.HeaderSize+wire.MaxName)
		if _, err := dns.PackDomainName(name, message, wire.HeaderSize, nil, false); err != nil {
			t.Fatal(err)
		}
		if !wire.IsName(message, wire.HeaderSize, zones.NameOf(name)) {
			t.Errorf("%q is not itself", name)
		}
		if got, ok := wire.Name(message, wire.HeaderSize); !ok || got.FQDN() != name {
			t.Errorf("%q is read as %q", name, got)
		}
		for _, other := range []string{
			".", "co.", "com.com.", "ww.example.com.", "www.example.comx.", "www.example.com.x.", "a.b.example.com.", "a\\.b.", "b.",
		} {
			if other != name && wire.IsName(message, wire.HeaderSize, zones.NameOf(other)) {
				t.Errorf("%q is %q", name, other)
			}
		}
	}
}

// An OPT record and its options are what the library reads.
func TestOPT(t *testing.T) {
	message := make([]byte, wire.HeaderSize)
	message[11] = 1
	opt := len(message)
	message = wire.AppendOPT(message, 1232, dns.RcodeBadVers, true)
	message = wire.AppendOption(message, opt, dns.EDNS0COOKIE, []byte("12345678"))
	message, room := wire.GrowOption(message, opt, dns.EDNS0PADDING, 3)
	copy(room, "\x00\x00\x00")
	if at, found := wire.LastOPT(message); !found || at != opt {
		t.Errorf("the OPT record is found at %d (%v), want %d", at, found, opt)
	}
	msg := new(dns.Msg)
	if err := msg.Unpack(message); err != nil {
		t.Fatal(err)
	}
	read := msg.IsEdns0()
	if read == nil || read.UDPSize() != 1232 || !read.Do() || read.Version() != 0 || msg.Rcode != dns.RcodeBadVers || len(read.Option) != 2 ||
		read.Option[0].String() != "3132333435363738" {
		t.Errorf("the library reads %v", msg)
	}
	options := wire.ReadOptions(message[opt+11:])
	first, _ := options.Next()
	_, two := options.Next()
	_, three := options.Next()
	if !bytes.Equal(first.Data, []byte("12345678")) || !two || three || options.Broken() {
		t.Errorf("read %+v, then %v and %v", first, two, three)
	}
	if options = wire.ReadOptions([]byte{0, 10, 0, 9, 1}); !broken(&options) {
		t.Error("an option beyond the end is read")
	}
}

func broken(o *wire.Options) bool {
	_, more := o.Next()
	return !more && o.Broken()
}

// Nothing that is done for each message makes garbage.
func TestAllocations(t *testing.T) {
	out := make([]byte, 0, 1024)
	for i, message := range messages(t) {
		cut, _ := wire.LastOPT(message)
		m := wire.NewMessage(message[:cut]).Aged(10)
		name := zones.MustName("www.example.com")
		if allocs := testing.AllocsPerRun(100, func() {
			_, _ = wire.Check(message)
			for rec := range m.In(wire.Answer) {
				_ = wire.IsName(message, rec.Owner, name)
			}
			_ = m.AppendTo(out[:0])
		}); allocs != 0 {
			t.Errorf("message %d: %v allocations", i, allocs)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	message := messages(b)[1]
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := wire.Check(message); !ok {
			b.Fatal("refused")
		}
	}
}
