package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// until asks until the answer is what is wanted, and gives the time it took. What
// came instead is in the failure.
func (r *running) until(qname string, wanted func(says string) bool) time.Duration {
	r.tb.Helper()
	begun, got := time.Now(), ""
	resolvertest.Until(r.tb, "another answer for "+qname, func() bool {
		got = says(r.ask("udp", europe, qname, dns.TypeA))
		return wanted(got)
	}, &got)
	return time.Since(begun)
}

// All upstreams die and return: in between there are stale answers, with the
// extended error that says so, and after it fresh ones, soon.
func TestUpstreamsDieAndReturn(t *testing.T) {
	t.Parallel()
	const fresh, stale = "NOERROR | A 203.0.113.80", "NOERROR | EDE 3 | A 203.0.113.80"
	upstreams := []*resolvertest.Upstream{azureDNS(t), azureDNS(t), azureDNS(t)}
	for _, u := range upstreams {
		u.On("www.contoso.com", resolvertest.TTL(1))
	}
	r := start(t, regions(upstreamTable(upstreams[0].Addr, upstreams[1].Addr, upstreams[2].Addr)))
	r.until("www.contoso.com", func(s string) bool { return s == fresh })
	for _, u := range upstreams {
		u.Stop()
	}
	r.until("www.contoso.com", func(s string) bool {
		if s != fresh && s != stale {
			t.Fatalf("with dead upstreams: %s", s)
		}
		return s == stale
	})
	if got := says(r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)); got != inEurope {
		t.Errorf("with dead upstreams, a mapped name: %s", got)
	}
	for _, u := range upstreams {
		u.Restart(t)
	}
	took := r.until("www.contoso.com", func(s string) bool { return s == fresh })
	t.Logf("fresh again %v after the upstreams came back", took.Round(time.Millisecond))
}

// A dead upstream under ten times the load that it could be given (1,000 questions
// at once, each for the deadline of 2.5 s): private names are answered all the same,
// and memory stays flat.
func TestLoadOfADeadUpstream(t *testing.T) {
	if testing.Short() {
		t.Skip("pours queries for 7 s: make test-all runs it")
	}
	upstream := azureDNS(t)
	upstream.Always(resolvertest.Drop)
	r := start(t, regions(upstreamTable(upstream.Addr)))
	ctx, stop := context.WithTimeout(t.Context(), loadTime(t))
	defer stop()
	asked := 0
	var load sync.WaitGroup
	load.Go(func() { asked = r.pour(ctx, 4) })
	var most uint64
	answered := 0
	for ctx.Err() == nil {
		if got := says(r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)); got != inEurope {
			t.Errorf("under load, a mapped name: %s", got)
		}
		answered++
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		most = max(most, memory.HeapAlloc)
	}
	load.Wait()
	t.Logf("%d questions to a dead upstream; %d private answers beside them; at most %d MiB of heap", asked, answered, most>>20)
	if most > 512<<20 {
		t.Errorf("the heap grew to %d MiB", most>>20)
	}
}

// pour sends a number of queries for new names in each millisecond until ctx ends,
// without waiting for answers, and tells how many it was.
func (r *running) pour(ctx context.Context, perMillisecond int) (sent int) {
	conn, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(europe)}}).Dial("udp", r.addrs[0].String())
	if err != nil {
		r.tb.Error(err)
		return 0
	}
	defer conn.Close()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return sent
		case <-tick.C:
		}
		for range perMillisecond {
			sent++
			packet, err := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.contoso.com.", sent), dns.TypeA).Pack()
			if err != nil {
				r.tb.Error(err)
				return sent
			}
			_, _ = conn.Write(packet) // what is lost on the way was not asked
		}
	}
}

// loadTime is how long load tests last: short, unless PLDNS_LOAD says otherwise.
func loadTime(t *testing.T) time.Duration {
	text := os.Getenv("PLDNS_LOAD")
	if text == "" {
		return 2 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("PLDNS_LOAD: %v", err)
	}
	return d
}

