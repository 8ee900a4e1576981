package azurediscovery_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pldns/config/source"
	"pldns/zones"
)

// prefixes are the clients of each network, as text.
func (w *world) prefixes() string {
	w.t.Helper()
	var all []string
	for _, n := range w.composed().Config.Networks {
		prefixes := slices.SortedFunc(slices.Values(n.Clients), netip.Prefix.Compare)
		all = append(all, fmt.Sprintf("%s %v", n.Name, prefixes))
	}
	return strings.Join(all, "; ")
}

// The clients of a network are those of its VNets, of VNets peered with them and of
// point-to-site gateways. Two hubs that are peered keep their own.
func TestClients(t *testing.T) {
	w := newWorld(t, "[networks.eu]\nazure = { vnets = [\"HUB\"], clients = true }\n")
	if got := w.prefixes(); got != "eu []" {
		t.Errorf("before the first listing: %s", got)
	}
	far := w.VNet(w.sub, "hub-aue", "australiaeast", []string{"10.1.0.0/16"}, map[string][]string{w.hub: {"10.0.0.0/16"}})
	spoke := w.VNet(w.sub, "spoke", "westeurope", []string{"10.2.0.0/16", "fd00:2::/64"}, nil)
	w.VNet(w.sub, "hub", "westeurope", []string{"10.0.0.0/16"}, map[string][]string{
		far: {"10.1.0.0/16"}, spoke: {"10.2.0.0/24"}, "/subscriptions/x/resourceGroups/y/providers/Microsoft.Network/virtualNetworks/unseen": {"10.3.0.0/16"},
	})
	w.Gateway(w.sub, "vpn", w.hub, "172.16.10.0/24")
	text := fmt.Sprintf("[networks.au]\nazure = { vnets = [%q], clients = true }\n", far)
	w.more(text)
	w.list()
	if got := w.prefixes(); got != "au [10.1.0.0/16]; eu [10.0.0.0/16 10.2.0.0/16 10.3.0.0/16 172.16.10.0/24 fd00:2::/64]" {
		t.Errorf("learned %s", got)
	}
	warnings := strings.Join(w.composed().Warnings, "\n")
	if !strings.Contains(warnings, "clients of 10.1.0.0/16 are those of network au, in whose VNet they are") || !strings.Contains(warnings, "and not of eu") {
		t.Errorf("warnings:\n%s", warnings)
	}
}

// more adds to the file.
func (w *world) more(text string) {
	w.t.Helper()
	old, err := readFile(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(old + text)
	w.d.Serve(w.d.View(w.base.Networks, w.base.Catalogue))
}

// A prefix that two networks are equally close to is nobody's, and one that is written
// by hand is that network's; each is a warning that names both.
func TestOverlaps(t *testing.T) {
	w := newWorld(t, "[networks.a]\nazure = { vnets = [\"HUB\"], clients = true }\n")
	other := w.VNet(w.sub, "other", "westeurope", []string{"10.0.0.0/16", "10.5.0.0/16", "10.7.0.0/16"}, nil)
	w.VNet(w.sub, "hub", "westeurope", []string{"10.0.0.0/16", "10.4.0.0/16", "10.7.1.0/24"}, nil)
	w.more(fmt.Sprintf("[networks.b]\nazure = { vnets = [%q], clients = true }\n[networks.c]\nclients = [\"10.5.0.0/16\"]\n", other))
	w.list()
	if got := w.prefixes(); got != "a [10.4.0.0/16 10.7.1.0/24]; b [10.7.0.0/16]; c [10.5.0.0/16]" {
		t.Errorf("learned %s", got)
	}
	warnings := w.composed().Warnings
	for _, want := range []string{
		"clients of 10.0.0.0/16 could be those of network a", "so they are refused", "clients of 10.5.0.0/16 are those of network c, which names them, and not of b",
		"clients of 10.7.1.0/24 of network a",
	} {
		if !strings.Contains(strings.Join(warnings, "\n"), want) {
			t.Errorf("nothing says %q in\n%s", want, strings.Join(warnings, "\n"))
		}
	}
}

// A network behind a listener whose clients are not known yet has none: it is not
// everybody's who reaches the listener.
func TestNoClientsYet(t *testing.T) {
	w := newWorld(t, "[networks.hub]\nlisteners = [\"10.0.0.4:53\"]\nazure = { vnets = [\"HUB\"], clients = true }\n")
	match := func() bool {
		_, found := w.composed().Config.Table.NetworkOf(zones.Client{Addr: netip.MustParseAddr("10.0.0.7"), Listener: netip.MustParseAddrPort("10.0.0.4:53")})
		return found
	}
	if match() {
		t.Error("somebody belongs to a network without clients")
	}
	w.list()
	if !match() {
		t.Error("a client of the VNet belongs to no network")
	}
}

// Clients that are learned never leave a network without clients that was written by
// hand: they are left out then, and somebody is told.
func TestLearnedClientsLeaveOthersTheirs(t *testing.T) {
	w := newWorld(t, "[networks.a]\nclients = [\"10.9.0.0/16\"]\nazure = { vnets = [\"HUB\"], clients = true }\n[networks.b]\nclients = [\"10.0.0.0/23\"]\n")
	w.VNet(w.sub, "hub", "westeurope", []string{"10.0.0.0/24", "10.0.1.0/24"}, nil)
	w.list()
	c := source.Compose(w.base, w.d.View(w.base.Networks, w.base.Catalogue))
	if warnings := strings.Join(c.Warnings, "\n"); !strings.Contains(warnings, "no clients that were learned are served") {
		t.Errorf("warnings:\n%s", warnings)
	}
	for addr, want := range map[string]string{"10.0.1.7": "b", "10.9.0.1": "a"} {
		network, found := c.Config.Table.NetworkOf(zones.Client{Addr: netip.MustParseAddr(addr)})
		if !found || network.Name() != want {
			t.Errorf("%s belongs to %v", addr, network)
		}
	}
}
