package azurediscovery_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pldns/config"
	"pldns/config/azurediscovery"
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
