package zones_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/zones"
)

// TestEmbed holds addresses against those of RFC 6052 section 2.4, and the names of each
// against that of the IPv4 address in it.
func TestEmbed(t *testing.T) {
	for prefix, want := range map[string]string{
		"2001:db8::/32":             "2001:db8:c000:221::",
		"2001:db8:100::/40":         "2001:db8:1c0:2:21::",
		"2001:db8:122::/48":         "2001:db8:122:c000:2:2100::",
		"2001:db8:122:300::/56":     "2001:db8:122:3c0:0:221::",
		"2001:db8:122:344::/64":     "2001:db8:122:344:c0:2:2100::",
		"2001:db8:122:344::/96":     "2001:db8:122:344::192.0.2.33",
		"64:ff9b::/96":              "64:ff9b::192.0.2.33",
		"64:ff9b:1:fffe:0:1::/96":   "64:ff9b:1:fffe:0:1:c000:221",
		"fd00:64:64:64:0:ffff::/96": "fd00:64:64:64:0:ffff:c000:221",
	} {
		by, err := zones.NewDNS64(netip.MustParsePrefix(prefix))
		if err != nil {
			t.Errorf("%s: %v", prefix, err)
			continue
		}
		got, embedded := by.Embed(netip.MustParseAddr("192.0.2.33"))
		if !embedded || got != netip.MustParseAddr(want) {
			t.Errorf("%s: %s, want %s", prefix, got, want)
		}
		arpa, err := dns.ReverseAddr(got.String())
		if err != nil {
			t.Fatal(err)
		}
		if name, is := by.Reverse(zones.NameOf(arpa)); !is || name.String() != "33.2.0.192.in-addr.arpa" {
			t.Errorf("%s: %s is an alias of %s", prefix, arpa, name)
		}
		labels := strings.Split(arpa, ".")
		for _, other := range []string{
			strings.Join(labels[1:], "."), "x." + arpa, "a" + arpa, strings.Replace(arpa, ".ip6.arpa.", ".in-addr.arpa.", 1), "ip6.arpa.",
			strings.Join(slices.Concat([]string{"xy"}, labels[2:]), "."),
		} {
			if name, is := by.Reverse(zones.NameOf(other)); is && other != "a"+arpa {
				t.Errorf("%s: %s is an alias of %s", prefix, other, name)
			}
		}
		if name, is := by.Reverse(zones.NameOf("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.f.ip6.arpa.")); is {
			t.Errorf("%s: an address elsewhere is an alias of %s", prefix, name)
		}
	}
}

// TestNAT64Prefixes: what is no prefix of a NAT64 is refused.
func TestNAT64Prefixes(t *testing.T) {
	for _, text := range []string{
		"10.0.0.0/8", "::ffff:0:0/96", "64:ff9b::/95", "64:ff9b::/128", "64:ff9b::/0", "2001:db8:1::1/64", "2001:db8:0:0:ff00::/96",
	} {
		if _, err := zones.NewDNS64(netip.MustParsePrefix(text)); err == nil || !strings.Contains(err.Error(), netip.MustParsePrefix(text).String()) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestExcludes: private addresses are not put into the well-known prefix (RFC 6052 section
// 3.1), except those by which hosts find the prefix; into others they are.
func TestExcludes(t *testing.T) {
	well, err := zones.NewDNS64(netip.MustParsePrefix("64:ff9b::/96"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := zones.NewDNS64(netip.MustParsePrefix("64:ff9b:1::/96"), netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("2001:db8::/32"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		by       *zones.DNS64
		addr     string
		excluded bool
	}{
		{well, "203.0.113.7", false},
		{well, "192.0.0.170", false},
		{well, "10.1.1.5", true},
		{well, "172.16.0.1", true},
		{well, "100.64.0.1", true},
		{well, "169.254.0.1", true},
		{well, "127.0.0.1", true},
		{well, "0.0.0.0", true},
		{well, "224.0.0.1", true},
		{well, "fd00::1", false},
		{well, "::ffff:192.0.2.1", true},
		{own, "10.1.1.5", false},
		{own, "10.9.1.5", true},
		{own, "2001:db8::1", true},
		{own, "::ffff:192.0.2.1", true},
		{own, "2001:470::1", false},
	} {
		addr := netip.MustParseAddr(test.addr)
		if got := test.by.Excludes(addr); got != test.excluded {
			t.Errorf("%s: %s excluded %t", test.by.Prefix(), addr, got)
		}
		if made, embedded := test.by.Embed(addr); addr.Is4() && embedded == test.excluded || !addr.Is4() && embedded {
			t.Errorf("%s: %s becomes %s", test.by.Prefix(), addr, made)
		}
	}
}
