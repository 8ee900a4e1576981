package content_test

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/content"
)

const corp = `
corp.example. 3600 IN SOA ns1.corp.example. host.corp.example. 7 3600 600 86400 300
corp.example. 3600 IN NS ns1.corp.example.
corp.example. 60 IN MX 10 mail.corp.example.
ns1.corp.example. 60 IN A 10.0.0.53
WWW.Corp.Example. 60 IN A 10.0.0.1
www.corp.example. 60 IN A 10.0.0.2
www.corp.example. 60 IN TXT "hello"
alias.corp.example. 60 IN CNAME www.corp.example.
out.corp.example. 60 IN CNAME www.example.net.
a.deep.ent.corp.example. 60 IN A 10.0.0.3
*.wild.corp.example. 60 IN A 10.0.0.4
*.wild.corp.example. 60 IN TXT "any"
host.wild.corp.example. 60 IN A 10.0.0.5
*.cwild.corp.example. 60 IN CNAME www.corp.example.
b.*.ewild.corp.example. 60 IN A 10.0.0.6
old.corp.example. 60 IN DNAME new.longer.example.net.
old.corp.example. 60 IN TXT "itself"
sub.corp.example. 60 IN NS ns.sub.corp.example.
sub.corp.example. 60 IN NS ns1.corp.example.
sub.corp.example. 60 IN DS 1 8 2 AABB
ns.sub.corp.example. 60 IN A 10.0.0.7
`

func records(t testing.TB, text string) iter.Seq[dns.RR] {
	t.Helper()
	var all []dns.RR
	for line := range strings.Lines(text) {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if rr != nil {
			all = append(all, rr)
		}
	}
	return slices.Values(all)
}

