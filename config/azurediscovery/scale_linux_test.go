package azurediscovery_test

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pldns/config"
	"pldns/config/azurediscovery"
	"pldns/config/azuregraph"
	"pldns/config/azuregraph/graphtest"
	"pldns/config/azureimport"
)

// large is an Azure with so many endpoints, over so many subscriptions.
func large(w *world, endpoints, subscriptions int) {
	for i := range endpoints {
		name := fmt.Sprintf("db%05d", i)
		w.Add(graphtest.Endpoint{
			Subscription: w.Subscription(1 + i%subscriptions), Name: name, VNet: w.hub, Address: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255),
			Names: []string{name + ".database.windows.net"},
		})
	}
}

// used is the time of processors that this process has used.
func used(t *testing.T) time.Duration {
	t.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(unix.TimevalToNsec(usage.Utime) + unix.TimevalToNsec(usage.Stime))
}

// mostUsed is how much a listing of 10,000 endpoints may take, with what the server of
// the test takes to answer.
const mostUsed = 4 * time.Second

// 10,000 endpoints in 300 subscriptions come whole, with no query of 300 or more
// subscriptions, and without taking much.
func TestLargeEstate(t *testing.T) {
	w := newWorld(t, hubSees)
	large(w, 10_000, 300)
	w.list()
	if got := len(w.served("hub")); got != 10_000 {
		t.Fatalf("%d are served", got)
	}
	for _, call := range w.Calls() {
		if len(call.Subscriptions) >= 300 {
			t.Fatalf("a query names %d subscriptions", len(call.Subscriptions))
		}
	}
	before := used(t)
	w.list()
	if took := used(t) - before; took > mostUsed && !raced {
		t.Errorf("a listing takes %s of the processors: want at most %s", took, mostUsed)
	} else {
		t.Logf("a listing takes %s of the processors, with the server of the test", took)
	}
}

// canned is an Azure with so many endpoints in one subscription, which answers at once.
type canned int

// List implements [azurediscovery.Asker].
func (c canned) List(_ context.Context, query string, _ azuregraph.Scope, again func(), row func(map[string]any) error) error {
	again()
	const rg, sub = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.", "/subscriptions/s"
	if strings.HasPrefix(query, "resourcecontainers") {
		return row(map[string]any{"id": sub, "subscriptionId": "s", "name": "one"})
	}
	object := func(key string, value any) map[string]any { return map[string]any{key: value} }
	for i := range int(c) {
		id := fmt.Sprintf(rg+"Network/privateEndpoints/db%05d", i)
		subnet := rg + "Network/virtualNetworks/hub/subnets/a"
		var one map[string]any
		switch {
		case strings.Contains(query, "privateendpoints"):
			connection := object("properties", map[string]any{
				"privateLinkServiceId": fmt.Sprintf(rg+"Sql/servers/db%05d", i), "groupIds": []any{"sqlServer"},
				"privateLinkServiceConnectionState": object("status", "Approved"),
			})
			one = map[string]any{"id": id, "location": "westeurope", "subnet": subnet, "psc": []any{connection}, "state": "Succeeded"}
		case strings.Contains(query, "networkinterfaces"):
			names := []any{fmt.Sprintf("db%05d.database.windows.net", i)}
			configuration := object("properties", map[string]any{
				"privateIPAddress": fmt.Sprintf("10.0.%d.%d", i>>8, i&255), "subnet": object("id", subnet),
				"privateLinkConnectionProperties": map[string]any{"groupId": "sqlServer", "fqdns": names},
			})
			one = map[string]any{"id": id + ".nic", "location": "westeurope", "peId": id, "ipc": []any{configuration}}
		default:
			return nil
		}
		if err := row(one); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkList is what is made of the rows of 10,000 endpoints: for the first time, and
// again. What is shared with the listing before is kept once.
func BenchmarkList(b *testing.B) {
	list := func(before *azurediscovery.Listing) *azurediscovery.Listing {
		l, err := azurediscovery.List(b.Context(), canned(10_000), "azure.corp", []string{"/subscriptions/s"}, before, time.Now)
		if err != nil || len(l.Rows) != 20_000 {
			b.Fatalf("%v, %d rows", err, len(l.Rows))
		}
		return l
	}
	known := list(nil)
	for name, before := range map[string]*azurediscovery.Listing{"first": nil, "again": known} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			held := inUse()
			var l *azurediscovery.Listing
			for b.Loop() {
				l = list(before)
			}
			b.ReportMetric(float64(inUse()-held)/10_000, "B/endpoint")
			runtime.KeepAlive(l)
		})
	}
	runtime.KeepAlive(known)
}

