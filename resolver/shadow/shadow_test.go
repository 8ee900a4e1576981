package shadow_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
	"pldns/resolver/shadow"
	"pldns/zones"
	"pldns/zones/policy"
)

const privateLink = "privatelink.database.windows.net"

// counts are what an observer was told.
type counts struct {
	mu       sync.Mutex
	results  map[shadow.Result]int
	panicked int
	changed  chan struct{}
}

func newCounts() *counts {
	return &counts{results: make(map[shadow.Result]int), changed: make(chan struct{}, 1)}
}

func (c *counts) Shadowed(network string, result shadow.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results[result]++
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *counts) Panicked(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panicked++
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// await waits until something holds of what was counted.
func (c *counts) await(t *testing.T, what string, holds func(results map[shadow.Result]int, panicked int) bool) {
	t.Helper()
	for giveUp := time.After(time.Minute); ; {
		c.mu.Lock()
		done := holds(c.results, c.panicked)
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-c.changed:
		case <-giveUp:
			t.Fatalf("%s: %v", what, c.results)
		}
	}
}

func (c *counts) awaitResult(t *testing.T, result shadow.Result, n int) {
	t.Helper()
	c.await(t, result.String(), func(results map[shadow.Result]int, _ int) bool { return results[result] == n })
}

// pool is a group of one server.
func pool(t *testing.T, at netip.AddrPort, change ...func(*forward.Config)) *forward.Pool {
	t.Helper()
	c := forward.Config{Name: "other", Servers: []forward.Server{{Addr: at}}}
	for _, each := range change {
		each(&c)
	}
	p, err := forward.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// begin compares everything with a server until the test ends.
func begin(t *testing.T, to resolver.Exchanger, change ...func(*shadow.Config)) (*shadow.Shadow, *shadow.Differences, *counts) {
	t.Helper()
	seen, differences := newCounts(), shadow.NewDifferences(10)
	c := shadow.Config{Group: "azure", To: to, Sample: 1, MaxQPS: 1000, Differences: differences, Observer: seen, Pause: 1, Again: 1}
	for _, each := range change {
		each(&c)
	}
	s := shadow.New(c)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, differences, seen
}

// mapped is a query for a database, and the answer that a network has for it.
func mapped(t *testing.T, name, address string) (resolver.Query, resolver.Answer) {
	t.Helper()
	public := zones.MustName(name + ".database.windows.net")
	return clientQuery(public), resolver.Answer{
		Network: "europe", Source: resolver.FromLocal, Endpoint: public, Zone: zones.MustName(privateLink),
		Records: resolvertest.RRs(t, fmt.Sprintf("%[1]s.database.windows.net. 60 IN CNAME %[1]s.%[2]s.\n%[1]s.%[2]s. 60 IN A %[3]s", name, privateLink, address)),
	}
}

func clientQuery(name zones.Name) resolver.Query {
	q := resolver.NewClientQuery(name, dns.TypeA, zones.Client{})
	q.Class, q.RecursionDesired = dns.ClassINET, true
	return q
}

const azureZone = `
db1.database.windows.net. 60 IN CNAME db1.privatelink.database.windows.net.
db1.privatelink.database.windows.net. 60 IN A 10.0.1.1
db2.database.windows.net. 60 IN CNAME db2.privatelink.database.windows.net.
db2.privatelink.database.windows.net. 60 IN A 10.0.1.99
`

// What the other server answers otherwise is listed and counted, and no more when it
// agrees again.
func TestDifferences(t *testing.T) {
	upstream := resolvertest.StartUpstream(t, azureZone)
	s, differences, seen := begin(t, pool(t, upstream.Addr))
	s.Answered(mapped(t, "db1", "10.0.1.1"))
	seen.awaitResult(t, shadow.Same, 1)
	s.Answered(mapped(t, "db2", "10.0.1.2"))
	seen.awaitResult(t, shadow.AddressesDiffer, 1)
	s.Answered(mapped(t, "db3", "10.0.1.3"))
	seen.awaitResult(t, shadow.RcodeDiffers, 1)
	s.Answered(mapped(t, "db2", "10.0.1.2"))
	seen.awaitResult(t, shadow.AddressesDiffer, 2)
	report := differences.Report("europe")
	if got := lines(report); got != "db2.database.windows.net addresses: 10.0.1.2 of db2.privatelink.database.windows.net, "+
		"not 10.0.1.99 of db2.privatelink.database.windows.net, 2 times\n"+
		"db3.database.windows.net rcode: 10.0.1.3 of db3.privatelink.database.windows.net, not NXDOMAIN, 1 times\n" {
		t.Error(got)
	}
	if report.Counts[shadow.Same] != 1 || report.Counts[shadow.AddressesDiffer] != 2 || len(differences.Report("australia").Differences) != 0 {
		t.Errorf("%+v", report)
	}
	s.Answered(mapped(t, "db2", "10.0.1.99"))
	seen.awaitResult(t, shadow.Same, 2)
	if got := lines(differences.Report("europe")); !strings.HasPrefix(got, "db3") || !strings.HasSuffix(got, ", 2 times, agrees\n") {
		t.Error(got)
	}
	q, a := mapped(t, "db3", "10.0.1.3") // it is answered from the same group now
	a.Source, a.Group, a.Zone, a.Endpoint, a.Records, a.Rcode = resolver.FromUpstream, "azure", zones.Name{}, zones.Name{}, nil, dns.RcodeNameError
	s.Answered(q, a)
	if got := lines(differences.Report("europe")); strings.Count(got, ", agrees\n") != 2 {
		t.Error(got)
	}
	differences.Keep(func(network string) bool { return network != "europe" })
	if got := lines(differences.Report("europe")); got != "" {
		t.Errorf("of a network that is no more: %s", got)
	}
}

func lines(r shadow.Report) string {
	var text strings.Builder
	for _, d := range r.Differences {
		fmt.Fprintf(&text, "%s %s: %s, not %s, %d times", d.Name, d.Kind, d.Ours, d.Theirs, d.Count)
		if !d.Agreed.IsZero() {
			text.WriteString(", agrees")
		}
		text.WriteString("\n")
	}
	return text.String()
}

// The other server is not asked about what does not leave this program, what has no
// comparison, and what it said itself.
func TestNotAsked(t *testing.T) {
	upstream := resolvertest.StartUpstream(t, azureZone)
	s, _, seen := begin(t, pool(t, upstream.Addr), func(c *shadow.Config) { c.Networks = []string{"europe", "hub"} })
	change := func(do func(q *resolver.Query, a *resolver.Answer)) {
		q, a := mapped(t, "db1", "10.0.1.1")
		do(&q, &a)
		s.Answered(q, a)
	}
	change(func(_ *resolver.Query, a *resolver.Answer) { a.Network = "" })
	change(func(_ *resolver.Query, a *resolver.Answer) { a.Network = "australia" })
	change(func(q *resolver.Query, _ *resolver.Answer) { q.Class = dns.ClassCHAOS })
	change(func(q *resolver.Query, _ *resolver.Answer) { q.RecursionDesired = false })
	change(func(q *resolver.Query, _ *resolver.Answer) { q.Type = dns.TypeHTTPS })
	change(func(_ *resolver.Query, a *resolver.Answer) {
		a.Verdict = resolver.Verdict{Policy: "ads", Action: policy.NXDomain}
	})
	change(func(q *resolver.Query, _ *resolver.Answer) { q.Type = dns.TypeANY })
	change(func(_ *resolver.Query, a *resolver.Answer) {
		a.Zone, a.Endpoint = zones.MustName("localhost"), zones.Name{}
	})
	change(func(q *resolver.Query, a *resolver.Answer) {
		q.Name, a.Zone = zones.MustName("1.1.0.10.in-addr.arpa"), zones.MustName("10.in-addr.arpa")
	})
	change(func(q *resolver.Query, a *resolver.Answer) {
		q.Name, a.Zone = zones.MustName("9.9.9.9.in-addr.arpa"), zones.Name{} // of an endpoint
	})
	change(func(_ *resolver.Query, a *resolver.Answer) {
		a.Source, a.Group, a.Zone, a.Endpoint = resolver.FromCache, "azure", zones.Name{}, zones.Name{}
	})
	change(func(_ *resolver.Query, a *resolver.Answer) { a.Waits = true })
	s.Answered(mapped(t, "db2", "10.0.1.99")) // the last: it is asked for
	seen.awaitResult(t, shadow.Same, 1)
	if got := upstream.Total(); got != 1 {
		t.Errorf("%d questions were asked: %+v", got, upstream.Queries())
	}
	change(func(q *resolver.Query, a *resolver.Answer) { // of another group
		a.Source, a.Group, a.Zone, a.Endpoint = resolver.FromUpstream, "onprem", zones.Name{}, zones.Name{}
	})
	seen.awaitResult(t, shadow.Same, 2)
}

// The same question of a network is compared once in a while, until something changes.
func TestRepeated(t *testing.T) {
	upstream := resolvertest.StartUpstream(t, azureZone)
	s, _, seen := begin(t, pool(t, upstream.Addr), func(c *shadow.Config) { c.Again = time.Hour })
	for range 5 {
		s.Answered(mapped(t, "db1", "10.0.1.1"))
	}
	q, a := mapped(t, "db1", "10.0.1.1")
	a.Network = "australia"
	s.Answered(q, a)
	seen.awaitResult(t, shadow.Same, 2)
	seen.awaitResult(t, shadow.Repeated, 4)
	s.Forget()
	s.Answered(q, a)
	seen.awaitResult(t, shadow.Same, 3)
}

// Whoever hands answers over never waits, however the other server is doing: what is too
// much is dropped and counted, and the end comes at once.
func TestOtherServerIsSilent(t *testing.T) {
	s, differences, seen := begin(t, pool(t, resolvertest.SilentAddr(t)), func(c *shadow.Config) { c.MaxQPS = 1e6 })
	const all = 10_000
	for i := range all {
		s.Answered(mapped(t, fmt.Sprint("db", i), "10.0.1.1"))
	}
	seen.await(t, "dropped", func(results map[shadow.Result]int, _ int) bool { return results[shadow.Dropped] > all*9/10 })
	if got := lines(differences.Report("europe")); got != "" {
		t.Errorf("silence is no difference: %s", got)
	}
}

// A server that is not there, fails or refuses is no difference.
func TestOtherServerFails(t *testing.T) {
	failing := resolvertest.StartUpstream(t, azureZone)
	failing.Always(resolvertest.Rcode(dns.RcodeServerFailure))
	for name, at := range map[string]netip.AddrPort{"it is not there": resolvertest.ClosedAddr(t), "it fails": failing.Addr} {
		t.Run(name, func(t *testing.T) {
			s, differences, seen := begin(t, pool(t, at))
			s.Answered(mapped(t, "db1", "10.0.1.1"))
			seen.awaitResult(t, shadow.Failed, 1)
			if got := lines(differences.Report("europe")); got != "" {
				t.Error(got)
			}
		})
	}
}

// Beyond the rate nothing is compared, and where the group has no turn to spare nothing
// is asked.
func TestRate(t *testing.T) {
	upstream := resolvertest.StartUpstream(t, azureZone)
	s, _, seen := begin(t, pool(t, upstream.Addr), func(c *shadow.Config) { c.MaxQPS = 0.001 })
	s.Answered(mapped(t, "db1", "10.0.1.1"))
	for i := range 20 {
		s.Answered(mapped(t, fmt.Sprint("other", i), "10.0.1.1"))
	}
	seen.awaitResult(t, shadow.Same, 1)
	seen.awaitResult(t, shadow.Dropped, 20)

	s, _, seen = begin(t, pool(t, upstream.Addr), func(c *shadow.Config) { c.Spare = func() bool { return false } })
	s.Answered(mapped(t, "db1", "10.0.1.1"))
	seen.awaitResult(t, shadow.Dropped, 1)
	if got := upstream.Total(); got != 1 {
		t.Errorf("%d questions were asked", got)
	}
}

// What the other server says is bounded, and safe to show.
func TestOtherServerIsHostile(t *testing.T) {
	upstream := resolvertest.StartUpstream(t)
	var records strings.Builder
	records.WriteString("db1.database.windows.net. 60 IN CNAME \\027[2J\\010\\200.evil.\n")
	for i := range 60 {
		fmt.Fprintf(&records, "\\027[2J\\010\\200.evil. 60 IN A 10.6.6.%d\n", i)
	}
	upstream.Always(resolvertest.Poison(resolvertest.RRs(t, records.String()), nil, nil))
	s, differences, seen := begin(t, pool(t, upstream.Addr))
	s.Answered(mapped(t, "db1", "10.0.1.1"))
	seen.await(t, "compared", func(results map[shadow.Result]int, _ int) bool { return len(results) > 0 })
	for _, d := range differences.Report("europe").Differences {
		if text := d.Theirs.String(); len(d.Theirs.Addresses) > 8 || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%q", text)
		}
	}
}

