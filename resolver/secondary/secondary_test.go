package secondary_test

import (
	"errors"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
	"pldns/resolver/secondary"
	"pldns/resolver/tsig"
	"pldns/zones"
	"pldns/zones/content"
)

// A zone comes as a whole, then what has changed in it, in one step or several, then nothing while
// it is the same.
func TestTransfers(t *testing.T) {
	t.Parallel()
	one := zone(t, 1, hosts(0, 250)...)
	two := zone(t, 2, hosts(1, 250)...)
	three := zone(t, 3, append(hosts(10, 240), "*.w.corp.example. 5 IN TXT a b")...)
	p := newPrimary(t, nil, one)
	k := keep(t, secondary.Options{}, from(at(p)))
	equal(t, k.until(1), one)
	p.serves(nil, one, two, three)
	k.ask()
	equal(t, k.until(3), three)
	if p.count(dns.TypeAXFR) != 1 || p.count(dns.TypeIXFR) != 1 {
		t.Errorf("asked %v", p.asked)
	}
	before := k.copy().Zone
	k.ask()
	resolvertest.Until(t, "it is asked again", func() bool { return p.count(dns.TypeSOA) == 2 && !k.state().Next.IsZero() })
	if k.copy().Zone != before || p.count(dns.TypeAXFR) != 1 || p.count(dns.TypeIXFR) != 1 {
		t.Errorf("what has not changed is transferred: %v", p.asked)
	}
	// What the primary remembers of changes does not reach back: it sends the whole zone in answer
	// to IXFR.
	four := zone(t, 4, hosts(5, 500)...)
	p.serves(nil, four)
	k.ask()
	equal(t, k.until(4), four)
	if p.count(dns.TypeAXFR) != 1 || p.count(dns.TypeIXFR) != 2 {
		t.Errorf("asked %v", p.asked)
	}
	s := k.state()
	if s.Records != 502 || s.Primary != p.addr.String() || s.Refreshed.IsZero() || s.Expires.Before(s.Next) || !s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
}

// A primary says that the zone has changed, and is asked then. Somebody else is not heard.
func TestNotify(t *testing.T) {
	t.Parallel()
	p := newPrimary(t, nil, zone(t, 1))
	key := &tsig.Key{Name: zones.MustName("transfer.corp"), Algorithm: "hmac-sha256", Secret: []byte("secret")}
	p.ring = tsig.Ring{key.Name: key}
	k := keep(t, secondary.Options{}, from(secondary.Primary{Addr: p.addr, Key: key}))
	k.until(1)
	name, none := zones.MustName(apex), zones.Name{}
	p.serves(nil, zone(t, 1), zone(t, 2, hosts(0, 3)...))
	stranger := p.addr.Addr().Next()
	for _, taken := range []bool{
		k.Notify(name, stranger, none), k.Notify(name, stranger, zones.MustName("other.corp")), k.Notify(zones.MustName("other.example"), p.addr.Addr(), none),
	} {
		if taken {
			t.Error("a NOTIFY of a stranger is taken")
		}
	}
	if !k.Notify(name, stranger, key.Name) {
		t.Error("a NOTIFY that is signed with the key of a primary is not taken")
	}
	for range 100 {
		if !k.Notify(name, p.addr.Addr(), none) {
			t.Error("a NOTIFY of the primary is not taken")
		}
	}
	k.until(2)
	if asked := p.count(dns.TypeSOA); asked > 2 {
		t.Errorf("a hundred NOTIFYs make %d queries", asked)
	}
}

// A version that is a zone, and not what it should be, leaves the one before in its place; it
// is asked for again.
func TestUnfit(t *testing.T) {
	t.Parallel()
	one, two, three := zone(t, 1), zone(t, 2, "unfit.corp.example. 5 IN A 10.0.0.1"), zone(t, 3)
	p := newPrimary(t, nil, one)
	source := from(at(p))
	source.Check = func(z *content.Zone) error {
		if z.Serial() == 2 {
			return errors.New("it is unfit")
		}
		return nil
	}
	k := keep(t, secondary.Options{}, source)
	equal(t, k.until(1), one)
	p.serves(nil, one, two)
	k.ask()
	k.untilFault("its version 2 is not taken: it is unfit")
	equal(t, k.copy().Zone, one)
	p.serves(nil, one, two, three)
	k.ask()
	equal(t, k.until(3), three)
}
