package primary_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"pldns/config"
	"pldns/resolver/primary"
	"pldns/resolver/resolvertest"
	"pldns/resolver/tsig"
	"pldns/zones"
	"pldns/zones/content"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	blob = zones.MustName("privatelink.blob.core.windows.net")
	corp = zones.MustName("corp.example")
	site = netip.MustParseAddr("10.30.0.4")
	key  = &tsig.Key{Name: zones.MustName("site.copy"), Algorithm: "hmac-sha256", Secret: []byte("a secret of some length, for tests")}
)

func rr(text string) dns.RR {
	record, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return record
}

func addrs(texts ...string) (list []netip.Addr) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// table has the networks eu and us, with the same account at other addresses, a wildcard, a zone of
// the operator and a longer one in it.
func table(tb testing.TB, eu ...string) *zones.Table {
	tb.Helper()
	network := func(name, clients string, account ...string) zones.NetworkSpec {
		return zones.NetworkSpec{
			Name: name, Clients: []netip.Prefix{netip.MustParsePrefix(clients)},
			Endpoints: []zones.Endpoint{{
				Name: zones.MustName("acct.blob.core.windows.net"), Private: blob.Under("acct"), Zone: blob,
				Addresses: addrs(account...), TTL: 10, Pick: zones.PickFirstHealthy,
			}, {
				Name: zones.MustName("*.env.azurecontainerapps.io"), Private: zones.MustName("*.env.privatelink.azurecontainerapps.io"),
				Zone: zones.MustName("privatelink.azurecontainerapps.io"), Addresses: addrs("10.9.0.1"), TTL: 10,
			}, {
				Name: zones.MustName("shop.corp.example"), Private: blob.Under("shop"), Zone: blob, Addresses: addrs("10.9.0.2"), TTL: 30,
			}, {
				Name: zones.MustName("db.corp.example"), Addresses: addrs("10.9.0.3", "fd00::3"), TTL: 30,
			}},
			Zones: []zones.ZoneSpec{
				{Name: corp, Records: []dns.RR{rr("corp.example. 300 IN MX 10 mail.corp.example."), rr("mail.corp.example. 300 IN A 10.9.0.4")}},
				{Name: zones.MustName("lab.corp.example"), Records: []dns.RR{rr("a.lab.corp.example. 300 IN A 10.9.0.5")}},
			},
		}
	}
	if len(eu) == 0 {
		eu = []string{"10.1.0.4", "10.1.0.5"}
	}
	t, err := zones.Build([]zones.NetworkSpec{network("eu", "10.30.0.0/16", eu...), network("us", "10.40.0.0/16", "10.2.0.4")})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// lines are the records of a zone but SOA and NS, each in a line.
func lines(zone *content.Zone) (all []string) {
	for rr := range zone.Records() {
		if kind := rr.Header().Rrtype; kind != dns.TypeSOA && kind != dns.TypeNS {
			all = append(all, strings.Join(strings.Fields(rr.String()), " "))
		}
	}
	return all
}

// A zone is made of what the network has in it, and of nothing that another network has.
func TestMadeOfANetwork(t *testing.T) {
	networks := table(t)
	for _, row := range []struct {
		network, zone string
		want          []string
	}{
		{"eu", blob.String(), []string{
			"acct.privatelink.blob.core.windows.net. 10 IN A 10.1.0.4", "acct.privatelink.blob.core.windows.net. 10 IN A 10.1.0.5",
			"shop.privatelink.blob.core.windows.net. 30 IN A 10.9.0.2",
		}},
		{"us", blob.String(), []string{
			"acct.privatelink.blob.core.windows.net. 10 IN A 10.2.0.4", "shop.privatelink.blob.core.windows.net. 30 IN A 10.9.0.2",
		}},
		{"eu", "privatelink.azurecontainerapps.io", []string{"*.env.privatelink.azurecontainerapps.io. 10 IN A 10.9.0.1"}},
		{"eu", "env.azurecontainerapps.io", []string{"*.env.azurecontainerapps.io. 10 IN A 10.9.0.1"}},
		{"eu", "corp.example", []string{
			"corp.example. 300 IN MX 10 mail.corp.example.", "db.corp.example. 30 IN A 10.9.0.3", "db.corp.example. 30 IN AAAA fd00::3",
			"mail.corp.example. 300 IN A 10.9.0.4", "shop.corp.example. 30 IN CNAME shop.privatelink.blob.core.windows.net.",
		}},
		{"eu", "lab.corp.example", []string{"a.lab.corp.example. 300 IN A 10.9.0.5"}},
		{"eu", "shop.corp.example", []string{"shop.corp.example. 30 IN A 10.9.0.2"}},
	} {
		network, _ := networks.Network(row.network)
		zone, err := primary.Make(network, zones.MustName(row.zone), 7)
		if err != nil {
			t.Errorf("%s in %s: %v", row.zone, row.network, err)
			continue
		}
		if got := lines(zone); !slices.Equal(got, row.want) || zone.Serial() != 7 {
			t.Errorf("%s in %s, serial %d\n got %s\nwant %s", row.zone, row.network, zone.Serial(), strings.Join(got, "\n     "),
				strings.Join(row.want, "\n     "))
		}
	}
}

// Serials grow with the clock, and one by one where that stands still or goes back.
func TestSerial(t *testing.T) {
	for _, row := range []struct {
		before uint32
		at     int64
		want   uint32
	}{{0, 1_800_000_000, 1_800_000_000}, {1_700_000_000, 1_800_000_000, 1_800_000_000}, {1_800_000_000, 1_800_000_000, 1_800_000_001},
		{1_800_000_000, 0, 1_800_000_001}, {4_294_967_290, 4_294_967_300, 4}} {
		if got := primary.Serial(row.before, time.Unix(row.at, 0)); got != row.want {
			t.Errorf("after %d at %d: %d, want %d", row.before, row.at, got, row.want)
		}
	}
}

// run runs a server until the test ends, or stop is called.
func run(t *testing.T, o primary.Options) (s *primary.Server, stop func()) {
	t.Helper()
	o.Replace = config.ReplaceFile
	s = primary.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	over := false
	stop = func() {
		if cancel(); !over {
			over = true
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func given(network string, zone zones.Name) primary.Zone {
	return primary.Zone{Network: network, Name: zone, Peers: []netip.Prefix{netip.PrefixFrom(site, 32)}}
}

// serial waits until a zone has another serial than before.
func serial(t *testing.T, s *primary.Server, zone zones.Name, before uint32) (next uint32) {
	t.Helper()
	resolvertest.Until(t, "the zone has changed", func() bool {
		zone, held := s.Content("eu", zone)
		if held {
			next = zone.Serial()
		}
		return held && next != before
	})
	return next
}

func ask(s *primary.Server, qtype uint16, serial uint32, change func(*primary.Request)) primary.Outcome {
	q := primary.Request{Network: "eu", Zone: blob, From: site, Type: qtype, Serial: serial}
	if change != nil {
		change(&q)
	}
	return s.Transfer(q)
}

// Who asks, for what, and signed with what, decides.
func TestWhoMayTake(t *testing.T) {
	s, _ := run(t, primary.Options{})
	signed, copied := given("eu", corp), given("eu", zones.MustName("copied.example"))
	signed.Key, copied.Copy = key, "c"
	other := given("eu", zones.MustName("privatelink.azurecontainerapps.io"))
	other.Peers = []netip.Prefix{netip.MustParsePrefix("10.30.9.0/24")}
	list := []primary.Zone{given("eu", blob), signed, copied, other}
	s.Hold(table(t), list, nil)
	serial(t, s, blob, 0)
	serial(t, s, corp, 0)
	for _, row := range []struct {
		name   string
		change func(*primary.Request)
		want   primary.Verdict
	}{
		{"a peer", nil, primary.Given},
		{"somebody else", func(q *primary.Request) { q.From = netip.MustParseAddr("10.30.0.5") }, primary.Stranger},
		{"a peer by another network", func(q *primary.Request) { q.Network = "us" }, primary.Stranger},
		{"a zone with a key, unsigned", func(q *primary.Request) { q.Zone = corp }, primary.Denied},
		{"another key", func(q *primary.Request) { q.Zone, q.Key = corp, zones.MustName("another.key") }, primary.Denied},
		{"the key", func(q *primary.Request) { q.Zone, q.Key = corp, key.Name }, primary.Given},
		{"a key where none is needed", func(q *primary.Request) { q.Key = key.Name }, primary.Given},
		{"a zone of other peers", func(q *primary.Request) { q.Zone = other.Name }, primary.Denied},
		{"a zone that nobody may take", func(q *primary.Request) { q.Zone = zones.MustName("lab.corp.example") }, primary.Denied},
		{"a name in a zone", func(q *primary.Request) { q.Zone = blob.Under("acct") }, primary.NotHeld},
		{"no zone", func(q *primary.Request) { q.Zone = zones.MustName("example.com") }, primary.NotHeld},
		{"a copy that is not there", func(q *primary.Request) { q.Zone = copied.Name }, primary.NotReady},
	} {
		if got := ask(s, dns.TypeAXFR, 0, row.change).Verdict; got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
	zone := copyOf(t, copied.Name, 5, "10.0.0.1")
	s.Copies(map[string]content.Copy{"c": {Zone: zone}})
	ofCopy := func(q *primary.Request) { q.Zone = copied.Name }
	resolvertest.Until(t, "the copy is given", func() bool { return ask(s, dns.TypeSOA, 0, ofCopy).Verdict == primary.Given })
	s.Copies(map[string]content.Copy{"c": {Zone: zone, Expired: true}})
	if got := ask(s, dns.TypeSOA, 0, ofCopy).Verdict; got != primary.Expired {
		t.Errorf("an expired copy: %d", got)
	}
	s.Hold(table(t), list[1:], nil)
	if got := ask(s, dns.TypeAXFR, 0, nil).Verdict; got != primary.Denied {
		t.Errorf("a zone that may not be taken any more: %d", got)
	}
}

// copyOf is the copy of a zone with so many addresses.
func copyOf(tb testing.TB, name zones.Name, serial uint32, texts ...string) *content.Zone {
	tb.Helper()
	records := []dns.RR{
		rr(fmt.Sprintf("%s 3600 IN SOA ns.example. hostmaster.example. %d 1 1 1 1", name.FQDN(), serial)), rr(name.FQDN() + " 3600 IN NS ns.example."),
	}
	for i, text := range texts {
		records = append(records, rr(fmt.Sprintf("h%d.%s 3600 IN A %s", i, name.FQDN(), text)))
	}
	zone, err := content.New(name, slices.Values(records))
	if err != nil {
		tb.Fatal(err)
	}
	return zone
}

// told is what a transfer says: SOA records as their serials, others as their owners and data.
func told(o primary.Outcome) string {
	var words []string
	for record := range o.Records {
		switch record := record.(type) {
		case *dns.SOA:
			words = append(words, fmt.Sprintf("[%d]", record.Serial))
		case *dns.A:
			words = append(words, strings.SplitN(record.Hdr.Name, ".", 2)[0]+"="+record.A.String())
		}
	}
	return strings.Join(words, " ")
}

// IXFR tells what has changed since any of the last versions, and all to who has another.
func TestChangesOfACopy(t *testing.T) {
	s, _ := run(t, primary.Options{})
	zone := given("eu", corp)
	zone.Copy = "c"
	s.Hold(table(t), []primary.Zone{zone}, nil)
	for i, version := range []*content.Zone{
		copyOf(t, corp, 5, "10.0.0.1"), copyOf(t, corp, 6, "10.0.0.2"), copyOf(t, corp, 9, "10.0.0.2", "10.0.0.3"),
	} {
		s.Copies(map[string]content.Copy{"c": {Zone: version}})
		serial(t, s, corp, []uint32{0, 5, 6}[i])
	}
	ofCopy := func(q *primary.Request) { q.Zone = corp }
	for _, row := range []struct {
		has   uint32
		want  string
		whole bool
	}{
		{9, "[9]", false}, {10, "[9]", false},
		{6, "[9] [6] [9] h1=10.0.0.3 [9]", false},
		{5, "[9] [5] h0=10.0.0.1 [6] h0=10.0.0.2 [6] [9] h1=10.0.0.3 [9]", false},
		{4, "[9] h0=10.0.0.2 h1=10.0.0.3 [9]", true}, {8, "[9] h0=10.0.0.2 h1=10.0.0.3 [9]", true},
	} {
		if out := ask(s, dns.TypeIXFR, row.has, ofCopy); told(out) != row.want || out.Whole != row.whole {
			t.Errorf("since %d: %s, whole: %v; want %s", row.has, told(out), out.Whole, row.want)
		}
	}
	s.Copies(map[string]content.Copy{"c": {Zone: copyOf(t, corp, 2, "10.0.0.7")}}) // the primary has gone back
	serial(t, s, corp, 9)
	if got := told(ask(s, dns.TypeIXFR, 1, ofCopy)); got != "[2] h0=10.0.0.7 [2]" {
		t.Errorf("after going back: %s", got)
	}
	for i := range uint32(150) {
		s.Copies(map[string]content.Copy{"c": {Zone: copyOf(t, corp, 3+i, fmt.Sprintf("10.0.1.%d", i))}})
		serial(t, s, corp, 2+i)
	}
	if kept := s.States()[0].Kept; kept != 100 {
		t.Errorf("of 150 changes %d are kept", kept)
	}
}

// A made zone has a new serial when its content is another, after a restart too, and else the same.
func TestSerialOfAMadeZone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, stop := run(t, primary.Options{Dir: dir})
	s.Hold(table(t), []primary.Zone{given("eu", blob), given("us", blob)}, nil)
	first := serial(t, s, blob, 0)
	if now := uint32(time.Now().Unix()); now-first > 60 {
		t.Errorf("the serial is %d, and it is %d", first, now)
	}
	s.Hold(table(t), []primary.Zone{given("eu", blob), given("us", blob)}, nil) // another table of the same
	s.Hold(table(t, "10.1.0.4"), []primary.Zone{given("eu", blob)}, nil)
	second := serial(t, s, blob, first)
	want := fmt.Sprintf("[%d] [%d] acct=10.1.0.5 [%[1]d] [%[1]d]", second, first)
	if got := told(ask(s, dns.TypeIXFR, first, nil)); got != want || !content.IsNewer(second, first) {
		t.Errorf("the change is %s, want %s", got, want)
	}
	resolvertest.Until(t, "the serial is kept", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "serials.json"))
		return err == nil && strings.Contains(string(text), fmt.Sprint(second))
	})
	stop()

	s, stop = run(t, primary.Options{Dir: dir})
	s.Hold(table(t, "10.1.0.4"), []primary.Zone{given("eu", blob)}, nil)
	if got := serial(t, s, blob, 0); got != second {
		t.Errorf("after a restart the serial is %d, was %d", got, second)
	}
	stop()
	s, stop = run(t, primary.Options{Dir: dir})
	s.Hold(table(t), []primary.Zone{given("eu", blob)}, nil)
	if got := serial(t, s, blob, 0); !content.IsNewer(got, second) {
		t.Errorf("after a restart with other content the serial is %d, was %d", got, second)
	}
	stop()
	if err := os.WriteFile(filepath.Join(dir, "serials.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ = run(t, primary.Options{Dir: dir}) // a file that is broken is as good as none
	s.Hold(table(t), []primary.Zone{given("eu", blob)}, nil)
	serial(t, s, blob, 0)
}
