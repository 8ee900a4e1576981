package forward_test

import (
	"reflect"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/forward"
)

// FuzzPlain shows that a reply which is read the short way says what it says when
// the library reads it, and all that is kept of it is the same.
func FuzzPlain(f *testing.F) {
	const (
		a    = "\xC0\x0C\x00\x01\x00\x01\x00\x00\x01\x2C\x00\x04\xC0\x00\x02\x01"
		b    = "\xC0\x0C\x00\x01\x00\x01\x80\x00\x00\x01\x00\x04\xC0\x00\x02\x02"
		aaaa = "\xC0\x0C\x00\x1C\x00\x01\x00\x00\x00\x05\x00\x10\x20\x01\x0D\xB8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
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
		if plain && !reflect.DeepEqual(short, whole) {
			t.Fatalf("read the short way: %+v\notherwise: %+v", short, whole)
		}
	})
}

// Those that are meant to be read the short way are.
func TestWhatIsPlain(t *testing.T) {
	const answer = "\xC0\x0C\x00\x01\x00\x01\x00\x00\x01\x2C\x00\x04\xC0\x00\x02\x01"
	reply, _, plain := forward.ReadPlain(question("www.contoso.com", dns.TypeA), []byte("\x81\x80\x00\x01\x00\x00\x00\x00"), []byte(answer))
	if !plain || len(reply.Answer) != 1 {
		t.Errorf("plain %v, answer %v", plain, reply.Answer)
	}
}
