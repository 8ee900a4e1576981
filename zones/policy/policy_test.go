package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/policy"
)

// read makes a policy of texts, and tells what was left out.
func read(tb testing.TB, options policy.Options, texts ...string) (*policy.Policy, []string) {
	tb.Helper()
	b := policy.NewBuilder()
	var left []string
	for _, text := range texts {
		found, err := b.Read(strings.NewReader(text), policy.ByContent, zones.Name{})
		if err != nil {
			tb.Fatal(err)
		}
		for _, s := range found.Skipped {
			left = append(left, fmt.Sprintf("%d %s", s.Count, s.Example))
		}
	}
	return b.Build(options), left
}

// said is what a policy says of a name or an address.
func said(p *policy.Policy, what string) string {
	if addr, err := netip.ParseAddr(what); err == nil {
		m, bits, found := p.MatchAddress(addr)
		if !found {
			return ""
		}
		return fmt.Sprintf("%s (%d) %s", m.Entry, bits, m.Rule.Action)
	}
	name := zones.MustName(what)
	m, found := p.Match(name)
	if !found {
		return ""
	}
	text := m.Entry + " " + m.Rule.Action.String()
	if m.Rule.Action == policy.Redirect {
		target, leads := m.Rule.TargetOf(name)
		text += fmt.Sprintf(" %s %t", target, leads)
	}
	for _, rr := range m.Rule.Records {
		text += " | " + strings.Join(strings.Fields(rr.String())[1:], " ")
	}
	return text
}

const zone = `$TTL 1h
@ IN SOA localhost. root.localhost. 1 3600 600 86400 30
  IN NS localhost.
; a comment
nxdomain.example CNAME .
*.nxdomain.example CNAME .
nodata.example CNAME *.
ok.nxdomain.example CNAME rpz-passthru.
old.nxdomain.example CNAME old.nxdomain.example.
drop.example CNAME rpz-drop.
tcp.example CNAME rpz-tcp-only.
what.example CNAME rpz-what.
walled.example CNAME garden.contoso.com.
*.walled.example CNAME *.garden.contoso.com.
data.example A 10.0.0.9
data.example 60 AAAA 2001:db8::9
  TXT "why"
*.data.example A 10.0.0.9
many.example MX 0 mail.contoso.com.
deep.below.example DNAME contoso.com.
a.many.example CNAME .
a.many.example CNAME *.
32.7.113.0.203.rpz-ip CNAME .
24.0.113.0.203.rpz-ip CNAME rpz-passthru.
48.zz.8.db8.2001.rpz-ip CNAME *.
128.1.zz.7.db8.2001.rpz-ip CNAME rpz-drop.
128.9.0.0.0.0.0.db8.2001.rpz-ip A 10.0.0.9
33.7.113.0.203.rpz-ip CNAME .
24.7.113.0.203.rpz-ip CNAME .
ns.example.rpz-nsdname CNAME .
32.7.113.0.203.rpz-nsip CNAME .
24.0.0.0.10.rpz-client-ip CNAME .
`