// A flood of random names does not push out what is asked for: the working set is
// still remembered, and memory stays within its budget.
func TestFloodOfRandomNames(t *testing.T) {
	const working = 200
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData, "*.work.contoso.com. 3600 IN A 203.0.113.81\n*.flood.contoso.com. 3600 IN A 203.0.113.82")
	r := start(t, regions("[cache]\nentries = 2000\nbytes = 1048576\n"+upstreamTable(upstream.Addr)))
	work := func(i int) string { return fmt.Sprintf("w%d.work.contoso.com", i) }
	for range 3 {
		for i := range working {
			r.ask("udp", europe, work(i), dns.TypeA)
		}
	}
	upstream.Forget()
	ctx, stop := context.WithTimeout(t.Context(), loadTime(t))
	defer stop()
	var flood sync.WaitGroup
	var flooded atomic.Int64
	for range 8 {
		flood.Go(func() {
			for ctx.Err() == nil {
				r.ask("udp", europe, fmt.Sprintf("f%d.flood.contoso.com", flooded.Add(1)), dns.TypeA)
			}
		})
	}
	asked := 0
	random := rand.New(rand.NewPCG(1, 1))
	for ctx.Err() == nil {
		r.ask("udp", europe, work(random.IntN(working)), dns.TypeA)
		asked++
		if asked%100 == 0 {
			if size := r.metric("pldns_cache_bytes"); size > 1<<20 {
				t.Errorf("the cache takes %v bytes of 1048576", size)
			}
		}
	}
	flood.Wait()
	missed := 0
	for _, q := range upstream.Queries() {
		if strings.HasSuffix(strings.ToLower(q.Msg.Question[0].Name), ".work.contoso.com.") {
			missed++
		}
	}
	rate := 1 - float64(missed)/float64(asked)
	t.Logf("%d random names, %d questions of the working set, hit rate %.2f %%", flooded.Load(), asked, 100*rate)
	if rate < 0.95 {
		t.Errorf("the hit rate of the working set fell to %.2f %%", 100*rate)
	}
}

// get reads a page of the admin server.
func (r *running) get(path string) string {
	r.tb.Helper()
	response, err := http.Get("http://" + r.admin + path)
	if err != nil {
		r.tb.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.tb.Fatal(err)
	}
	return string(body)
}

// post asks the admin server, with the token, to change something.
func (r *running) post(path string, form url.Values) (int, string) {
	r.tb.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+r.admin+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "Bearer "+adminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.tb.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.tb.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// metric is the value of a metric, named with its labels if it has any.
func (r *running) metric(name string) float64 {
	r.tb.Helper()
	for line := range strings.Lines(r.get("/metrics")) {
		if text, found := strings.CutPrefix(strings.TrimSpace(line), name+" "); found {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				r.tb.Fatal(err)
			}
			return value
		}
	}
	r.tb.Fatalf("no metric %s", name)
	return 0
}

// Two forwarders that point at each other: one of them finds the loop, names it and
// cuts it after one hop, and what is mapped is answered all along.
func TestForwardingLoop(t *testing.T) {
	a, b := startLoop(t)
	found, other := a, b
	resolvertest.Until(t, "/readyz names the loop", func() bool {
		found, other = other, found
		return found.namesLoop()
	})
	if !strings.Contains(found.get("/metrics"), fmt.Sprintf("pldns_upstream_failures_total{group=\"azure\",reason=\"loop\",server=\"%s\"}", other.addrs[0])) {
		t.Error("no metric names the loop")
	}
	for _, r := range []*running{a, b} {
		if got := says(r.ask("udp", europe, "www.contoso.com", dns.TypeA)); !strings.HasPrefix(got, "SERVFAIL") {
			t.Errorf("a name that only goes round: %s", got)
		}
		if got := says(r.ask("udp", europe, "momenta-eun.database.windows.net", dns.TypeA)); got != inEurope {
			t.Errorf("a mapped name beside a loop: %s", got)
		}
	}
}

// namesLoop tells whether /readyz names a server that leads back.
func (r *running) namesLoop() bool {
	r.tb.Helper()
	var status admin.Status
	if err := json.Unmarshal([]byte(r.get("/readyz")), &status); err != nil {
		r.tb.Fatal(err)
	}
	return len(status.Loops) > 0
}

// startLoop serves twice, each the upstream of the other.
func startLoop(t *testing.T) (a, b *running) {
	t.Helper()
	for range 20 {
		one, two := resolvertest.FreeAddr(t), resolvertest.FreeAddr(t)
		text := func(at, ask string) string {
			return strings.Replace(strings.Replace(regions(fmt.Sprintf("[upstreams.azure]\nservers = [%q]\n[forward]\n\".\" = \"azure\"\n", ask)),
				"127.0.0.1:0", at, 1), "[\"127.0.1.0/24\"]", "[\"127.0.1.0/24\", \"127.0.0.1\"]", 1)
		}
		a, err := tryStart(t, text(one.String(), two.String()))
		if err != nil {
			continue
		}
		if b, err = tryStart(t, text(two.String(), one.String())); err == nil {
			return a, b
		}
	}
	t.Fatal("found no free ports")
	return nil, nil
}
