package forward_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/forward"
	"pldns/resolver/wire"
)

// FuzzPlain shows that a reply which is read the short way says what it says when
// the library reads it, and all that is kept of it is the same.
func FuzzPlain(f *testing.F) {
	const (
		a     = "\xC0\x0C\x00\x01\x00\x01\x00\x00\x01\x2C\x00\x04\xC0\x00\x02\x01"
		b     = "\xC0\x0C\x00\x01\x00\x01\x80\x00\x00\x01\x00\x04\xC0\x00\x02\x02"
		aaaa  = "\xC0\x0C\x00\x1C\x00\x01\x00\x00\x00\x05\x00\x10\x20\x01\x0D\xB8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
		cname = "\xC0\x0C\x00\x05\x00\x01\x00\x00\x01\x2C\x00\x04\x01X\xC0\x10"
		far   = "\xC0\x2D\x00\x01\x00\x01\x00\x00\x01\x2C\x00\x04\xC0\x00\x02\x01"
		soa   = "\xC0\x10\x00\x06\x00\x01\x00\x00\x03\x84\x00\x1C\x02nS\xC0\x10\x01H\xC0\x18\x00\x00\x00\x01" +
			"\x00\x00\x0e\x10\x00\x00\x02\x58\x00\x01\x51\x80\x00\x00\x01\x2c"
		txt  = "\xC0\x0C\x00\x10\x00\x01\x00\x00\x01\x2C\x00\x05\x03a\"B\x00"
		ptr  = "\xC0\x0C\x00\x0C\x00\x01\x00\x00\x01\x2C\x00\x05\x02Hi\xC0\x10"
		mx   = "\xC0\x0C\x00\x0F\x00\x01\x00\x00\x01\x2C\x00\x07\x00\x0A\x02Mx\xC0\x10"
		srv  = "\xC0\x0C\x00\x21\x00\x01\x00\x00\x01\x2C\x00\x0C\x00\x01\x00\x02\x01\xBB\x02Sv\x01x\x00"
		bad  = "\xC0\x0C\x00\x21\x00\x01\x00\x00\x01\x2C\x00\x0B\x00\x01\x00\x02\x01\xBB\x02Sv\xC0\x10"
		same = "\xC0\x0C\x00\x0F\x00\x01\x00\x00\x01\x2C\x00\x04\x00\x0A\xC0\x2B" // the name of mx
		opt  = "\x00\x00\x29\x04\xD0\x00\x00\x80\x00\x00\x00"
	)
	for _, seed := range []struct {
		header, records string
		qtype           uint16
	}{
		{"\x81\x80\x00\x01\x00\x00\x00\x00", a, dns.TypeA},
		{"\x81\xA0\x00\x01\x00\x00\x00\x01", a + opt, dns.TypeA},
		{"\x85\x80\x00\x03\x00\x00\x00\x01", a + b + a + opt, dns.TypeA},
		{"\x81\x80\x00\x01\x00\x00\x00\x01", aaaa + opt, dns.TypeAAAA},
		{"\x81\x80\x00\x02\x00\x00\x00\x00", a + aaaa, dns.TypeA},
		{"\x81\x80\x00\x01\x00\x00\x00\x01", a + "\x00\x00\x29\x04\xD0\x01\x00\x80\x00\x00\x00", dns.TypeA},
		{"\x81\x80\x00\x02\x00\x00\x00\x00", cname + far, dns.TypeA},
		{"\x81\x80\x00\x01\x00\x01\x00\x01", cname + soa + opt, dns.TypeAAAA},
		{"\x81\x83\x00\x00\x00\x01\x00\x01", soa + opt, dns.TypeA},
		{"\x81\x80\x00\x02\x00\x00\x00\x01", txt + txt + opt, dns.TypeTXT},
		{"\x81\x80\x00\x01\x00\x00\x00\x01", txt + opt, dns.TypeTXT},
		{"\x81\x80\x00\x01\x00\x00\x00\x01", ptr + opt, dns.TypePTR},
		{"\x81\x80\x00\x02\x00\x00\x00\x01", mx + same + opt, dns.TypeMX},
		{"\x81\x80\x00\x02\x00\x00\x00\x01", srv + srv + opt, dns.TypeSRV},
		{"\x81\x80\x00\x02\x00\x00\x00\x01", srv + bad + opt, dns.TypeSRV},
		{"\x81\x80\x00\x01\x00\x00\x00\x01", strings.Replace(a, "\xC0\x00\x02\x01", "\x0A\x00\x02\x01", 1) + opt, dns.TypeA},
		{"\x83\x80\x00\x01\x00\x00\x00\x00", a, dns.TypeA},
		{"\x81\x83\x00\x01\x00\x00\x00\x00", a, dns.TypeA},
	} {
		f.Add([]byte(seed.header), []byte(seed.records), seed.qtype)
	}
	f.Fuzz(func(t *testing.T, header, records []byte, qtype uint16) {
		if len(header) < 8 {
			return
		}
		short, whole, plain := forward.ReadPlain(question("www.contoso.com", qtype), header, records)
		if plain && fmt.Sprintf("%+v", short) != fmt.Sprintf("%+v", whole) {
			t.Fatalf("read the short way: %+v\notherwise: %+v", short, whole)
		}
	})
}