func zone(t testing.TB, text string) *content.Zone {
	t.Helper()
	z, err := content.New(zones.MustName("corp.example"), records(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// lines are records in presentation format, with single spaces.
func lines(all []dns.RR) string {
	var text []string
	for _, rr := range all {
		text = append(text, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	return strings.Join(text, "\n")
}

func TestLookup(t *testing.T) {
	z := zone(t, corp)
	const negative = "corp.example. 300 IN SOA ns1.corp.example. host.corp.example. 7 3600 600 86400 300"
	const cut = "sub.corp.example. 60 IN NS ns.sub.corp.example.\nsub.corp.example. 60 IN NS ns1.corp.example."
	long := strings.Repeat(strings.Repeat("x", 61)+".", 3) + strings.Repeat("y", 50) + ".old.corp.example."
	for _, row := range []struct {
		name, qtype string
		kind        content.Kind
		want        string // the records, or the authority where there are none
		owner       string
		target      string
	}{
		{"www.corp.example.", "A", content.Records, "www.corp.example. 60 IN A 10.0.0.1\nwww.corp.example. 60 IN A 10.0.0.2", "www.corp.example", ""},
		{"www.corp.example.", "AAAA", content.NoData, negative, "www.corp.example", ""},
		{"corp.example.", "SOA", content.Records, strings.Replace(negative, " 300 IN", " 3600 IN", 1), "corp.example", ""},
		{"corp.example.", "MX", content.Records, "corp.example. 60 IN MX 10 mail.corp.example.", "corp.example", ""},
		{"none.corp.example.", "A", content.NoName, negative, "", ""},
		{"x.www.corp.example.", "A", content.NoName, negative, "", ""},
		{"deep.ent.corp.example.", "A", content.NoData, negative, "deep.ent.corp.example", ""},
		{"ent.corp.example.", "TXT", content.NoData, negative, "ent.corp.example", ""},
		{"b.ent.corp.example.", "A", content.NoName, negative, "", ""},
		{"alias.corp.example.", "A", content.Alias, "alias.corp.example. 60 IN CNAME www.corp.example.", "alias.corp.example", "www.corp.example"},
		{"alias.corp.example.", "CNAME", content.Records, "alias.corp.example. 60 IN CNAME www.corp.example.", "alias.corp.example", ""},
		{"alias.corp.example.", "ANY", content.Records, "alias.corp.example. 60 IN CNAME www.corp.example.", "alias.corp.example", ""},
		{"www.corp.example.", "ANY", content.Records, "www.corp.example. 60 IN A 10.0.0.1\nwww.corp.example. 60 IN A 10.0.0.2", "www.corp.example", ""},
		{"x.wild.corp.example.", "A", content.Records, "x.wild.corp.example. 60 IN A 10.0.0.4", "*.wild.corp.example", ""},
		{"x.y.wild.corp.example.", "TXT", content.Records, "x.y.wild.corp.example. 60 IN TXT \"any\"", "*.wild.corp.example", ""},
		{"x.wild.corp.example.", "MX", content.NoData, negative, "*.wild.corp.example", ""},
		{"host.wild.corp.example.", "TXT", content.NoData, negative, "host.wild.corp.example", ""},
		{"x.host.wild.corp.example.", "A", content.NoName, negative, "", ""},
		{"*.wild.corp.example.", "A", content.Records, "*.wild.corp.example. 60 IN A 10.0.0.4", "*.wild.corp.example", ""},
		{"wild.corp.example.", "A", content.NoData, negative, "wild.corp.example", ""},
		{"x.cwild.corp.example.", "A", content.Alias, "x.cwild.corp.example. 60 IN CNAME www.corp.example.", "*.cwild.corp.example", "www.corp.example"},
		{"x.ewild.corp.example.", "A", content.NoData, negative, "*.ewild.corp.example", ""},
		{"b.x.ewild.corp.example.", "A", content.NoData, negative, "*.ewild.corp.example", ""},
		{"b.*.ewild.corp.example.", "A", content.Records, "b.*.ewild.corp.example. 60 IN A 10.0.0.6", "b.*.ewild.corp.example", ""},
		{"a.old.corp.example.", "A", content.Alias,
			"old.corp.example. 60 IN DNAME new.longer.example.net.\na.old.corp.example. 60 IN CNAME a.new.longer.example.net.", "old.corp.example", "a.new.longer.example.net"},
		{"a.old.corp.example.", "CNAME", content.Records,
			"old.corp.example. 60 IN DNAME new.longer.example.net.\na.old.corp.example. 60 IN CNAME a.new.longer.example.net.", "old.corp.example", ""},
		{"old.corp.example.", "TXT", content.Records, "old.corp.example. 60 IN TXT \"itself\"", "old.corp.example", ""},
		{"old.corp.example.", "DNAME", content.Records, "old.corp.example. 60 IN DNAME new.longer.example.net.", "old.corp.example", ""},
		{long, "A", content.Alias, "old.corp.example. 60 IN DNAME new.longer.example.net.", "old.corp.example", ""},
		{"sub.corp.example.", "A", content.Delegation, cut, "sub.corp.example", ""},
		{"sub.corp.example.", "NS", content.Delegation, cut, "sub.corp.example", ""},
		{"x.y.sub.corp.example.", "A", content.Delegation, cut, "sub.corp.example", ""},
		{"ns.sub.corp.example.", "A", content.Delegation, cut, "sub.corp.example", ""},
		{"sub.corp.example.", "DS", content.Records, "sub.corp.example. 60 IN DS 1 8 2 AABB", "sub.corp.example", ""},
		{"x.sub.corp.example.", "DS", content.Delegation, cut, "sub.corp.example", ""},
		{"other.example.", "A", content.Outside, "", "", ""},
		{"xcorp.example.", "A", content.Outside, "", "", ""},
	} {
		t.Run(row.name[:min(len(row.name), 40)]+row.qtype, func(t *testing.T) {
			got := z.Lookup(zones.MustName(row.name), dns.StringToType[row.qtype], true)
			text := lines(got.Records)
			if len(got.Records) == 0 {
				text = lines(got.Authority)
			}
			if got.Kind != row.kind || text != row.want {
				t.Errorf("%s, want %s\n%s\nwant\n%s", got.Kind, row.kind, text, row.want)
			}
			if got.Owner.String() != row.owner || got.Target.String() != row.target {
				t.Errorf("owner %s, target %s, want %s, %s", got.Owner, got.Target, row.owner, row.target)
			}
		})
	}
	glue := z.Lookup(zones.MustName("x.sub.corp.example"), dns.TypeA, false).Glue
	if got := lines(glue); got != "ns.sub.corp.example. 60 IN A 10.0.0.7\nns1.corp.example. 60 IN A 10.0.0.53" {
		t.Errorf("glue:\n%s", got)
	}
}

// TestNoZone: what a primary must not send is no zone.
func TestNoZone(t *testing.T) {
	const apex = "corp.example. 60 IN SOA a. b. 1 2 3 4 5\ncorp.example. 60 IN NS a.\n"
	for _, row := range []struct{ text, want string }{
		{"", "no SOA"},
		{"corp.example. 60 IN NS a.\n", "no SOA"},
		{"corp.example. 60 IN SOA a. b. 1 2 3 4 5\n", "no NS"},
		{apex + "corp.example. 60 IN SOA a. b. 2 2 3 4 5\n", "more than one SOA"},
		{apex + "x.corp.example. 60 IN SOA a. b. 1 2 3 4 5\n", "more than one SOA"},
		{apex + "x.corp.example. 60 CH TXT a\n", "class CH"},
		{apex + "example. 60 IN A 10.0.0.1\n", "outside"},
		{apex + "xcorp.example. 60 IN A 10.0.0.1\n", "outside"},
		{apex + "x.corp.example. 60 IN CNAME a.\nX.corp.example. 60 IN A 10.0.0.1\n", "beside other data"},
		{apex + "x.corp.example. 60 IN CNAME a.\nx.corp.example. 60 IN CNAME b.\n", "more than one CNAME"},
		{apex + "corp.example. 60 IN CNAME a.\n", "beside other data"},
		{apex + "x.corp.example. 60 IN DNAME a.\nx.corp.example. 60 IN DNAME b.\n", "more than one DNAME"},
		{apex + "x.corp.example. 60 IN TYPE15 \\# 2 000A\n", "cannot be read"},         // MX without a host
		{apex + "x.corp.example. 60 IN TYPE33 \\# 6 000100020003\n", "cannot be read"}, // SRV without a target
	} {
		_, err := content.New(zones.MustName("corp.example"), records(t, row.text))
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.text, err, row.want)
		}
	}
	twice := zone(t, apex+apex+"x.corp.example. 60 IN CNAME a.\nx.corp.example. 30 IN CNAME a.\nx.corp.example. 60 IN NSEC a. CNAME\n")
	if twice.Len() != 4 {
		t.Errorf("what is there twice counts as %d records, want 4", twice.Len())
	}
	if got := twice.Lookup(zones.MustName("x.corp.example"), dns.TypeCNAME, false).Records; lines(got) != "x.corp.example. 30 IN CNAME a." {
		t.Errorf("two TTLs became %s", lines(got))
	}
}

// TestFile: a zone survives being written and read; its records are in canonical order.
func TestFile(t *testing.T) {
	z := zone(t, corp+"odd\\000\\.\\001\\255.corp.example. 60 IN TXT \"a\\\"\\\\\\200\"\nu.corp.example. 60 IN TYPE65280 \\# 3 010203\n")
	var file bytes.Buffer
	if n, err := z.WriteTo(&file); err != nil || n != int64(file.Len()) {
		t.Fatalf("%d of %d: %v", n, file.Len(), err)
	}
	again, err := content.Read(&file, z.Apex())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := lines(slices.Collect(again.Records())), lines(slices.Collect(z.Records())); got != want || again.Len() != z.Len() {
		t.Errorf("read:\n%s\nwritten:\n%s", got, want)
	}
	var owners []string
	for rr := range z.Records() {
		if owner := rr.Header().Name; len(owners) == 0 || owners[len(owners)-1] != owner {
			owners = append(owners, owner)
		}
	}
	want := strings.Fields(`corp.example. alias.corp.example. *.cwild.corp.example. a.deep.ent.corp.example. b.*.ewild.corp.example.
		ns1.corp.example. odd\000\.\001\255.corp.example. old.corp.example. out.corp.example. sub.corp.example. ns.sub.corp.example.
		u.corp.example. *.wild.corp.example. host.wild.corp.example. www.corp.example.`)
	if !slices.Equal(owners, want) {
		t.Errorf("order %q\nwant %q", owners, want)
	}
}

func soa(t testing.TB, serial uint32) *dns.SOA {
	rr, err := dns.NewRR(fmt.Sprintf("corp.example. 3600 IN SOA ns1.corp.example. host.corp.example. %d 3600 600 86400 300", serial))
	if err != nil {
		t.Fatal(err)
	}
	return rr.(*dns.SOA)
}

func TestApply(t *testing.T) {
	z := zone(t, corp)
	change := func(from, to uint32, removed, added string) content.Change {
		return content.Change{From: soa(t, from), To: soa(t, to),
			Removed: slices.Collect(records(t, removed)), Added: slices.Collect(records(t, added))}
	}
	next, err := z.Apply(
		change(7, 9, "www.corp.example. 1 IN A 10.0.0.1\nalias.corp.example. 60 IN CNAME WWW.corp.example.\n",
			"alias.corp.example. 60 IN A 10.0.0.9\nwww.corp.example. 30 IN A 10.0.0.3\n"),
		change(9, 1<<31, "a.deep.ent.corp.example. 60 IN A 10.0.0.3\n", "new.corp.example. 60 IN A 10.0.0.8\n"))
	if err != nil {
		t.Fatal(err)
	}
	if next.Serial() != 1<<31 || next.Len() != z.Len() || z.Serial() != 7 {
		t.Errorf("serial %d, %d records", next.Serial(), next.Len())
	}
	for name, want := range map[string]string{
		"www":   "www.corp.example. 30 IN A 10.0.0.2\nwww.corp.example. 30 IN A 10.0.0.3",
		"alias": "alias.corp.example. 60 IN A 10.0.0.9", "ent": "", "new": "new.corp.example. 60 IN A 10.0.0.8",
	} {
		if got := lines(next.Lookup(zones.MustName(name+".corp.example"), dns.TypeA, false).Records); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	back, err := next.Apply(content.Change{From: next.SOA(), To: soa(t, 1<<31+1)})
	if err != nil || back.Serial() != 1<<31+1 {
		t.Errorf("a change of the serial alone: %v", err)
	}
	for _, row := range []struct {
		change content.Change
		want   string
	}{
		{change(6, 8, "", ""), "not of this version"},
		{change(7, 7, "", ""), "newer"},
		{change(7, 6, "", ""), "newer"},
		{change(7, 7+1<<31, "", ""), "newer"},
		{change(7, 8, "nobody.corp.example. 60 IN A 10.0.0.1\n", ""), "not there"},
		{change(7, 8, "www.corp.example. 60 IN A 10.0.0.99\n", ""), "not there"},
		{change(7, 8, "corp.example. 3600 IN NS ns1.corp.example.\n", ""), "no NS"},
		{change(7, 8, "", "www.corp.example. 60 IN CNAME a.\n"), "beside"},
		{change(7, 8, "", "www.example. 60 IN A 10.0.0.1\n"), "outside"},
		{change(7, 8, "", "corp.example. 60 IN SOA a. b. 8 1 1 1 1\n"), "SOA"},
		{content.Change{To: soa(t, 8)}, "not of this version"},
	} {
		if _, err := z.Apply(row.change); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%v, want %q", err, row.want)
		}
	}
}

// TestDiff: what one version becomes another by is what differs.
func TestDiff(t *testing.T) {
	old := zone(t, corp)
	replaced := strings.NewReplacer("7 3600 600", "8 3600 600", "www.corp.example. 60 IN TXT \"hello\"\n", "",
		"A 10.0.0.5\n", "A 10.0.0.55\n", "*.wild.corp.example. 60 IN A", "*.wild.corp.example. 61 IN A").Replace(corp)
	new := zone(t, replaced+"zz.corp.example. 60 IN A 10.0.0.9\n")
	c := content.Diff(old, new)
	if got := lines(c.Removed); got != "*.wild.corp.example. 60 IN A 10.0.0.4\nhost.wild.corp.example. 60 IN A 10.0.0.5\n"+
		"www.corp.example. 60 IN TXT \"hello\"" {
		t.Errorf("removed:\n%s", got)
	}
	if got := lines(c.Added); got != "*.wild.corp.example. 61 IN A 10.0.0.4\nhost.wild.corp.example. 60 IN A 10.0.0.55\n"+
		"zz.corp.example. 60 IN A 10.0.0.9" {
		t.Errorf("added:\n%s", got)
	}
	made, err := old.Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := lines(slices.Collect(made.Records())), lines(slices.Collect(new.Records())); got != want {
		t.Errorf("applied:\n%s\nwant:\n%s", got, want)
	}
}
