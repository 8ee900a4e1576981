package doctor_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pldns/cmd/internal/doctor"
	"pldns/resolver/resolvertest"
	"pldns/zones"
	"pldns/zones/azure"
)

// fleet are endpoints on loopback addresses of their own, all on one port of the
// test's choosing: targets name a port each.
type fleet struct {
	t       *testing.T
	ca      *authority
	targets []doctor.Target
}

// add maps a name to a server that holds a certificate for others.
func (f *fleet) add(name string, holds ...string) {
	f.t.Helper()
	f.map1("office", name, serve(f.t, plainTLS(f.ca.issue(holds))))
}

func (f *fleet) map1(network, name string, to netip.AddrPort) {
	f.targets = append(f.targets, doctor.Target{
		Network: network, Name: zones.MustName(name), Addresses: []netip.Addr{to.Addr()}, Port: to.Port(),
	})
}

func (f *fleet) verify(change ...func(*doctor.VerifyConfig)) []doctor.Result {
	f.t.Helper()
	config := doctor.VerifyConfig{Catalogue: azure.New(), Roots: f.ca.roots, Timeout: patience}
	for _, c := range change {
		c(&config)
	}
	return doctor.Verify(f.t.Context(), config, f.targets)
}

func wantResult(t *testing.T, r doctor.Result, verdict doctor.Verdict, says ...string) {
	t.Helper()
	text := r.Seen + " => " + r.Remedy
	if r.Verdict != verdict {
		t.Errorf("%s: %s, want %s: %s", r.Name, r.Verdict, verdict, text)
	}
	for _, part := range says {
		if !strings.Contains(text, part) {
			t.Errorf("%s: no %q in %q", r.Name, part, text)
		}
	}
}

// Two mappings that were exchanged are both named; a third that is wrong in
// another way is not mixed up with them.
func TestSwappedEndpoints(t *testing.T) {
	f := &fleet{t: t, ca: newAuthority(t)}
	f.add("one.blob.core.windows.net", "*.queue.core.windows.net")
	f.add("two.queue.core.windows.net", "*.blob.core.windows.net")
	f.add("three.contoso.com", "three.contoso.com")
	f.add("four.contoso.com", "three.contoso.com")
	f.add("five.contoso.com", "elsewhere.example", `"not a name..`)
	results := f.verify()

	one, two := results[0].Address, results[1].Address
	wantResult(t, results[0], doctor.Fail,
		fmt.Sprintf("one.blob.core.windows.net and two.queue.core.windows.net are swapped: the certificate at %s is for two.queue.core.windows.net, and that at %s for one.blob.core.windows.net", one, two),
		fmt.Sprintf("exchange %s and %s in network office", one.Addr(), two.Addr()))
	wantResult(t, results[1], doctor.Fail, "two.queue.core.windows.net and one.blob.core.windows.net are swapped")
	if results[0].SwappedWith != "two.queue.core.windows.net" || results[1].SwappedWith != "one.blob.core.windows.net" {
		t.Errorf("swapped with %q and %q", results[0].SwappedWith, results[1].SwappedWith)
	}
	wantResult(t, results[2], doctor.OK, "valid for three.contoso.com")
	wantResult(t, results[3], doctor.Fail, "it is for three.contoso.com, which is mapped to "+results[2].Address.Addr().String())
	wantResult(t, results[4], doctor.Fail, "the certificate is for elsewhere.example", "not for five.contoso.com")
	if results[3].SwappedWith != "" || results[4].SwappedWith != "" {
		t.Errorf("%+v and %+v are no swaps", results[3], results[4])
	}
}

// Mappings of different networks are never called swapped with each other.
func TestNetworksAreVerifiedApart(t *testing.T) {
	f := &fleet{t: t, ca: newAuthority(t)}
	one := serve(t, plainTLS(f.ca.issue([]string{"one.contoso.com"})))
	two := serve(t, plainTLS(f.ca.issue([]string{"two.contoso.com"})))
	f.map1("europe", "one.contoso.com", two)
	f.map1("australia", "two.contoso.com", one)
	for _, r := range f.verify() {
		wantResult(t, r, doctor.Fail, "the certificate is for")
		if r.SwappedWith != "" || strings.Contains(r.Seen, "mapped to") {
			t.Errorf("%+v", r)
		}
	}
}

// What several networks map alike is connected to once and told for each.
func TestSharedMappingsAreVisitedOnce(t *testing.T) {
	f := &fleet{t: t, ca: newAuthority(t)}
	var visits atomic.Int32
	talk := plainTLS(f.ca.issue([]string{"one.contoso.com"}))
	to := serve(t, func(conn net.Conn) { visits.Add(1); talk(conn) })
	f.map1("europe", "one.contoso.com", to)
	f.map1("australia", "one.contoso.com", to)
	for _, r := range f.verify() {
		wantResult(t, r, doctor.OK, "valid for one.contoso.com")
	}
	if got := visits.Load(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}

// A wildcard is connected to; an address that is not there fails.
func TestWildcardsAndClosedPorts(t *testing.T) {
	f := &fleet{t: t, ca: newAuthority(t)}
	f.map1("office", "*.calmwater-75a475e8.uksouth.azurecontainerapps.io", serve(t, silent))
	f.map1("office", "*.gone.example", resolvertest.ClosedAddr(t))
	f.map1("office", sqlName, resolvertest.ClosedAddr(t))
	results := f.verify()
	wantResult(t, results[0], doctor.Note, "accepts connections; a wildcard has no name to hold a certificate against", "run pldns doctor")
	wantResult(t, results[1], doctor.Fail, "refuses connections")
	wantResult(t, results[2], doctor.Fail, "refuses connections")
}

// So many addresses at once as the limit says and no more, and progress to the end.
func TestVerifyIsBounded(t *testing.T) {
	f := &fleet{t: t, ca: newAuthority(t)}
	const all, limit = 12, 3
	var at, most atomic.Int32
	release, once := make(chan struct{}), new(sync.Once)
	talk := plainTLS(f.ca.issue([]string{"*.contoso.com"}))
	to := serve(t, func(conn net.Conn) {
		now := at.Add(1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		if now == limit {
			once.Do(func() { close(release) }) // all that may come at once are here
		}
		<-release
		at.Add(-1)
		talk(conn)
	})
	for i := range all {
		f.map1("office", fmt.Sprintf("n%d.contoso.com", i), to)
	}
	var done []int
	results := f.verify(func(c *doctor.VerifyConfig) {
		c.Limit, c.Progress = limit, func(n, of int) {
			if of != all {
				t.Errorf("progress to %d, want %d", of, all)
			}
			done = append(done, n)
		}
	})
	for _, r := range results {
		wantResult(t, r, doctor.OK)
	}
	if got := most.Load(); got != limit {
		t.Errorf("%d at once, want %d", got, limit)
	}
	if len(done) != all || done[0] != 1 || done[all-1] != all {
		t.Errorf("progress %v", done)
	}
}

// What a cancelled run did not look at is not called good or bad.
func TestVerifyEndsWithItsContext(t *testing.T) {
	f := &fleet{t: t, ca: newAuthority(t)}
	for range 3 {
		f.map1("office", sqlName, serve(t, silent))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, r := range doctor.Verify(ctx, doctor.VerifyConfig{Catalogue: azure.New()}, f.targets) {
		wantResult(t, r, doctor.Skipped, "it was not looked at")
	}
}
