package resolver_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
	"pldns/zones/policy"
)

// policyOf makes a policy of a list or, with its head, a response policy zone.
func policyOf(tb testing.TB, options policy.Options, text string) *policy.Policy {
	tb.Helper()
	b := policy.NewBuilder()
	if _, err := b.Read(strings.NewReader(text), policy.ByContent, zones.Name{}); err != nil {
		tb.Fatal(err)
	}
	return b.Build(options)
}

// policed is a snapshot of a network that is held to policies, and of one that is otherwise
// the same.
func policed(tb testing.TB, to resolver.Exchanger, held ...*policy.Policy) *resolver.Snapshot {
	tb.Helper()
	by, err := zones.NewDNS64(netip.MustParsePrefix("64:ff9b:1::/96"))
	if err != nil {
		tb.Fatal(err)
	}
	network := func(name, clients string, by *zones.DNS64) zones.NetworkSpec {
		return zones.NetworkSpec{
			Name: name, Clients: []netip.Prefix{netip.MustParsePrefix(clients)}, DNS64: by,
			Endpoints: []zones.Endpoint{sql("mydb", "10.1.1.5"), endpoint("api.worse.example", "", "", "10.1.1.9")},
			Zones:     []zones.ZoneSpec{{Name: zones.MustName("own.example"), Records: parse(tb, "www.own.example. 60 IN A 10.1.1.7")}},
		}
	}
	table, err := zones.Build([]zones.NetworkSpec{
		network("held", "10.0.0.0/16", nil), network("free", "10.1.0.0/16", nil), network("six", "fd00:6::/32", by)})
	if err != nil {
		tb.Fatal(err)
	}
	routes := []resolver.Route{{Suffix: zones.Root(), Group: "azure", To: to}}
	snapshot, err := resolver.NewSnapshot(resolver.Options{
		Table: table, Routes: map[string][]resolver.Route{"held": routes, "free": routes, "six": routes},
		Policies: map[string][]*policy.Policy{"held": held, "six": held},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return snapshot
}

const zoneHead = "$TTL 300\n@ SOA localhost. nobody.invalid. 1 1 1 1 30\n"

// TestPolicies: what is for the outside is held to the policies of its network, by name and
// by address, at each step of a chain, and before it is asked for.
func TestPolicies(t *testing.T) {
	says := map[string]said{
		"good.example A":        {records: "good.example. 60 IN A 203.0.113.7", authenticated: true},
		"chain.example A":       {records: "chain.example. 60 IN CNAME bad.example.\nbad.example. 60 IN A 203.0.113.8"},
		"open.example A":        {records: "open.example. 60 IN CNAME bad.example."},
		"address.example A":     {records: "address.example. 60 IN CNAME end.example.\nend.example. 60 IN A 203.0.113.8\nend.example. 60 IN A 198.51.100.9"},
		"free.bad.example A":    {records: "free.bad.example. 60 IN CNAME x.bad.example.\nx.bad.example. 60 IN A 198.51.100.9"},
		"mapped.example A":      {records: "mapped.example. 60 IN CNAME mydb.database.windows.net.\nmydb.database.windows.net. 60 IN A 198.51.100.9"},
		"garden.test A":         {records: "garden.test. 60 IN A 10.0.0.80"},
		"logged.example A":      {records: "logged.example. 60 IN A 203.0.113.9", authenticated: true},
		"tcp.example A":         {records: "tcp.example. 60 IN A 203.0.113.9"},
		"bad.example A":         {records: "bad.example. 60 IN A 203.0.113.8"},
		"six.example AAAA":      {records: ". 60 IN SOA . . 1 1 1 1 60"},
		"six.example A":         {records: "six.example. 60 IN A 198.51.100.9"},
		"service.example HTTPS": {records: "service.example. 60 IN HTTPS 1 . alpn=h2 ipv4hint=203.0.113.8,198.51.100.9"},
		"plain.example HTTPS":   {records: "plain.example. 60 IN HTTPS 1 . alpn=h2 ipv4hint=203.0.113.8"},
		"data.example AAAA":     {records: "data.example. 60 IN AAAA 2001:db8::1"},
		"data.example A":        {records: "data.example. 60 IN A 203.0.113.1"},
		"fails.example A":       {rcode: dns.RcodeServerFailure, records: "fails.example. 60 IN CNAME bad.example."},
		"windows.net A":         {records: "windows.net. 60 IN A 203.0.113.1"},
		"loop.example A":        {records: "loop.example. 60 IN CNAME walled.example."},
		"walled.example A":      {records: "walled.example. 60 IN CNAME loop.example."},
		"passwalled.test A":     {records: "passwalled.test. 60 IN A 203.0.113.9"},
		"twice.example A":       {records: "twice.example. 60 IN A 203.0.113.9"},
		"x.twice.example A":     {records: "x.twice.example. 60 IN A 203.0.113.9"},
		"second.example A":      {records: "second.example. 60 IN A 192.0.2.9"},
		"firstpass.example A":   {records: "firstpass.example. 60 IN A 192.0.2.9"},
	}
	logged := policyOf(t, policy.Options{Name: "watch", Action: policy.Log}, "logged.example\nbad.example\n")
	first := policyOf(t, policy.Options{Name: "first", Code: dns.ExtendedErrorCodeFiltered}, zoneHead+`
*.bad.example CNAME .
*.worse.example CNAME .
bad.example CNAME .
api.worse.example CNAME .
mydb.database.windows.net CNAME .
*.own.example CNAME .
free.bad.example CNAME rpz-passthru.
nodata.example CNAME *.
drop.example CNAME rpz-drop.
tcp.example CNAME rpz-tcp-only.
walled.example CNAME garden.test.
mine.example CNAME mydb.database.windows.net.
self.example CNAME *.self.example.
loop.example CNAME walled.example.
data.example A 10.0.0.9
windows.net CNAME .
32.9.100.51.198.rpz-ip CNAME *.
firstpass.example CNAME rpz-passthru.
`)
	second := policyOf(t, policy.Options{Name: "second"}, zoneHead+`
x.twice.example CNAME rpz-passthru.
*.twice.example CNAME .
twice.example CNAME .
second.example CNAME rpz-passthru.
nodata.example CNAME .
24.0.2.0.192.rpz-ip CNAME .
`)
	const held, free, six = "10.0.0.1", "10.1.0.1", "fd00:6::1"
	for _, test := range []struct {
		why, client, name, qtype string
		want                     string // rcode, records, and the rule
		asked                    string // outside
	}{
		{"nothing is said of it", held, "good.example", "A", "NOERROR AD; A 203.0.113.7; forward .", "good.example A"},
		{"a name", held, "bad.example", "A", "NXDOMAIN EDE 17; -SOA bad.example.; policy first bad.example", ""},
		{"of another type", held, "bad.example", "TXT", "NXDOMAIN EDE 17; -SOA bad.example.; policy first bad.example", ""},
		{"below a wildcard", held, "a.b.bad.example", "A", "NXDOMAIN EDE 17; -SOA a.b.bad.example.; policy first *.bad.example", ""},
		{"of another network", free, "bad.example", "A", "NOERROR; A 203.0.113.8; forward .", "bad.example A"},
		{"a mapped name", held, "mydb.database.windows.net", "A", "NOERROR AA; CNAME mydb.privatelink.database.windows.net.; A 10.1.1.5; endpoint mydb.database.windows.net", ""},
		{"a mapped name below a wildcard", held, "api.worse.example", "A", "NOERROR AA; A 10.1.1.9; endpoint api.worse.example", ""},
		{"a zone of the network", held, "www.own.example", "A", "NOERROR AA; A 10.1.1.7; zone own.example", ""},
		{"a name above mapped names", held, "windows.net", "A", "NOERROR EDE 17; -SOA windows.net.; policy first windows.net", ""},
		{"where an alias leads that the outside followed", held, "chain.example", "A", "NXDOMAIN EDE 17; CNAME bad.example.; -SOA bad.example.; policy first bad.example", "chain.example A"},
		{"where an alias leads that is to be asked", held, "open.example", "A", "NXDOMAIN EDE 17; CNAME bad.example.; -SOA bad.example.; policy first bad.example", "open.example A"},
		{"where an alias leads whose end fails", held, "fails.example", "A", "NXDOMAIN EDE 17; CNAME bad.example.; -SOA bad.example.; policy first bad.example", "fails.example A"},
		{"where an alias leads that is mapped", held, "mapped.example", "A", "NOERROR; CNAME mydb.database.windows.net.; CNAME mydb.privatelink.database.windows.net.; A 10.1.1.5; endpoint mydb.database.windows.net", "mapped.example A"},
		{"an address", held, "address.example", "A", "NOERROR EDE 17; CNAME end.example.; -SOA end.example.; policy first 198.51.100.9/32", "address.example A"},
		{"an address as a hint", held, "service.example", "HTTPS", "NOERROR EDE 17; -SOA service.example.; policy first 198.51.100.9/32", "service.example HTTPS"},
		{"another as a hint", held, "plain.example", "HTTPS", "NOERROR; HTTPS 1; forward .", "plain.example HTTPS"},
		{"it may pass, wherever it leads", held, "free.bad.example", "A", "NOERROR; CNAME x.bad.example.; A 198.51.100.9; forward .", "free.bad.example A"},
		{"it has no data", held, "nodata.example", "A", "NOERROR EDE 17; -SOA nodata.example.; policy first nodata.example", ""},
		{"there is no answer", held, "drop.example", "A", "REFUSED EDE 17 silent; policy first drop.example", ""},
		{"only over TCP", held, "tcp.example", "A", "NOERROR EDE 17 TC; policy first tcp.example", ""},
		{"it leads elsewhere", held, "walled.example", "A", "NOERROR EDE 17; CNAME garden.test.; A 10.0.0.80; policy first walled.example", "garden.test A"},
		{"it leads to a mapped name", held, "mine.example", "A", "NOERROR EDE 17; CNAME mydb.database.windows.net.; CNAME mydb.privatelink.database.windows.net.; A 10.1.1.5; policy first mine.example", ""},
		{"it is asked for its alias", held, "walled.example", "CNAME", "NOERROR EDE 17; CNAME garden.test.; policy first walled.example", ""},
		{"it goes round in a circle", held, "loop.example", "A", "SERVFAIL EDE 17 EDE 0; policy first loop.example", "walled.example A"},
		{"its data", held, "data.example", "A", "NOERROR EDE 17; A 10.0.0.9; policy first data.example", ""},
		{"it has no data of the type", held, "data.example", "AAAA", "NOERROR EDE 17; -SOA data.example.; policy first data.example", ""},
		{"its data, for hosts that have IPv6 alone", six, "data.example", "AAAA", "NOERROR EDE 17; AAAA 64:ff9b:1::a00:9; policy first data.example", ""},
		{"an address, for hosts that have IPv6 alone", six, "six.example", "AAAA", "NOERROR EDE 17; -SOA six.example.; policy first 198.51.100.9/32", "six.example AAAA six.example A"},
		{"it is only logged", held, "logged.example", "A", "NOERROR AD; A 203.0.113.9; forward .", "logged.example A"},
		{"the longest name within a policy", held, "x.twice.example", "A", "NOERROR; A 203.0.113.9; forward .", "x.twice.example A"},
		{"the second policy", held, "twice.example", "A", "NXDOMAIN EDE 15; -SOA twice.example.; policy second twice.example", ""},
		{"a name that may pass, within a policy, and its address", held, "second.example", "A", "NOERROR; A 192.0.2.9; forward .", "second.example A"},
		{"a name that may pass, before a policy by address", held, "firstpass.example", "A", "NOERROR; A 192.0.2.9; forward .", "firstpass.example A"},
	} {
		var asked []string
		snapshot := policed(t, saying(t, says, &asked), logged, first, second)
		q := query(test.client, test.name, test.qtype)
		q.DNSSEC = true
		answer, trace := snapshot.Explain(context.Background(), q)
		if got := verdictOf(answer); got != test.want {
			t.Errorf("%s: %s\n got %s\nwant %s\n%+v", test.why, test.name, got, test.want, trace.Steps)
		}
		if diff := cmp.Diff(test.asked, strings.Join(asked, " ")); diff != "" {
			t.Errorf("%s: asked (-want +got)\n%s", test.why, diff)
		}
	}
}

// verdictOf is an answer in one line.
func verdictOf(a resolver.Answer) string {
	head := lines(a)[0]
	for _, flag := range []struct {
		is   bool
		text string
	}{{a.Truncated, " TC"}, {a.Silent, " silent"}} {
		if flag.is {
			head += flag.text
		}
	}
	parts := []string{head}
	for _, rr := range a.Records {
		fields := strings.Fields(rr.String())
		parts = append(parts, strings.Join(fields[3:5], " "))
	}
	for _, rr := range a.Authority {
		parts = append(parts, "-SOA "+rr.Header().Name)
	}
	return strings.Join(append(parts, a.Rule()), "; ")
}

// TestPolicyReuse: what a policy says by itself holds as long as the snapshot, and what is
// not to be said over one transport is not remembered for another.
func TestPolicyReuse(t *testing.T) {
	p := policyOf(t, policy.Options{Name: "p"}, zoneHead+"bad.example CNAME .\ntcp.example CNAME rpz-tcp-only.\ndrop.example CNAME rpz-drop.\n"+
		"24.0.113.0.203.rpz-ip CNAME .\n")
	snapshot := policed(t, saying(t, map[string]said{
		"tcp.example A":     {records: "tcp.example. 60 IN A 198.51.100.9"},
		"address.example A": {records: "address.example. 60 IN A 203.0.113.9"},
	}, nil), p)
	for name, want := range map[string]resolver.Reuse{
		"bad.example": resolver.WithSnapshot, "tcp.example": resolver.Once, "drop.example": resolver.Once, "address.example": resolver.Once,
	} {
		if answer, _ := snapshot.Explain(context.Background(), query("10.0.0.1", name, "A")); answer.Reuse != want {
			t.Errorf("%s: %d, want %d", name, answer.Reuse, want)
		}
	}
	q := query("10.0.0.1", "tcp.example", "A")
	q.Stream = true
	if answer, _ := snapshot.Explain(context.Background(), q); len(answer.Records) != 1 || answer.Truncated || answer.Verdict.Action != policy.Passthru {
		t.Errorf("over TCP: %s", verdictOf(answer))
	}
	q = query("10.0.0.1", "bad.example", "A")
	q.RecursionDesired = false
	if answer, _ := snapshot.Explain(context.Background(), q); answer.Rcode != dns.RcodeRefused || answer.Verdict != (resolver.Verdict{}) {
		t.Errorf("without RD: %s", verdictOf(answer))
	}
}

// TestPolicyOfNoNetwork: a policy of a network that there is not is refused.
func TestPolicyOfNoNetwork(t *testing.T) {
	table, err := zones.Build([]zones.NetworkSpec{{Name: "held", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = resolver.NewSnapshot(resolver.Options{Table: table, Policies: map[string][]*policy.Policy{"other": nil}})
	if err == nil || !strings.Contains(err.Error(), "policies of network other") {
		t.Error(err)
	}
}
