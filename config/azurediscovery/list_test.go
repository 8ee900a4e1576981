package azurediscovery_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pldns/config"
	"pldns/config/azurediscovery"
	"pldns/config/azuregraph"
	"pldns/config/azuregraph/graphtest"
	"pldns/config/source"
	"pldns/zones"
)

// world is an Azure, and a configuration that learns from it.
type world struct {
	*graphtest.Server
	t     *testing.T
	d     *azurediscovery.Discoverer
	file  string
	state string
	sub   string // a subscription
	hub   string // a VNet in it
	base  *config.Config
}

// newWorld makes one with a VNet and no endpoint. The text is that of networks; HUB is
// the id of the VNet there.
func newWorld(t *testing.T, networks string) *world {
	t.Helper()
	w := &world{Server: graphtest.New(t), t: t}
	w.Environment(t)
	w.sub = w.Subscription(1)
	w.hub = w.VNet(w.sub, "hub", "westeurope", []string{"10.0.0.0/16"}, nil)
	dir := t.TempDir()
	w.file, w.state = filepath.Join(dir, "pldns.toml"), filepath.Join(dir, "state.json")
	id := fmt.Sprintf("00000000-0000-0000-0002-%012d", rand.IntN(1e9)) // with tokens of its own
	w.write(fmt.Sprintf("[azure.corp]\nclient_id = %q\nscopes = [\"/providers/Microsoft.Management/managementGroups/corp\"]\nstate = %q\n"+
		"endpoint = %q\nca = %q\ndeadline = \"2m\"\n", id, w.state, w.URL, w.CA) + networks)
	w.start()
	return w
}

func (w *world) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.file, []byte(strings.ReplaceAll(text, "HUB", w.hub)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.load()
}

func (w *world) load() {
	w.t.Helper()
	var err error
	if w.base, err = config.Load(w.file); err != nil {
		w.t.Fatal(err)
	}
}

// start makes the discoverer, as a start of the program does.
func (w *world) start() {
	w.t.Helper()
	a := w.base.Azure[0]
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots(w.t, w.CA)}}
	w.t.Cleanup(transport.CloseIdleConnections)
	w.d = azurediscovery.New(azurediscovery.Options{
		Azure: a, Ask: func() (azurediscovery.Asker, error) { return azuregraph.New(a, &http.Client{Transport: transport}) }, Log: slog.New(slog.DiscardHandler),
	})
	w.d.Serve(w.d.View(w.base.Networks, w.base.Catalogue))
}

