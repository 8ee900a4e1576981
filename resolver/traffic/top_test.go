package traffic_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/listen"
	"pldns/resolver/traffic"
)

// Names and clients are listed by what they ask, whatever letters they write.
func TestTop(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	p := start(c)
	ask := func(times int, name, client string, rcode int, took time.Duration) {
		for range times {
			p.Exchanged(exchange(question(t, name), client, "hub", rcode, took))
		}
	}
	ask(5, "MyDB.Database.Windows.net", "10.0.0.7", 0, time.Millisecond)
	ask(3, "mydb.database.windows.net", "fd00::7", 0, time.Millisecond)
	ask(4, "wpad.contoso.com", "10.0.0.8", dns.RcodeNameError, time.Millisecond)
	ask(1, "slow.contoso.com", "10.0.0.8", dns.RcodeServerFailure, 2500*time.Millisecond)
	for kind, want := range map[traffic.Kind]string{
		traffic.TopNames:    "[{mydb.database.windows.net 8 8} {wpad.contoso.com 4 4} {slow.contoso.com 1 1}]",
		traffic.TopClients:  "[{10.0.0.7 5 5} {10.0.0.8 5 5} {fd00::7 3 3}]",
		traffic.TopNXDomain: "[{wpad.contoso.com 4 4}]",
		traffic.TopSlow:     "[{slow.contoso.com 2500 2500}]",
	} {
		if top, since := p.Top("hub", kind, 20); fmt.Sprint(top) != want || !since.Equal(c.now) {
			t.Errorf("%s since %s: %v", kind, since, top)
		}
	}
	if top, _ := p.Top("nobody", traffic.TopNames, 20); len(top) != 0 {
		t.Errorf("of an unknown network there is %v", top)
	}
	// The hour before counts, and none before that.
	for hour, want := range []string{"[{mydb.database.windows.net 8 8}]", "[]"} {
		c.now = c.now.Add(time.Hour)
		p.Look()
		if top, _ := p.Top("hub", traffic.TopNames, 1); fmt.Sprint(top) != want {
			t.Errorf("%d hours later: %v", hour+1, top)
		}
	}
}

// recall is the share of the true first twenty that a list has.
func recall(counts map[string]int, top []traffic.Entry) float64 {
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return counts[b] - counts[a] })
	found := 0
	for _, e := range top {
		if slices.Contains(names[:20], e.Name) {
			found++
		}
	}
	return float64(found) / 20
}

// A million made-up names, as many queries as all real ones, do not wash those out that
// are asked for most, nor those that do not exist and are asked for again and again.
func TestRandomNamesWashNothingOut(t *testing.T) {
	queries := 1_000_000
	if testing.Short() {
		queries /= 10
	}
	p := start(&clock{time.Unix(1_800_000_000, 0)})
	random := rand.New(rand.NewPCG(1, 2))
	asked, missing := make(map[string]int), make(map[string]int)
	e := exchange(nil, "10.0.0.7", "hub", 0, time.Millisecond)
	ask := func(question []byte, rcode int) {
		e.Question, e.Answer.Rcode = question, rcode
		p.Exchanged(e)
	}
	type named struct {
		name     string
		question []byte
		asked    int
	}
	made := func(pattern string, number int) []named {
		all := make([]named, number)
		for i := range all {
			all[i].name = fmt.Sprintf(pattern, i)
			all[i].question = question(t, all[i].name)
		}
		return all
	}
	servers, strays := made("server-%05d.database.windows.net", 50_000), made("wpad-%d.contoso.com", 40)
	flood, zipf := question(t, "0123456789abcdef.contoso.com"), rand.NewZipf(random, 1.1, 1, uint64(len(servers)-1))
	for i := range queries {
		copy(flood[1:], fmt.Sprintf("%016x", uint64(i)<<40|random.Uint64()>>24))
		ask(flood, dns.RcodeNameError)
		server := &servers[zipf.Uint64()]
		server.asked++
		ask(server.question, dns.RcodeSuccess)
		if i%10 == 0 {
			stray := &strays[random.IntN(20)]
			if i%100 == 0 { // the other twenty are asked for seldom
				stray = &strays[20+random.IntN(20)]
			}
			stray.asked++
			ask(stray.question, dns.RcodeNameError)
		}
	}
	for _, n := range slices.Concat(servers, strays) {
		asked[n.name] = n.asked
	}
	for _, n := range strays {
		if n.asked > 0 {
			missing[n.name] = n.asked
		}
	}
	top, _ := p.Top("hub", traffic.TopNames, 20)
	if got := recall(asked, top); got < .95 {
		t.Errorf("%.2f of the first twenty names are there: %v", got, top)
	}
	for _, e := range top {
		if really := uint64(asked[e.Name]); really > 0 && (e.Count < really || e.Least > really) {
			t.Errorf("%s came %d times, not %d to %d", e.Name, really, e.Least, e.Count)
		}
	}
	nxdomains, _ := p.Top("hub", traffic.TopNXDomain, 20)
	if got := recall(missing, nxdomains); got < .95 {
		t.Errorf("%.2f of the first twenty names that do not exist are there: %v", got, nxdomains)
	}
	for _, e := range nxdomains {
		if missing[e.Name] == 0 {
			t.Errorf("a made-up name is among those that do not exist: %v", e)
		}
	}
}

// Whatever is asked, by however many networks, lists take no more than they may.
func TestListsAreBounded(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	p := start(c)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	e := exchange(nil, "10.0.0.7", "", dns.RcodeNameError, time.Second)
	long := strings.Repeat("."+strings.Repeat("x", 60), 3)
	for network := range 300 {
		e.Answer.Network = fmt.Sprint("net", network)
		for i := range 200 {
			e.Question = question(t, fmt.Sprint(network, "-", i, long))
			p.Exchanged(e)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if took := int64(after.HeapAlloc) - int64(before.HeapAlloc); took > 60<<20 {
		t.Errorf("the lists of 300 networks take %d MiB", took>>20)
	}
	runtime.KeepAlive(p)
}

// While there is much, one query in so many is looked at, and stands for as many.
func TestSample(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	changed := 0
	p := traffic.New(traffic.Config{Now: c.read, Changed: func() { changed++ }})
	counting := p.Observe(start(c).observer).Tally(local("hub"))
	for _, row := range []struct {
		rate int
		want uint32
	}{{100, 1}, {4000, 1}, {100_000, 32}, {70_000, 32}, {400_000, 128}, {1000, 1}} {
		counting.Add(row.rate, time.Millisecond)
		c.now = c.now.Add(time.Second)
		p.Look()
		if got := p.Wants(); got != (listen.Wants{Remembered: row.want}) {
			t.Errorf("at %d queries a second it wants %v", row.rate, got)
		}
	}
	if changed != 3 {
		t.Errorf("it said %d times that it wants something else, not 3", changed)
	}
}

// Where there is suddenly much, a sample is drawn before a second is over.
func TestSuddenCrowd(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	p := start(c)
	e := exchange(question(t, "mydb.database.windows.net"), "10.0.0.7", "hub", 0, 0)
	for _, row := range []struct {
		queries int
		want    uint32
	}{{1000, 1}, {10_000, 256}} {
		for range row.queries {
			p.observer.Tally(local("hub")).Add(1, time.Microsecond)
			p.Exchanged(e)
		}
		c.now = c.now.Add(10 * time.Millisecond)
		p.Look()
		if got := p.Wants(); got != (listen.Wants{Remembered: row.want}) {
			t.Errorf("after %d queries in 10 ms it wants %v", row.queries, got)
		}
	}
}
