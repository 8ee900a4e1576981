package catalogzone_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/catalogzone"
	"pldns/zones/content"
)

// zoneOf is a catalog zone with records, which are relative to it.
func zoneOf(t testing.TB, name, text string) *content.Zone {
	t.Helper()
	text = "$ORIGIN " + name + ".\n$TTL 0\n@ SOA invalid. invalid. 7 3600 600 86400 0\n@ NS invalid.\n" + text
	z, err := content.Read(strings.NewReader(text), zones.MustName(name))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func catalog(t testing.TB, name, text string) *catalogzone.Catalog {
	t.Helper()
	c, err := catalogzone.Read(zoneOf(t, name, "version TXT \"2\"\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// say is a member on one line.
func say(m catalogzone.Member) string {
	return strings.TrimRight(fmt.Sprintf("%s %s %s %s", m.Zone, m.Label, strings.Join(m.Groups, ","), m.Owner), " ")
}

func TestRead(t *testing.T) {
	c := catalog(t, "catalog.corp.example", `
nj2xg5b.zones         PTR Example.COM.
nvxxezj.zones         PTR example.net.
nvxxezj.zones         TXT "not a member"
group.nvxxezj.zones   TXT "operator-y"
group.nvxxezj.zones   TXT "a" "b"
unknown.nvxxezj.zones PTR whatever.example.
nfwxa33.zones         PTR example.org.
coo.nfwxa33.zones     PTR newcatalog.example.
prop.ext.nfwxa33.zones TXT "private"
group.nothing.zones   TXT "of no member"
ext                   TXT "private"
other                 A 10.0.0.1
root.zones            PTR .
itself.zones          PTR catalog.corp.example.
star.zones            PTR *.example.
`)
	var got []string
	for _, m := range c.Members {
		got = append(got, say(m))
	}
	want := []string{"example.com nj2xg5b", "example.net nvxxezj ab,operator-y", "example.org nfwxa33  newcatalog.example"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got)\n%s", diff)
	}
	if c.Serial != 7 || c.Zone.String() != "catalog.corp.example" || len(c.LeftOut) != 3 {
		t.Errorf("%s %d, left out %q", c.Zone, c.Serial, c.LeftOut)
	}
	if empty := catalog(t, "empty.example", ""); len(empty.Members) != 0 {
		t.Errorf("an empty catalog has members %v", empty.Members)
	}
}

// What is broken is not processed (RFC 9432 section 5.1).
func TestBroken(t *testing.T) {
	const version = "version TXT \"2\"\n"
	for _, test := range []struct{ why, text, want string }{
		{"no version", "a.zones PTR example.com.\n", "there is no TXT record at version.cat.example"},
		{"version 1", "version TXT \"1\"\n", `its version is "1"`},
		{"two versions", version + "version TXT \"1\"\n", "its version is "},
		{"no text", "version A 10.0.0.1\n", "there is no TXT record"},
		{"two names of a member", version + "a.zones PTR example.com.\na.zones PTR example.net.\n", "member a has several names"},
		{"a zone that is listed twice", version + "a.zones PTR example.com.\nb.zones PTR Example.com.\n", "zone example.com is listed twice, as a and as b"},
		{"two owners", version + "a.zones PTR example.com.\ncoo.a.zones PTR x.example.\ncoo.a.zones PTR y.example.\n", "member a changes to several catalogs"},
	} {
		if c, err := catalogzone.Read(zoneOf(t, "cat.example", test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v", test.why, c, err)
		}
	}
}

// A zone that several list belongs to one of them, whatever the order in which they come.
func TestAssign(t *testing.T) {
	texts := map[string]string{
		"a.example": "1.zones PTR same.example.\n2.zones PTR gives.example.\ncoo.2.zones PTR b.example.\n3.zones PTR alone.example.\ncoo.3.zones PTR b.example.\n" +
			"4.zones PTR circle.example.\ncoo.4.zones PTR b.example.\n5.zones PTR far.example.\ncoo.5.zones PTR b.example.\n",
		"b.example": "1.zones PTR same.example.\n9.zones PTR gives.example.\n4.zones PTR circle.example.\ncoo.4.zones PTR a.example.\n" +
			"5.zones PTR far.example.\ncoo.5.zones PTR c.example.\n",
		"c.example": "5.zones PTR far.example.\n6.zones PTR own.example.\n",
	}
	want := []string{
		"alone.example 3  b.example of a.example", "circle.example 4  b.example of a.example", "far.example 5 of c.example", "gives.example 9 of b.example",
		"own.example 6 of c.example", "same.example 1 of a.example",
	}
	wantClashes := []string{"far.example c.example a.example", "same.example a.example b.example"}
	for _, order := range [][]string{{"a.example", "b.example", "c.example"}, {"c.example", "b.example", "a.example"}} {
		var all []*catalogzone.Catalog
		for _, name := range order {
			all = append(all, catalog(t, name, texts[name]))
		}
		owned, clashes := catalogzone.Assign(all)
		var got, gotClashes []string
		for _, o := range owned {
			got = append(got, say(o.Member)+" of "+o.Catalog.String())
		}
		for _, c := range clashes {
			gotClashes = append(gotClashes, fmt.Sprint(c.Zone, " ", c.By, " ", c.Also))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got)\n%s", order, diff)
		}
		if diff := cmp.Diff(wantClashes, gotClashes); diff != "" {
			t.Errorf("%v: clashes (-want +got)\n%s", order, diff)
		}
	}
}

// Thousands of members take no time that grows with their square.
func TestManyMembers(t *testing.T) {
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "m%d.zones PTR zone-%d.example.\ngroup.m%d.zones TXT \"g\"\n", i, i, i)
	}
	c := catalog(t, "cat.example", text.String())
	owned, clashes := catalogzone.Assign([]*catalogzone.Catalog{c})
	if len(c.Members) != 20_000 || len(owned) != 20_000 || len(clashes) != 0 {
		t.Errorf("%d members, %d owned, %d clashes", len(c.Members), len(owned), len(clashes))
	}
}

// FuzzRead: whatever a catalog holds, it is broken, or each member is a zone that is listed
// once.
func FuzzRead(f *testing.F) {
	f.Add("version TXT \"2\"\na.zones PTR example.com.\ncoo.a.zones PTR b.example.\ngroup.a.zones TXT \"x\"\n")
	f.Add("version TXT \"2\"\n\\046.zones PTR \\000.example.\nzones PTR x.\na.b.c.zones PTR y.\n")
	f.Fuzz(func(t *testing.T, text string) {
		records := func(yield func(dns.RR) bool) {
			parser := dns.NewZoneParser(strings.NewReader("@ 1 IN SOA . . 1 1 1 1 1\n@ 1 IN NS .\n"+text), "cat.example.", "")
			for rr, more := parser.Next(); more && yield(rr); rr, more = parser.Next() {
			}
		}
		z, err := content.New(zones.MustName("cat.example"), records)
		if err != nil {
			return
		}
		c, err := catalogzone.Read(z)
		if err != nil {
			return
		}
		for i, m := range c.Members {
			if _, err := zones.ParseName(m.Zone.FQDN()); err != nil || m.Label == "" || !slices.IsSorted(m.Groups) ||
				i > 0 && m.Zone.Compare(c.Members[i-1].Zone) <= 0 {
				t.Errorf("member %d is %+v: %v", i, m, err)
			}
		}
	})
}