func roots(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

// list lists once, and wants it to be good.
func (w *world) list() {
	w.t.Helper()
	if err := w.d.Refresh(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.d.Serve(w.d.View(w.base.Networks, w.base.Catalogue))
}

// fails lists once, and wants an error.
func (w *world) fails() error {
	w.t.Helper()
	err := w.d.Refresh(context.Background())
	if err == nil {
		w.t.Fatal("the listing is taken for good")
	}
	return err
}

// composed is what would be served now. It must build.
func (w *world) composed() *source.Composed {
	w.t.Helper()
	c := source.Compose(w.base, w.d.View(w.base.Networks, w.base.Catalogue))
	for _, warning := range c.Warnings {
		if strings.Contains(warning, "that was learned") || strings.Contains(warning, "that were learned") {
			w.t.Fatalf("what was learned does not build: %s", warning)
		}
	}
	return c
}

// served are the mappings of a network as text, sorted.
func (w *world) served(network string) []string {
	w.t.Helper()
	var all []string
	for _, n := range w.composed().Config.Networks {
		if n.Name != network {
			continue
		}
		for e := range n.Endpoints() {
			all = append(all, fmt.Sprintf("%s %v", e.Name, e.Addresses))
		}
	}
	slices.Sort(all)
	return all
}

// wants compares what a network is served.
func (w *world) wants(network string, want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if got := w.served(network); !slices.Equal(got, want) {
		w.t.Errorf("network %s is served\n%s\nwant\n%s", network, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// add adds an approved endpoint of a database in the VNet.
func (w *world) add(name, address string) string {
	return w.Add(graphtest.Endpoint{Subscription: w.sub, Name: name, VNet: w.hub, Address: address, Names: []string{name + ".database.windows.net"}})
}

const hubSees = "[networks.hub]\nclients = [\"10.0.0.0/8\"]\n[networks.hub.azure]\nvnets = [\"HUB\"]\n"

// Endpoints of the VNets named are served by the names of their interfaces; those that
// nobody approved, and those of other VNets, are not.
func TestEndpoints(t *testing.T) {
	w := newWorld(t, hubSees)
	spoke := w.VNet(w.sub, "spoke", "westeurope", []string{"10.1.0.0/16"}, nil)
	w.add("db1", "10.0.1.4")
	w.Add(graphtest.Endpoint{Subscription: w.sub, Name: "kv", VNet: w.hub, Group: "vault", Address: "10.0.1.5", Names: []string{"kv.vault.azure.net", "kv.vaultcore.azure.net"}})
	w.Add(graphtest.Endpoint{Subscription: w.sub, Name: "pending", VNet: w.hub, Status: "Pending", Address: "10.0.1.6", Names: []string{"pending.database.windows.net"}})
	w.Add(graphtest.Endpoint{Subscription: w.sub, Name: "rejected", VNet: w.hub, Status: "Rejected", Address: "10.0.1.7", Names: []string{"rejected.database.windows.net"}})
	w.Add(graphtest.Endpoint{Subscription: w.sub, Name: "elsewhere", VNet: spoke, Address: "10.1.1.4", Names: []string{"elsewhere.database.windows.net"}})
	w.Add(graphtest.Endpoint{Subscription: w.sub, Name: "unknown", VNet: w.hub, Address: "10.0.1.8", Names: []string{"app.contoso.example"}})
	w.wants("hub")
	w.list()
	w.wants("hub", "db1.database.windows.net [10.0.1.4]", "kv.vault.azure.net [10.0.1.5]", "kv.vaultcore.azure.net [10.0.1.5]", "app.contoso.example [10.0.1.8]")
	status := w.d.Status()
	if len(status.Pending) != 1 || !strings.HasSuffix(status.Pending[0].ID, "/pending") || status.Pending[0].Since.IsZero() {
		t.Errorf("pending %+v", status.Pending)
	}
	if got := fmt.Sprint(status.States[w.sub]); got != "map[Approved:4 Pending:1 Rejected:1]" {
		t.Errorf("states %s", got)
	}
	origin, known := w.composed().Origins.Of("hub", zones.MustName("db1.database.windows.net"))
	if !known || origin.Source != "azure.corp" || !strings.HasSuffix(origin.Place, "/privateEndpoints/db1") || origin.Seen.IsZero() {
		t.Errorf("origin %+v", origin)
	}
}

// What an interface does not tell, the records tell that the endpoint's zone group wrote:
// the private name of a workspace's online endpoints, and the name of an API server. A
// record that another endpoint may have written tells nothing, and none adds a name to an
// endpoint that has its own.
func TestWrittenRecords(t *testing.T) {
	w := newWorld(t, hubSees)
	const learning, cluster = "privatelink.api.azureml.ms", "privatelink.westeurope.azmk8s.io"
	add := func(name, vnet, address string, names ...string) string {
		return w.Add(graphtest.Endpoint{Subscription: w.sub, Name: name, VNet: vnet, Group: "management", Address: address, Names: names})
	}
	written := func(zone, name, address, endpoint string) {
		w.Wrote(endpoint, w.Record(w.sub, zone, name, address))
	}
	ml := add("ml", w.hub, "10.0.1.4", "*.westeurope.inference.ml.azure.com")
	written(learning, "*.0a1b2c3d-0000-0000-0000-000000000001.inference.westeurope", "10.0.1.4", ml)
	aks := add("aks", w.hub, "10.0.1.5")
	written(cluster, "shop-1a2b", "10.0.1.5", aks)
	written(cluster, "old-1a2b", "10.0.9.9", aks)
	w.Record(w.sub, cluster, "nobody-1a2b", "10.0.1.5")
	db := w.add("db", "10.0.1.6")
	written("privatelink.database.windows.net", "more", "10.0.1.6", db)
	copied := w.VNet(w.Subscription(2), "copy", "westeurope", []string{"10.0.0.0/16"}, nil)
	twice := add("twice", w.hub, "10.0.1.7")
	w.Put(strings.Replace(twice, "/rg/", "/copy/", 1), "microsoft.network/privateendpoints", "westeurope", map[string]any{
		"provisioningState": "Succeeded", "subnet": map[string]any{"id": copied + "/subnets/endpoints"},
		"privateLinkServiceConnections": []any{}, "manualPrivateLinkServiceConnections": []any{}, "customDnsConfigs": []any{},
	})
	w.Put(strings.Replace(twice, "/rg/providers/Microsoft.Network/privateEndpoints/", "/copy/providers/Microsoft.Network/networkInterfaces/", 1),
		"microsoft.network/networkinterfaces", "westeurope", map[string]any{
			"privateEndpoint": map[string]any{"id": strings.Replace(twice, "/rg/", "/copy/", 1)},
			"ipConfigurations": []any{map[string]any{"properties": map[string]any{
				"privateIPAddress": "10.0.1.7", "privateLinkConnectionProperties": map[string]any{"fqdns": []any{}},
			}}},
		})
	written(cluster, "whose-1a2b", "10.0.1.7", twice)
	w.list()
	w.wants("hub", "*.westeurope.inference.ml.azure.com [10.0.1.4]", "shop-1a2b.privatelink.westeurope.azmk8s.io [10.0.1.5]", "db.database.windows.net [10.0.1.6]")
	network, _ := w.composed().Config.Table.Network("hub")
	const private = "ep1.0a1b2c3d-0000-0000-0000-000000000001.inference.westeurope.privatelink.api.azureml.ms"
	if got := network.Lookup(zones.MustName(private), 1); got.Kind != zones.Records {
		t.Errorf("the private name is %v", got.Kind)
	}
	origin, _ := w.composed().Origins.Of("hub", zones.MustName("*.westeurope.inference.ml.azure.com"))
	if origin.Place != ml {
		t.Errorf("it comes from %s", origin.Place)
	}
}

// An endpoint anywhere in the scopes belongs to the network that its tag names, where
// the network says that tags count.
func TestTags(t *testing.T) {
	w := newWorld(t, "[networks.tagged]\nclients = [\"10.0.0.0/8\"]\nazure = { tagged = true }\n[networks.other]\nclients = [\"10.1.0.0/16\"]\nazure = { vnets = [\"HUB\"] }\n")
	spoke := w.VNet(w.sub, "spoke", "westeurope", []string{"10.1.0.0/16"}, nil)
	for i, network := range []string{"tagged", "other"} {
		id := w.Add(graphtest.Endpoint{Subscription: w.sub, Name: network, VNet: spoke, Address: fmt.Sprintf("10.1.1.%d", 4+i), Names: []string{network + ".database.windows.net"}})
		w.Tag(id, "Pldns", network)
	}
	w.list()
	w.wants("tagged", "tagged.database.windows.net [10.1.1.4]")
	w.wants("other")
}

// Two endpoints for one name are both there, the nearest region's first, with a warning.
func TestTwoEndpoints(t *testing.T) {
	w := newWorld(t, hubSees)
	w.Add(graphtest.Endpoint{Subscription: w.sub, Name: "a-far", Region: "australiaeast", VNet: w.hub, Address: "10.0.1.4", Names: []string{"db.database.windows.net"}})
	w.Add(graphtest.Endpoint{Subscription: w.sub, Name: "b-near", Region: "westeurope", VNet: w.hub, Address: "10.0.1.5", Names: []string{"db.database.windows.net"}})
	w.list()
	w.wants("hub", "db.database.windows.net [10.0.1.5 10.0.1.4]")
	for _, n := range w.composed().Config.Networks {
		for e := range n.Endpoints() {
			if e.Pick != zones.PickFirstHealthy {
				t.Errorf("%s of them are answered", e.Pick)
			}
		}
	}
	if warnings := w.d.Status().Warnings; len(warnings) != 1 || !strings.Contains(warnings[0], "db.database.windows.net has 2 endpoints") || !strings.Contains(warnings[0], "probe") {
		t.Errorf("warnings %q", warnings)
	}
}

// What is written by hand is served, and what Azure says of it is shown.
func TestByHand(t *testing.T) {
	w := newWorld(t, hubSees+"[networks.hub.endpoints]\n\"DB1.database.windows.net\" = \"10.9.9.9\"\n\"kv.privatelink.vaultcore.azure.net\" = \"10.9.9.8\"\n"+
		"\"same.database.windows.net\" = \"10.0.1.7\"\n"+
		"[networks.hub.zones.\"contoso.example\"]\nrecords = [\"app 300 IN A 10.9.9.7\"]\n")
	w.add("db1", "10.0.1.4")
	w.add("same", "10.0.1.7")
	w.Add(graphtest.Endpoint{Subscription: w.sub, Name: "kv", VNet: w.hub, Group: "vault", Address: "10.0.1.5", Names: []string{"kv.vault.azure.net"}})
	w.Add(graphtest.Endpoint{Subscription: w.sub, Name: "app", VNet: w.hub, Address: "10.0.1.6", Names: []string{"app.contoso.example"}})
	w.list()
	w.wants("hub", "db1.database.windows.net [10.9.9.9]", "kv.vault.azure.net [10.9.9.8]", "kv.vaultcore.azure.net [10.9.9.8]", "same.database.windows.net [10.0.1.7]")
	c := w.composed()
	var names []string
	for _, d := range c.Differences {
		names = append(names, d.Name)
		if d.By.Source != "file" || d.From.Source != "azure.corp" {
			t.Errorf("%s", d)
		}
	}
	slices.Sort(names)
	if fmt.Sprint(names) != "[db1.database.windows.net kv.vault.azure.net]" {
		t.Errorf("differences %v", c.Differences)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "app.contoso.example") {
		t.Errorf("warnings %q", c.Warnings)
	}
}

const linksSeen = "[networks.hub]\nclients = [\"10.0.0.0/8\"]\n[networks.hub.azure]\nvnets = [\"HUB\"]\nsee = \"links\"\n"

// With see = "links" a network is served the records of the zones that are linked to its
// VNets, whoever wrote them, and no others.
func TestLinks(t *testing.T) {
	w := newWorld(t, linksSeen)
	const sql, blob, app = "privatelink.database.windows.net", "privatelink.blob.core.windows.net", "internal.contoso.example"
	spoke := w.VNet(w.sub, "spoke", "westeurope", []string{"10.1.0.0/16"}, nil)
	w.Link(w.sub, sql, w.hub, "Default")
	w.Link(w.sub, blob, w.hub, "NxDomainRedirect")
	w.Link(w.sub, app, w.hub, "Default")
	w.Link(w.sub, "privatelink.vaultcore.azure.net", spoke, "Default")
	w.Record(w.sub, sql, "db", "10.0.1.4")
	w.Record(w.sub, sql, "db", "fd00::4")
	w.Record(w.sub, sql, "*", "10.0.1.9")
	w.Record(w.sub, blob, "files", "10.0.1.5")
	w.Record(w.sub, blob, "alias", "files.privatelink.blob.core.windows.net")
	w.Record(w.sub, app, "intranet", "10.0.1.6")
	w.Record(w.sub, "privatelink.vaultcore.azure.net", "kv", "10.1.1.4")
	dead := w.Add(graphtest.Endpoint{Subscription: w.sub, Name: "dead", VNet: w.hub, Status: "Disconnected", Address: "10.0.1.7", Names: []string{"dead.database.windows.net"}})
	w.Record(w.sub, sql, "dead", "10.0.1.7")
	w.list()
	w.wants("hub", "db.database.windows.net [10.0.1.4 fd00::4]", "*.privatelink.database.windows.net [10.0.1.9]", "files.blob.core.windows.net [10.0.1.5]")
	network, _ := w.composed().Config.Table.Network("hub")
	for _, row := range []struct {
		name string
		want zones.Kind
	}{
		{"db.database.windows.net", zones.Alias}, {"db.privatelink.database.windows.net", zones.Records},
		{"any.privatelink.database.windows.net", zones.Records}, {"alias.privatelink.blob.core.windows.net", zones.Alias},
		{"absent.privatelink.blob.core.windows.net", zones.NoName}, {"intranet.internal.contoso.example", zones.NotOurs},
	} {
		if got := network.Lookup(zones.MustName(row.name), 1); got.Kind != row.want {
			t.Errorf("%s: %v, want %v", row.name, got.Kind, row.want)
		}
	}
	if z := network.Lookup(zones.MustName("absent.privatelink.blob.core.windows.net"), 1).Zone; z.Missing != zones.Forward {
		t.Errorf("NxDomainRedirect is %s", z.Missing)
	}
	if _ = dead; len(w.d.Status().Subscriptions) != 1 {
		t.Error("subscriptions")
	}
}