// inUse is what the heap holds.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// mostPerEndpoint is how much of the heap a listing may hold for an endpoint and its
// interface, in bytes.
const mostPerEndpoint = 4 << 10

// A listing holds little for each endpoint, and one that says the same holds next to
// nothing beside it.
func TestListingIsSmall(t *testing.T) {
	const endpoints = 2000
	at := inUse()
	var kept []*azurediscovery.Listing
	var before *azurediscovery.Listing
	for _, most := range []int64{mostPerEndpoint, mostPerEndpoint / 16} {
		l, err := azurediscovery.List(t.Context(), canned(endpoints), "azure.corp", []string{"/subscriptions/s"}, before, time.Now)
		if err != nil || len(l.Rows) != 2*endpoints {
			t.Fatalf("%v, %d rows", err, len(l.Rows))
		}
		kept, before = append(kept, l), l
		if took := (inUse() - at) / endpoints; took > most {
			t.Errorf("a listing holds %d bytes for each endpoint, want at most %d", took, most)
		} else {
			t.Logf("a listing holds %d bytes for each endpoint", took)
		}
		at = inUse()
	}
	runtime.KeepAlive(kept)
}

// BenchmarkNext is what follows a listing of 10,000 endpoints in which nothing changed,
// and BenchmarkDerive what networks see of it.
func BenchmarkDerive(b *testing.B) {
	l, networks := listingOf(10_000)
	catalogue := catalogue()
	b.ReportAllocs()
	for b.Loop() {
		azurediscovery.Derive(l, "corp", networks, catalogue)
	}
}

func BenchmarkNext(b *testing.B) {
	l, _ := listingOf(10_000)
	other, _ := listingOf(10_000)
	b.ReportAllocs()
	for b.Loop() {
		l.Next(other, nil)
	}
}

// listingOf is a listing with so many endpoints of databases, and a network that sees
// them.
func listingOf(endpoints int) (*azurediscovery.Listing, []config.Network) {
	const vnet = "/subscriptions/s/resourcegroups/r/providers/microsoft.network/virtualnetworks/hub"
	l := &azurediscovery.Listing{Subscriptions: map[string]*azurediscovery.Subscription{"s": {ID: "s"}}, Rows: make(map[string]*azurediscovery.Row)}
	for i := range endpoints {
		id := fmt.Sprintf("/subscriptions/s/resourcegroups/r/providers/microsoft.network/privateendpoints/db%05d", i)
		l.Rows["endpoint "+id] = &azurediscovery.Row{Kind: azurediscovery.KindEndpoint, ID: id, Endpoint: &azurediscovery.Endpoint{
			PrivateEndpoint: azureimport.PrivateEndpoint{ID: id, SubnetID: vnet + "/subnets/a", Connections: []azureimport.Connection{{Status: "Approved"}}},
		}}
		nic := id + ".nic"
		l.Rows["interface "+nic] = &azurediscovery.Row{Kind: azurediscovery.KindInterface, ID: nic, Interface: &azureimport.Interface{
			ID: nic, EndpointID: id, Configurations: []azureimport.IPConfiguration{{
				Address: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Names: []string{fmt.Sprintf("db%05d.database.windows.net", i)},
			}},
		}}
	}
	return l, []config.Network{{Name: "hub", Azure: &config.Discovery{From: []string{"corp"}, VNets: []string{vnet}, See: config.SeeEndpoints}}}
}