// Those that are meant to be read the short way are.
func TestWhatIsPlain(t *testing.T) {
	for _, test := range []struct {
		name, sections string
		rcode          int
		qtype          uint16
	}{
		{"an address", "www.contoso.com. 300 IN A 192.0.2.1||", dns.RcodeSuccess, dns.TypeA},
		{"two addresses", "www.contoso.com. 300 IN AAAA 2001:db8::1\nwww.contoso.com. 300 IN AAAA 2001:db8::2||", dns.RcodeSuccess, dns.TypeAAAA},
		{"a chain", "www.contoso.com. 300 IN CNAME Web.contoso.com.\nWeb.contoso.com. 300 IN CNAME a.example.\na.example. 300 IN A 192.0.2.1||",
			dns.RcodeSuccess, dns.TypeA},
		{"servers and their addresses", "www.contoso.com. 300 IN A 192.0.2.1|contoso.com. 300 IN NS ns.contoso.com.|ns.contoso.com. 300 IN A 192.0.2.3",
			dns.RcodeSuccess, dns.TypeA},
		{"no such type", "|contoso.com. 900 IN SOA ns.contoso.com. host.contoso.com. 1 3600 600 86400 300|", dns.RcodeSuccess, dns.TypeTXT},
		{"no such name", "|contoso.com. 900 IN SOA ns.contoso.com. host.contoso.com. 1 3600 600 86400 300|", dns.RcodeNameError, dns.TypeA},
		{"texts", "www.contoso.com. 300 IN TXT \"v=spf1 -all\" \"\"\nwww.contoso.com. 60 IN TXT \"A \\\"b\\\" \\200\"||",
			dns.RcodeSuccess, dns.TypeTXT},
		{"a pointer", "www.contoso.com. 300 IN PTR Host.contoso.com.||", dns.RcodeSuccess, dns.TypePTR},
		{"two exchangers", "www.contoso.com. 300 IN MX 10 Mail.contoso.com.\nwww.contoso.com. 300 IN MX 20 mail.contoso.com.||",
			dns.RcodeSuccess, dns.TypeMX},
		{"two services", "www.contoso.com. 300 IN SRV 1 2 443 Web.contoso.com.\nwww.contoso.com. 300 IN SRV 2 2 443 .||",
			dns.RcodeSuccess, dns.TypeSRV},
		{"a private address", "www.contoso.com. 300 IN A 10.0.0.4||", dns.RcodeSuccess, dns.TypeA},
		{"a chain to nothing", "www.contoso.com. 300 IN CNAME a.contoso.com.|contoso.com. 900 IN SOA ns.contoso.com. host.contoso.com. 1 3600 600 86400 300|",
			dns.RcodeNameError, dns.TypeA},
	} {
		t.Run(test.name, func(t *testing.T) {
			q, sections := question("www.contoso.com", test.qtype), strings.Split(test.sections, "|")
			msg := message(t, q, sections[0], sections[1], sections[2]).SetEdns0(1232, false)
			msg.Rcode, msg.Compress = test.rcode, true
			packed, err := msg.Pack()
			if err != nil {
				t.Fatal(err)
			}
			first, _ := wire.ReadRecords(packed)
			header := append(bytes.Clone(packed[2:4]), packed[6:wire.HeaderSize]...)
			short, whole, plain := forward.ReadPlain(q, header, packed[first.At:])
			if !plain || fmt.Sprintf("%+v", short) != fmt.Sprintf("%+v", whole) {
				t.Errorf("plain: %v, read %+v, want %+v", plain, short, whole)
			}
		})
	}
}

// A service whose target is compressed, which RFC 2782 does not allow, is written anew:
// clients need not know how to read it.
func TestACompressedTargetIsNotPassedOn(t *testing.T) {
	const records = "\xC0\x0C\x00\x21\x00\x01\x00\x00\x01\x2C\x00\x0B\x00\x01\x00\x02\x01\xBB\x02Sv\xC0\x10"
	header := []byte("\x81\x80\x00\x01\x00\x00\x00\x00")
	if _, _, plain := forward.ReadPlain(question("www.contoso.com", dns.TypeSRV), header, []byte(records)); plain {
		t.Error("it stays as it came")
	}
}