// The list is bounded: the questions that differed last stay, and the rest is counted.
func TestRowsAreBounded(t *testing.T) {
	upstream := resolvertest.StartUpstream(t, azureZone)
	s, differences, seen := begin(t, pool(t, upstream.Addr))
	for i := range 25 {
		s.Answered(mapped(t, fmt.Sprint("none", i), "10.0.1.1"))
	}
	seen.awaitResult(t, shadow.RcodeDiffers, 25)
	if report := differences.Report("europe"); len(report.Differences) != 10 || report.Lost != 15 {
		t.Errorf("%d rows, %d lost", len(report.Differences), report.Lost)
	}
}

// panicking is an exchanger with a fault.
type panicking struct{}

func (panicking) Start(resolver.Question, resolver.Asker, time.Time, func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	panic("a fault")
}

// A fault of this program costs one comparison.
func TestPanic(t *testing.T) {
	s, _, seen := begin(t, panicking{})
	for i := range 20 {
		s.Answered(mapped(t, fmt.Sprint("db", i), "10.0.1.1"))
	}
	seen.await(t, "panics", func(_ map[shadow.Result]int, panicked int) bool { return panicked == 20 })
}

// The sample is the share that was asked for.
func TestSample(t *testing.T) {
	for _, sample := range []float64{1, 0.7, 0.3, 0.05} {
		seen := newCounts()
		s := shadow.New(shadow.Config{Group: "azure", Sample: sample, MaxQPS: 1e-9, Differences: shadow.NewDifferences(0), Observer: seen})
		q, a := mapped(t, "db1", "10.0.1.1")
		const all = 100_000
		drawn := all / int(s.OneIn())
		for range drawn {
			s.Answered(q, a)
		}
		taken := 0
		for _, n := range seen.results {
			taken += n
		}
		if got := float64(taken) / all; got < sample*0.95-1e-5 || got > sample*1.05 {
			t.Errorf("%v of %v", got, sample)
		}
	}
}
