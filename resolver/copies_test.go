package resolver_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
	"pldns/zones/content"
	"pldns/zones/policy"
)

const (
	corpZone = `
		corp.example. 3600 IN SOA ns.corp.example. host.corp.example. 7 3600 600 86400 300
		corp.example. 3600 IN NS ns.corp.example.
		ns.corp.example. 60 IN A 10.9.0.53
		www.corp.example. 60 IN A 10.9.0.1
		alias.corp.example. 60 IN CNAME www.corp.example.
		db.corp.example. 60 IN CNAME mydb.database.windows.net.
		out.corp.example. 60 IN CNAME www.example.net.
		away.corp.example. 60 IN CNAME host.sub.corp.example.
		other.corp.example. 60 IN CNAME host.split.example.
		*.wild.corp.example. 60 IN CNAME www.corp.example.
		old.corp.example. 60 IN DNAME corp.example.
		longer.corp.example. 60 IN DNAME ` + "x23456789012345678901234567890.x23456789012345678901234567890.corp.example." + `
		sub.corp.example. 60 IN NS ns.sub.corp.example.
		ns.sub.corp.example. 60 IN A 10.9.0.54
		public.corp.example. 60 IN A 203.0.113.5
		shadowed.corp.example. 60 IN A 10.9.0.9`
	splitZone = `
		split.example. 3600 IN SOA ns.split.example. host.split.example. 1 3600 600 86400 300
		split.example. 3600 IN NS ns.split.example.
		here.split.example. 60 IN A 10.9.1.1`
	reverseZone = `
		9.10.in-addr.arpa. 3600 IN SOA ns.corp.example. host.corp.example. 1 3600 600 86400 300
		9.10.in-addr.arpa. 3600 IN NS ns.corp.example.
		1.0.9.10.in-addr.arpa. 60 IN PTR www.corp.example.`
	soaCorp = "corp.example. SOA ns.corp.example. host.corp.example. 7 3600 600 86400 300"
)

// held is the content of a zone.
func held(tb testing.TB, text string) content.Copy {
	tb.Helper()
	records := parse(tb, text)
	zone, err := content.New(zones.NameOf(records[0].Header().Name), slices.Values(records))
	if err != nil {
		tb.Fatal(err)
	}
	return content.Copy{Zone: zone}
}

