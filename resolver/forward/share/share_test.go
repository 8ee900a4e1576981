package share_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"testing"
	"time"

	"pldns/resolver/forward/share"
	"pldns/zones"
	"pldns/zones/azure"
)

// placeholders are what stands in a pattern of the catalogue for a label.
var placeholders = regexp.MustCompile(`\{[^}]*\}`)

// began is when every test begins.
var began = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// usual is within what time questions are answered in tests.
const usual = 100 * time.Millisecond

// question is one that holds a slot of a quota or a queue.
type question struct {
	slot  share.Slot
	lost  int // how often it was told to give way
	asked string
}

func (q *question) GiveWay() { q.lost++ }

// key is one of a client with a number, in a network.
func key(network string, client int, name string) share.Key {
	addr := netip.AddrFrom4([4]byte{10, byte(client >> 16), byte(client >> 8), byte(client)})
	return share.Key{Network: network, Client: netip.PrefixFrom(addr, 32), Name: zones.MustName(name)}
}

func TestSuffix(t *testing.T) {
	for name, want := range map[string]string{
		".":                               ".",
		"com":                             "com",
		"contoso.com":                     "contoso.com",
		"a.b.contoso.com":                 "contoso.com",
		"www.bbc.co.uk":                   "bbc.co.uk",
		"co.uk":                           "co.uk",
		"host.corp.contoso.internal":      "contoso.internal",
		"mystore.blob.core.windows.net":   "mystore.blob.core.windows.net",
		"x.mystore.blob.core.windows.net": "mystore.blob.core.windows.net",
		"blob.core.windows.net":           "blob.core.windows.net",
		"mystore.privatelink.blob.core.windows.net":   "mystore.privatelink.blob.core.windows.net",
		"x.mystore.privatelink.blob.core.windows.net": "mystore.privatelink.blob.core.windows.net",
		"mydb.database.windows.net":                   "mydb.database.windows.net",
		"myapp.azurewebsites.net":                     "myapp.azurewebsites.net",
		"myapp.scm.privatelink.azurewebsites.net":     "myapp.scm.privatelink.azurewebsites.net",
		"1.2.20.10.in-addr.arpa":                      "20.10.in-addr.arpa",
		"b.a.9.8.7.6.5.0.8.b.d.0.1.0.0.2.ip6.arpa":    "8.b.d.0.1.0.0.2.ip6.arpa",
		`a\.b.c.contoso.com`:                          "contoso.com",
		`a.x\.contoso.com`:                            `x\.contoso.com`,
	} {
		if got := share.Suffix(zones.MustName(name)).String(); got != want {
			t.Errorf("the suffix of %s is %s, want %s", name, got, want)
		}
	}
}

// No zone of Azure Private Link, public or private, is one share for all of its
// customers.
func TestCustomersOfAzureHaveSuffixesOfTheirOwn(t *testing.T) {
	for _, entry := range azure.New().Entries() {
		for _, pattern := range append([]string{entry.PrivateZone}, entry.PublicZones...) {
			zone := placeholders.ReplaceAllString(pattern, "westeurope")
			one, other := zones.MustName("one."+zone), zones.MustName("other."+zone)
			if got := share.Suffix(one); got == share.Suffix(other) {
				t.Errorf("%s and %s both count to %s", one, other, got)
			}
		}
	}
}

func BenchmarkSuffix(b *testing.B) {
	for _, text := range []string{"www.contoso.com", "mystore.privatelink.blob.core.windows.net", "1.2.20.10.in-addr.arpa"} {
		name := zones.MustName(text)
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				share.Suffix(name)
			}
		})
	}
}

// crowd asks n questions, each under a key of its own, and gives them.
func crowd(q *share.Quota, n int, at time.Time, keyOf func(i int) share.Key) []*question {
	asked := make([]*question, n)
	for i := range asked {
		asked[i] = new(question)
		asked[i].asked = fmt.Sprint(keyOf(i))
		if !q.Enter(&asked[i].slot, keyOf(i), at, usual, asked[i]) {
			asked[i].lost++
		}
	}
	return asked
}

// lost is how many of them had to give way or were refused.
func lost(asked []*question) (n int) {
	for _, a := range asked {
		n += a.lost
	}
	return n
}