// TestZone reads each form of entry that BIND documents, in a zone whose name the file does
// not say, and in one whose name it does.
func TestZone(t *testing.T) {
	for _, text := range []string{zone, "$ORIGIN rpz.contoso.com.\n" + zone + "elsewhere.test. CNAME .\n"} {
		p, left := read(t, policy.Options{Name: "corp"}, text)
		for what, want := range map[string]string{
			"nxdomain.example":     "nxdomain.example nxdomain",
			"x.nxdomain.example":   "*.nxdomain.example nxdomain",
			"x.y.nxdomain.example": "*.nxdomain.example nxdomain",
			"nodata.example":       "nodata.example nodata",
			"x.nodata.example":     "",
			"ok.nxdomain.example":  "ok.nxdomain.example passthru",
			"old.nxdomain.example": "old.nxdomain.example passthru",
			// The wildcard holds below a name that has an entry of its own.
			"x.ok.nxdomain.example": "*.nxdomain.example nxdomain",
			"drop.example":          "drop.example drop",
			"tcp.example":           "tcp.example tcp-only",
			"what.example":          "",
			"walled.example":        "walled.example redirect garden.contoso.com true",
			"x.walled.example":      "*.walled.example redirect x.walled.example.garden.contoso.com true",
			"data.example":          `data.example data | 3600 IN A 10.0.0.9 | 60 IN AAAA 2001:db8::9 | 60 IN TXT "why"`,
			"x.data.example":        "*.data.example data | 3600 IN A 10.0.0.9",
			"many.example":          "many.example data | 3600 IN MX 0 mail.contoso.com.",
			"a.many.example":        "a.many.example nxdomain",
			"deep.below.example":    "",
			"elsewhere.test":        "",
			"203.0.113.7":           "203.0.113.7/32 (32) nxdomain",
			"203.0.113.8":           "203.0.113.0/24 (24) passthru",
			"203.0.114.8":           "",
			"2001:db8:8::1":         "2001:db8:8::/48 (48) nodata",
			"2001:db8:7::1":         "2001:db8:7::1/128 (128) drop",
			"2001:db8::9":           "2001:db8::9/128 (128) data",
		} {
			got := said(p, what)
			if want := strings.ReplaceAll(want, "60 IN TXT", "3600 IN TXT"); strings.ReplaceAll(got, "60 IN TXT", "3600 IN TXT") != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		want := []string{"2 33.7.113.0.203.rpz-ip", "2 ns.example.rpz-nsdname", "1 24.0.0.0.10.rpz-client-ip", "1 what.example",
			"1 a.many.example", "1 deep.below.example"}
		if strings.HasPrefix(text, "$ORIGIN") {
			want = append(want, "1 elsewhere.test")
		}
		less := cmp.Transformer("set", func(all []string) map[string]bool {
			set := make(map[string]bool)
			for _, one := range all {
				set[one] = true
			}
			return set
		})
		if diff := cmp.Diff(want, left, less); diff != "" {
			t.Errorf("left out (-want +got)\n%s", diff)
		}
		if got := p.SOA(zones.MustName("nxdomain.example")); got.Hdr.Ttl != 30 || got.Minttl != 30 || got.Hdr.Name != "nxdomain.example." {
			t.Errorf("denied with %s", got)
		}
	}
}

// TestList reads each form of line that lists have.
func TestList(t *testing.T) {
	p, left := read(t, policy.Options{Name: "ads"}, "\ufeff# a list\n"+`! Title: of somebody
[Adblock Plus]
127.0.0.1 localhost
::1 ip6-localhost ip6-loopback
0.0.0.0 0.0.0.0
0.0.0.0 ads.example  track.example	stats.example # both
:: six.example
domain.example
UPPER.Example.
*.wild.example
||filter.example^
||end.example^|
@@||ok.filter.example^
@@||domain.example^|
||part.example^$third-party
domain.example$important
/ads[0-9]+/
||example.*^
||example.org/ads
example.org##.banner
-banner-ads-
10.0.0.9 rewritten.example
bücher.example
a..b
`, "late.example\n")
	for what, want := range map[string]string{
		"ads.example":         "ads.example nxdomain",
		"x.ads.example":       "",
		"track.example":       "track.example nxdomain",
		"stats.example":       "stats.example nxdomain",
		"six.example":         "six.example nxdomain",
		"domain.example":      "@@domain.example passthru",
		"upper.example":       "upper.example nxdomain",
		"x.upper.example":     "",
		"wild.example":        "wild.example nxdomain",
		"x.wild.example":      "*.wild.example nxdomain",
		"filter.example":      "filter.example nxdomain",
		"y.x.filter.example":  "*.filter.example nxdomain",
		"ok.filter.example":   "@@ok.filter.example passthru",
		"x.ok.filter.example": "@@*.ok.filter.example passthru",
		"end.example":         "end.example nxdomain",
		"part.example":        "",
		"example.org":         "",
		"rewritten.example":   "",
		"localhost":           "",
		"late.example":        "late.example nxdomain",
		"203.0.113.7":         "",
	} {
		if got := said(p, what); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	want := []string{"4 /ads[0-9]+/", "3 -banner-ads-", "2 ||part.example^$third-party", "1 rewritten.example"}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("left out (-want +got)\n%s", diff)
	}
}

// TestOverride: an action of the policy takes the place of what the entries say, but for
// exceptions of lists.
func TestOverride(t *testing.T) {
	const list = "||filter.example^\n@@||ok.filter.example^\n"
	for _, test := range []struct {
		options policy.Options
		want    string
	}{
		{policy.Options{Action: policy.NoData}, "*.filter.example nodata"},
		{policy.Options{Action: policy.Log}, "*.filter.example log"},
		{policy.Options{Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("2001:db8::9")}},
			"*.filter.example data | 60 IN A 10.0.0.9 | 60 IN AAAA 2001:db8::9"},
	} {
		p, _ := read(t, test.options, list)
		if got := said(p, "x.filter.example"); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
		if got := said(p, "ok.filter.example"); got != "@@ok.filter.example passthru" {
			t.Errorf("the exception: %q", got)
		}
	}
}

