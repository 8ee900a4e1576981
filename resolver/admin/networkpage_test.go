package admin_test

import (
	"fmt"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"pldns/resolver/admin"
	"pldns/zones"
)

// The page of a network has all that is configured for it, and what is wrong there.
func TestNetworkPage(t *testing.T) {
	base := serve(t, admin.Status{Ready: true}, crowd(1), func(o *admin.Options) {
		networks := o.Networks()
		networks[1].Limit, networks[1].Sets = 5000, []string{"shared", "monitoring"}
		networks[1].Forward = []admin.Route{{Suffix: ".", Upstream: "azure"}, {Suffix: "corp.contoso.com", Upstream: "corp"}}
		o.Networks = func() []admin.Network { return networks }
		o.Unmapped = func() []admin.Unmapped {
			return []admin.Unmapped{{Network: "spoke", Unmapped: []admin.UnmappedName{{Name: "fabrikam.blob.core.windows.net", Count: 3}}}}
		}
	})
	_, body := get(t, base+"/networks/spoke")
	for _, want := range []string{
		"shared", "monitoring", "corp.contoso.com", "listener 10.9.0.5:53", "link id 7", "5,000 a second", "nxdomain", "Unhealthy endpoints", "ill.contoso.com",
		"connection refused", "since 2027-01-15 08:00:00 UTC", "fabrikam.blob.core.windows.net", "Names asked for most", "Response codes",
		`href="/zones?search=corp.example">copy`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in:\n%s", want, body)
		}
	}
	if _, body := get(t, base+"/api/networks"); !strings.Contains(body, `"suffix": "corp.contoso.com"`) || !strings.Contains(body, `"monitoring"`) {
		t.Errorf("programs are not told of sets and forward tables: %s", body)
	}
}

// What is wrong is said on every page, with the reason and since when, and why a server
// is not asked.
func TestEveryPageSaysWhatIsWrong(t *testing.T) {
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) {
		upstreams := o.Upstreams()
		upstreams[0].Healthy, upstreams[0].UnhealthySince, upstreams[0].Reason = false, time.Unix(1_800_000_000, 0), "connection refused"
		o.Upstreams = func() []admin.Upstream { return upstreams }
	})
	for _, path := range []string{"/traffic", "/networks", "/endpoints", "/upstreams", "/sources", "/unmapped", "/shadow", "/live", "/explain", "/operate"} {
		_, body := get(t, base+path)
		const want = "no server of upstream azure can be asked: 1 of 1 fails (168.63.129.16: connection refused), since 2027-01-15 08:00:00 UTC"
		if !strings.Contains(body, want) {
			t.Errorf("%s does not say what is wrong:\n%s", path, body)
		}
	}
}

// Unmapped names are there as TOML, page by page; whatever is in them, it is one.
func TestUnmappedStub(t *testing.T) {
	last := time.Unix(1_800_000_000, 0)
	names := []admin.UnmappedName{{Name: "a.blob.core.windows.net", Count: 1204, Last: last, Address: "203.0.113.5"}, {Name: `b"\.net`, Count: 1, Last: last}}
	base := serve(t, admin.Status{Ready: true}, func(o *admin.Options) {
		o.Unmapped = func() []admin.Unmapped {
			return []admin.Unmapped{{Network: "europe", Unmapped: names}, {Network: "my hub", Unmapped: names[:1]}}
		}
	})
	_, body := get(t, base+"/unmapped")
	const want = `[networks.europe.endpoints]
# &#34;a.blob.core.windows.net&#34; = &#34;&#34; # asked 1,204 times, last 2027-01-15T08:00:00Z, answered 203.0.113.5
# &#34;b\&#34;\\.net&#34; = &#34;&#34; # asked 1 time, last 2027-01-15T08:00:00Z

[networks.&#34;my hub&#34;.endpoints]
# &#34;a.blob`
	if !strings.Contains(body, want) {
		t.Errorf("the page is:\n%s", body)
	}
}

// However much there is, a page is of bearable size and made in a bearable time.
func TestPagesAreBounded(t *testing.T) {
	base := serve(t, admin.Status{Ready: true}, crowd(100_000), func(o *admin.Options) {
		index := o.Index()
		networks := o.Networks()
		for i := range 1000 {
			networks = append(networks, admin.Network{Name: fmt.Sprint("network-", i), Missing: "forward"})
		}
		o.Networks, o.Index = func() []admin.Network { return networks }, func() *admin.EndpointIndex { return index }
		o.NeverAsked = func(n *zones.Network) iter.Seq[zones.Name] {
			return func(yield func(zones.Name) bool) {
				for e := range n.Endpoints() {
					if !yield(e.Name()) {
						return
					}
				}
			}
		}
	})
	for _, path := range []string{
		"/", "/traffic", "/networks", "/networks/hub", "/endpoints", "/endpoints?search=server", "/endpoints?page=2000", "/unmapped?show=never-asked",
		"/unmapped?show=never-asked&page=1000000", "/live", "/explain", "/sources",
	} {
		began := time.Now()
		code, body := get(t, base+path)
		if took := time.Since(began); code != http.StatusOK || len(body) > 200<<10 || took > 5*time.Second {
			t.Errorf("%s: %d, %d octets in %s", path, code, len(body), took)
		}
	}
}