// secondary is a snapshot of a network with zones that are held as copies, and of one that
// has DNS64, too.
func secondary(tb testing.TB, to resolver.Exchanger, held map[string]content.Copy) *resolver.Snapshot {
	tb.Helper()
	by, err := zones.NewDNS64(netip.MustParsePrefix("64:ff9b:1::/96"))
	if err != nil {
		tb.Fatal(err)
	}
	network := func(name, clients string, by *zones.DNS64) zones.NetworkSpec {
		copied := func(zone string, missing zones.Missing) zones.ZoneSpec {
			return zones.ZoneSpec{Name: zones.MustName(zone), Copy: zone, Missing: missing}
		}
		return zones.NetworkSpec{
			Name: name, Clients: []netip.Prefix{netip.MustParsePrefix(clients)}, DNS64: by,
			RequirePrivate: []zones.Name{zones.MustName("public.corp.example")},
			Endpoints: []zones.Endpoint{
				sql("mydb", "10.1.1.5"), endpoint("shadowed.corp.example", "", "", "10.1.1.6"),
				endpoint("*.apps.corp.example", "", "", "10.1.1.7"), endpoint("deep.empty.corp.example", "", "", "10.9.0.77"),
			},
			Zones: []zones.ZoneSpec{
				copied("corp.example", zones.Inherit), copied("split.example", zones.Forward), copied("9.10.in-addr.arpa", zones.Inherit),
				copied("new.example", zones.Inherit), copied("old.example", zones.Inherit), copied("refuse.example", zones.Refuse),
				{Name: zones.MustName("own.corp.example"), Records: parse(tb, "www.own.corp.example. 60 IN A 10.1.1.8")},
			},
		}
	}
	table, err := zones.Build([]zones.NetworkSpec{network("hub", "10.0.0.0/16", nil), network("six", "fd00:6::/32", by)})
	if err != nil {
		tb.Fatal(err)
	}
	routes := []resolver.Route{{Suffix: zones.Root(), Group: "azure", To: to}}
	p := policyOf(tb, policy.Options{Name: "block"}, "www.corp.example\nhost.sub.corp.example\nblocked.split.example\n")
	snapshot, err := resolver.NewSnapshot(resolver.Options{
		Table: table, Routes: map[string][]resolver.Route{"hub": routes, "six": routes}, Copies: held,
		Policies: map[string][]*policy.Policy{"hub": {p}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return snapshot
}

func copies(tb testing.TB) map[string]content.Copy {
	expired := held(tb, strings.ReplaceAll(splitZone, "split.example", "old.example"))
	expired.Expired = true
	return map[string]content.Copy{
		"corp.example": held(tb, corpZone), "split.example": held(tb, splitZone), "9.10.in-addr.arpa": held(tb, reverseZone),
		"old.example": expired, "refuse.example": held(tb, strings.ReplaceAll(splitZone, "split.example", "refuse.example")),
	}
}

// TestCopies: a zone that is held as a copy is answered as its own servers would, and what is
// mapped still wins.
func TestCopies(t *testing.T) {
	says := map[string]said{
		"www.example.net":       {records: "www.example.net. 60 IN A 203.0.113.7", authenticated: true},
		"host.sub.corp.example": {records: "host.sub.corp.example. 60 IN A 10.9.3.3"},
		"host.split.example":    {records: "host.split.example. 60 IN A 203.0.113.9"},
		"blocked.split.example": {records: "blocked.split.example. 60 IN A 203.0.113.9"},
		"service.split.example": {records: "service.split.example. 60 IN HTTPS 1 . ipv4hint=203.0.113.9"},
		"service.example.net":   {records: "service.example.net. 60 IN HTTPS 1 www.corp.example. alpn=h2 ipv4hint=203.0.113.9"},
		"split.example.net":     {records: "split.example.net. 60 IN CNAME host.split.example.\nhost.split.example. 60 IN A 203.0.113.9"},
		"in.example.net":        {records: "in.example.net. 60 IN CNAME www.corp.example.\nwww.corp.example. 60 IN A 203.0.113.1"},
	}
	long := strings.Repeat("y", 60)
	long = strings.Join([]string{long, long, long, "longer.corp.example"}, ".")
	for _, test := range []struct {
		name, client, qname, qtype string
		want                       string
		asked                      string
		reuse                      resolver.Reuse
	}{
		{"a record", "10.0.0.1", "www.corp.example", "A", "NOERROR AA|www.corp.example. A 10.9.0.1", "", resolver.WithSnapshot},
		{"an alias within", "10.0.0.1", "alias.corp.example", "A",
			"NOERROR AA|alias.corp.example. CNAME www.corp.example.|www.corp.example. A 10.9.0.1", "", resolver.WithSnapshot},
		{"an alias of what is mapped", "10.0.0.1", "db.corp.example", "A", "NOERROR AA|db.corp.example. CNAME mydb.database.windows.net.|" +
			"mydb.database.windows.net. CNAME mydb.privatelink.database.windows.net.|mydb.privatelink.database.windows.net. A 10.1.1.5",
			"", resolver.WithSnapshot},
		{"an alias to outside", "10.0.0.1", "out.corp.example", "A",
			"NOERROR|out.corp.example. CNAME www.example.net.|www.example.net. A 203.0.113.7", "www.example.net", resolver.Once},
		{"an alias from outside", "10.0.0.1", "in.example.net", "A",
			"NOERROR|in.example.net. CNAME www.corp.example.|www.corp.example. A 10.9.0.1", "in.example.net", resolver.Once},
		{"an alias to another copy, which lacks it", "fd00:6::1", "other.corp.example", "A",
			"NOERROR|other.corp.example. CNAME host.split.example.|host.split.example. A 203.0.113.9", "host.split.example", resolver.Once},
		{"below a delegation", "fd00:6::1", "away.corp.example", "A",
			"NOERROR|away.corp.example. CNAME host.sub.corp.example.|host.sub.corp.example. A 10.9.3.3", "host.sub.corp.example", resolver.Once},
		{"a policy holds for what is delegated", "10.0.0.1", "host.sub.corp.example", "A",
			"NXDOMAIN EDE 15|host.sub.corp.example. SOA", "", resolver.WithSnapshot},
		{"a wildcard", "10.0.0.1", "any.wild.corp.example", "A",
			"NOERROR AA|any.wild.corp.example. CNAME www.corp.example.|www.corp.example. A 10.9.0.1", "", resolver.WithSnapshot},
		{"DNAME", "10.0.0.1", "www.old.corp.example", "A", "NOERROR AA|old.corp.example. DNAME corp.example.|" +
			"www.old.corp.example. CNAME www.corp.example.|www.corp.example. A 10.9.0.1", "", resolver.WithSnapshot},
		{"a DNAME that makes too long a name", "10.0.0.1", long, "A", "YXDOMAIN AA|longer.corp.example. DNAME " +
			"x23456789012345678901234567890.x23456789012345678901234567890.corp.example.", "", resolver.Once},
		{"NODATA", "10.0.0.1", "www.corp.example", "MX", "NOERROR AA|" + soaCorp, "", resolver.WithSnapshot},
		{"NXDOMAIN", "10.0.0.1", "none.corp.example", "A", "NXDOMAIN AA|" + soaCorp, "", resolver.WithSnapshot},
		{"a name above a mapped one exists", "10.0.0.1", "empty.corp.example", "A", "NOERROR AA|" + soaCorp, "", resolver.WithSnapshot},
		{"the apex", "10.0.0.1", "corp.example", "SOA", "NOERROR AA|" + soaCorp, "", resolver.WithSnapshot},
		{"DS of the apex is for the parent", "fd00:6::1", "corp.example", "DS", "NOERROR|. SOA . . 1 1 1 1 60", "corp.example", resolver.Once},
		{"DS of a zone within", "10.0.0.1", "own.corp.example", "DS", "NOERROR AA|" + soaCorp, "", resolver.WithSnapshot},
		{"DS of a delegation", "10.0.0.1", "sub.corp.example", "DS", "NOERROR AA|" + soaCorp, "", resolver.WithSnapshot},
		{"an endpoint wins", "10.0.0.1", "shadowed.corp.example", "A", "NOERROR AA|shadowed.corp.example. A 10.1.1.6", "", resolver.WithSnapshot},
		{"the wildcard of an endpoint wins", "10.0.0.1", "x.apps.corp.example", "A", "NOERROR AA|x.apps.corp.example. A 10.1.1.7", "",
			resolver.WithSnapshot},
		{"a zone within wins", "10.0.0.1", "www.own.corp.example", "A", "NOERROR AA|www.own.corp.example. A 10.1.1.8", "", resolver.WithSnapshot},
		{"a reverse name", "10.0.0.1", "1.0.9.10.in-addr.arpa", "PTR", "NOERROR AA|1.0.9.10.in-addr.arpa. PTR www.corp.example.", "",
			resolver.WithSnapshot},
		{"a reverse name that is mapped", "10.0.0.1", "77.0.9.10.in-addr.arpa", "PTR",
			"NOERROR AA|77.0.9.10.in-addr.arpa. PTR deep.empty.corp.example.", "", resolver.WithSnapshot},
		{"a reverse name that is missing", "10.0.0.1", "2.0.9.10.in-addr.arpa", "PTR",
			"NXDOMAIN AA|9.10.in-addr.arpa. SOA ns.corp.example. host.corp.example. 1 3600 600 86400 300", "", resolver.WithSnapshot},
		{"a split zone has it", "10.0.0.1", "here.split.example", "A", "NOERROR AA|here.split.example. A 10.9.1.1", "", resolver.WithSnapshot},
		{"a split zone has the name", "10.0.0.1", "here.split.example", "TXT",
			"NOERROR AA|split.example. SOA ns.split.example. host.split.example. 1 3600 600 86400 300", "", resolver.WithSnapshot},
		{"a split zone lacks it", "10.0.0.1", "host.split.example", "A", "NOERROR|host.split.example. A 203.0.113.9", "host.split.example",
			resolver.Once},
		{"a policy holds for what a split zone lacks", "10.0.0.1", "blocked.split.example", "A",
			"NXDOMAIN EDE 15|blocked.split.example. SOA", "", resolver.WithSnapshot},
		{"a zone that refuses what it lacks", "10.0.0.1", "none.refuse.example", "A", "REFUSED EDE 18", "", resolver.Once},
		{"no copy yet", "10.0.0.1", "www.new.example", "A", "SERVFAIL EDE 14", "", resolver.Once},
		{"an expired copy", "10.0.0.1", "here.old.example", "A", "SERVFAIL EDE 24", "", resolver.Once},
		{"a public address where private ones are required", "10.0.0.1", "public.corp.example", "A",
			"NOERROR EDE 15 AA|public.corp.example. SOA public.corp.example. nobody.invalid. 1 3600 1200 604800 10", "", resolver.WithSnapshot},
		{"DNS64", "fd00:6::1", "alias.corp.example", "AAAA", "NOERROR AA|alias.corp.example. CNAME www.corp.example.|" +
			"www.corp.example. AAAA 64:ff9b:1::a09:1", "", resolver.WithSnapshot},
		{"no DNS64 for what does not exist", "fd00:6::1", "none.corp.example", "AAAA", "NXDOMAIN AA|" + soaCorp, "", resolver.WithSnapshot},
		{"an alias from outside to what a split zone lacks", "10.0.0.1", "split.example.net", "A",
			"NOERROR|split.example.net. CNAME host.split.example.|host.split.example. A 203.0.113.9", "split.example.net", resolver.Once},
		{"addresses beside a name that a split zone lacks", "10.0.0.1", "service.split.example", "HTTPS",
			"NOERROR|service.split.example. HTTPS 1 . ipv4hint=\"203.0.113.9\"", "service.split.example", resolver.Once},
		{"addresses beside a name of the zone", "10.0.0.1", "service.example.net", "HTTPS",
			"NOERROR|service.example.net. HTTPS 1 www.corp.example. alpn=\"h2\"", "service.example.net", resolver.Once},
	} {
		t.Run(test.name, func(t *testing.T) {
			azure := &outside{tb: t, says: says}
			r := resolver.New(secondary(t, azure, copies(t)))
			answer := r.Resolve(context.Background(), query(test.client, test.qname, test.qtype))
			got := strings.Join(lines(answer), "|")
			if strings.HasSuffix(test.want, " SOA") { // of a policy, whatever is in it
				got, _, _ = strings.Cut(got, " SOA ")
				got += " SOA"
			}
			if diff := cmp.Diff(strings.Split(test.want, "|"), strings.Split(got, "|")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if asked := strings.Join(azure.asked, " "); asked != test.asked {
				t.Errorf("asked outside: %q, want %q", asked, test.asked)
			}
			if answer.Reuse != test.reuse {
				t.Errorf("reuse %d, want %d", answer.Reuse, test.reuse)
			}
			explained, trace := r.Explain(context.Background(), query(test.client, test.qname, test.qtype))
			if diff := cmp.Diff(lines(answer), lines(explained)); diff != "" {
				t.Errorf("who explains says something else (-answer +explained)\n%s", diff)
			}
			if text := trace.Steps[1].Text; strings.Contains(text, "held as a copy") != slices.ContainsFunc(trace.Steps, inCopy) &&
				!strings.Contains(test.qname, "db.") && !strings.HasSuffix(test.qname, "example.net") {
				t.Errorf("explained without what the copy says: %v", trace.Steps)
			}
		})
	}
}

func inCopy(step resolver.Step) bool { return step.Stage == "copy" }

// TestReferral: who does not want recursion is told which servers to ask.
func TestReferral(t *testing.T) {
	r := resolver.New(secondary(t, &outside{tb: t}, copies(t)))
	q := query("10.0.0.1", "x.sub.corp.example", "A")
	q.RecursionDesired = false
	answer := r.Resolve(context.Background(), q)
	if diff := cmp.Diff([]string{"NOERROR", "sub.corp.example. NS ns.sub.corp.example."}, lines(answer)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	message := answer.Message(q, true)
	if len(message.Extra) != 2 || message.Extra[0].String() != "ns.sub.corp.example.\t60\tIN\tA\t10.9.0.54" || message.IsEdns0() == nil {
		t.Errorf("additional: %v", message.Extra)
	}
	if answer.IsNegative() {
		t.Error("it counts as a denial")
	}
}

// TestStandsFor: names that a flood draws at random are told by what stands for them.
func TestStandsFor(t *testing.T) {
	r := resolver.New(secondary(t, &outside{tb: t}, copies(t)))
	for name, want := range map[string]string{
		"x.wild.corp.example": "*.wild.corp.example", "www.old.corp.example": "old.corp.example", "www.corp.example": "",
		"x.apps.corp.example": "*.apps.corp.example", "none.corp.example": "", "x.sub.corp.example": "sub.corp.example",
	} {
		q := query("10.0.0.1", name, "A")
		q.RecursionDesired = false
		if got := r.Resolve(context.Background(), q).Owner; got.String() != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestWithCopies: a version of a zone is a snapshot of its own, and changes nothing of the
// one before.
func TestWithCopies(t *testing.T) {
	before := secondary(t, &outside{tb: t}, copies(t))
	next, err := before.Copies()["corp.example"].Zone.Apply(content.Change{
		From: before.Copies()["corp.example"].Zone.SOA(), To: parse(t, strings.Replace(strings.Split(corpZone, "\n")[1], " 7 ", " 8 ", 1))[0].(*dns.SOA),
		Added: parse(t, "none.corp.example. 60 IN A 10.9.0.99"),
	})
	if err != nil {
		t.Fatal(err)
	}
	after := before.WithCopies(map[string]content.Copy{"corp.example": {Zone: next}})
	for _, row := range []struct {
		snapshot *resolver.Snapshot
		name     string
		want     string
	}{
		{before, "none.corp.example", "NXDOMAIN AA"}, {after, "none.corp.example", "NOERROR AA"},
		{before, "here.split.example", "NOERROR AA"}, {after, "here.split.example", "SERVFAIL EDE 14"},
		{after, "mydb.database.windows.net", "NOERROR AA"},
	} {
		if got := lines(resolver.New(row.snapshot).Resolve(context.Background(), query("10.0.0.1", row.name, "A")))[0]; got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
	if after.Table() != before.Table() {
		t.Error("the table is another one")
	}
}
