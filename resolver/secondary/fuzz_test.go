package secondary

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/tsig"
	"pldns/resolver/wire"
	"pldns/zones"
	"pldns/zones/content"
)

// said is a connection over which some octets come, whatever is sent.
type said struct {
	net.Conn
	io.Reader
}

func (s said) Read(to []byte) (int, error)      { return s.Reader.Read(to) }
func (s said) Write(octets []byte) (int, error) { return len(octets), nil }
func (s said) SetDeadline(time.Time) error      { return nil }
func (s said) SetReadDeadline(time.Time) error  { return nil }
func (s said) Close() error                     { return nil }

// FuzzTransfer: whatever comes in answer to AXFR and IXFR, it is a zone or a fault. A zone has the apex
// that was asked for and no more records than are taken, it is newer where there is another, and that
// one is not changed. Nothing is believed that is not signed where it has to be.
func FuzzTransfer(f *testing.F) {
	const id, most = 4711, 50
	record := func(text string) dns.RR {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		return rr
	}
	soa := func(serial string) dns.RR { return record("corp.example. 60 IN SOA a. b. " + serial + " 60 60 60 60") }
	ns, a := record("corp.example. 60 IN NS ns.corp.example."), record("a.corp.example. 60 IN A 10.0.0.1")
	sig := record("a.corp.example. 60 IN RRSIG A 8 3 60 20300101000000 20200101000000 1 corp.example. AAAA")
	apex := zones.MustName("corp.example")
	have, err := content.New(apex, slices.Values([]dns.RR{soa("5"), ns, a}))
	if err != nil {
		f.Fatal(err)
	}
	seed := func(incremental bool, messages ...[]dns.RR) {
		var stream []byte
		for _, records := range messages {
			m := new(dns.Msg).SetAxfr("corp.example.")
			if incremental {
				m.SetIxfr("corp.example.", 5, "a.", "b.")
			}
			m.Id, m.Response, m.Compress, m.Ns, m.Answer = id, true, true, nil, records
			packed, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			stream = wire.AppendFrame(stream, packed)
		}
		f.Add(incremental, false, stream)
		f.Add(incremental, true, stream)
	}
	seed(false, []dns.RR{soa("6"), ns, a, sig, soa("6")})
	seed(false, []dns.RR{soa("6")}, []dns.RR{ns, a}, []dns.RR{soa("6")})
	seed(true, []dns.RR{soa("5")})
	seed(true, []dns.RR{soa("6")}, []dns.RR{soa("5"), a}, []dns.RR{soa("6"), sig, soa("6")})
	seed(true, []dns.RR{soa("7"), soa("5"), soa("6"), sig, soa("6"), sig, soa("7"), soa("7")})
	seed(true, []dns.RR{soa("6"), ns, a, soa("6")})
	before := len(whole(f, have))
	f.Fuzz(func(t *testing.T, incremental, signed bool, stream []byte) {
		s := newSession(said{Reader: bytes.NewReader(stream)}, nil)
		if signed {
			s.key = &tsig.Key{Name: zones.MustName("key.example"), Algorithm: "hmac-sha256", Secret: []byte("a secret that no seed knows")}
		}
		m := new(dns.Msg).SetAxfr(apex.FQDN())
		transfer := &transfer{apex: apex, most: most}
		if incremental {
			m.SetIxfr(apex.FQDN(), 5, "a.", "b.")
			transfer.have = have
		}
		m.Id = id
		var err error
		if transfer.stream, err = s.ask(m, 1<<20); err != nil {
			t.Fatal(err)
		}
		zone, _, err := transfer.read()
		switch {
		case err != nil:
			if zone != nil || len(text(err)) > maxText+3 || reasonOf(err) == "" {
				t.Errorf("%v with a zone", err)
			}
		case signed:
			t.Error("what is not signed is believed")
		case zone == nil && !incremental:
			t.Error("no zone, and no fault")
		case zone != nil && (zone.Apex() != apex || zone.Len() > most || zone.SOA() == nil):
			t.Errorf("a zone %s of %d records", zone.Apex(), zone.Len())
		case zone != nil && incremental && !content.IsNewer(zone.Serial(), have.Serial()):
			t.Errorf("serial %d is taken for newer", zone.Serial())
		}
		if have.Serial() != 5 || len(whole(t, have)) != before {
			t.Error("the copy has changed")
		}
	})
}

func whole(t testing.TB, z *content.Zone) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := z.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// FuzzHead: whatever the first line of a file is, it is read or refused, and what is read is written
// as it was.
func FuzzHead(f *testing.F) {
	h := head{time.Unix(1_700_000_000, 0), "00ff", zones.MustName("corp.example"), []string{"10.0.0.1:53", "[fd00::1]:53"}, "transfer.corp.", "00ff"}
	f.Add(h.String())
	f.Add("; pldns-copy 1 confirmed 2000-01-01T00:00:00Z sha256 x zone . from - key - for -")
	f.Fuzz(func(t *testing.T, line string) {
		h, err := parseHead(line)
		if err != nil {
			return
		}
		again, err := parseHead(h.String())
		if err != nil || again.String() != h.String() {
			t.Errorf("%q becomes %q: %v", h.String(), again.String(), err)
		}
	})
}