// TestHostile: what is no list or zone is refused, in words that say where.
func TestHostile(t *testing.T) {
	for _, test := range []struct{ why, text, want string }{
		{"a huge line", "ads.example\n" + strings.Repeat("a", 1<<17), "line 2 has more than 64 KiB"},
		{"no text", "ads.example\n\x00\x01\x02", "line 2 has an octet of value 0"},
		{"a page", "<html>\n<body>not found</body>\n", "no line of it is an entry"},
		{"a zone with a fault", "$TTL 60\n@ SOA . . 1 1 1 1 1\nbad.example CNAME\n", "is no zone file"},
		{"a zone that includes", "$TTL 60\n$INCLUDE /etc/passwd\n", "is no zone file"},
		{"a label that is too long", "$TTL 60\n" + strings.Repeat("a", 64) + " CNAME .\n", "is no zone file"},
	} {
		_, err := policy.NewBuilder().Read(strings.NewReader(test.text), policy.ByContent, zones.Name{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.why, err, test.want)
		}
	}
}

// TestManyRecords: what one name has is bounded, and takes no time that grows with its
// square.
func TestManyRecords(t *testing.T) {
	p, left := read(t, policy.Options{}, "$TTL 60\n@ SOA . . 1 1 1 1 1\n$GENERATE 0-65535 many.example TXT \"$\"\n")
	m, found := p.Match(zones.MustName("many.example"))
	if !found || len(m.Rule.Records) != 64 || len(left) != 1 || left[0] != "65472 many.example" {
		t.Errorf("%v, %v", m, left)
	}
}

// TestRedirectTooLong: where the target of a wildcard would be longer than a name can be,
// there is none, and a name is no alias of itself.
func TestRedirectTooLong(t *testing.T) {
	p, _ := read(t, policy.Options{}, "$TTL 60\n@ SOA . . 1 1 1 1 1\n*.example CNAME *."+strings.Repeat("a", 60)+".example.\n* CNAME loop.test.\n")
	long := strings.Repeat("b.", 100) + "example"
	if got := said(p, long); !strings.HasSuffix(got, "false") {
		t.Errorf("%q", got)
	}
	if got := said(p, "loop.test"); got != "* redirect loop.test false" {
		t.Errorf("%q", got)
	}
}

// TestRecords: a zone says the same as records as it does as a file.
func TestRecords(t *testing.T) {
	parser := dns.NewZoneParser(strings.NewReader(zone), "rpz.corp.example.", "")
	b := policy.NewBuilder()
	found, err := b.Add(zones.MustName("rpz.corp.example"), func(yield func(dns.RR) bool) {
		for rr, more := parser.Next(); more && yield(rr); rr, more = parser.Next() {
		}
	})
	p := b.Build(policy.Options{Name: "test"})
	file, left := read(t, policy.Options{}, zone)
	if err != nil || p.Len() != file.Len() || found.Entries != p.Len() || len(found.Skipped) != len(left) {
		t.Errorf("%d entries of records, %d of the file, %v, %v, %v", p.Len(), file.Len(), found, left, err)
	}
}
