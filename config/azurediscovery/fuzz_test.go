package azurediscovery_test

import (
	"os"
	"path/filepath"
	"testing"

	"pldns/config"
	"pldns/config/azurediscovery"
	"pldns/zones/azure"
)

// FuzzRestore: whatever stands in a state file, it is refused, or it is a listing that
// networks can be derived of.
func FuzzRestore(f *testing.F) {
	dir := f.TempDir()
	a := config.Azure{Name: "corp", Cloud: "public", State: filepath.Join(dir, "state.json")}
	seed := &azurediscovery.Listing{
		Subscriptions: map[string]*azurediscovery.Subscription{"s": {ID: "s", Tenant: "t"}},
		Rows:          map[string]*azurediscovery.Row{"endpoint /a": {Kind: azurediscovery.KindEndpoint, ID: "/A", Endpoint: new(azurediscovery.Endpoint)}},
	}
	if err := azurediscovery.Save(a, seed); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(a.State)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("{}\n{}"))
	networks := []config.Network{{Name: "hub", Azure: &config.Discovery{From: []string{"corp"}, VNets: []string{"/v"}, See: config.SeeLinks, Clients: true}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		a := a
		a.State = filepath.Join(t.TempDir(), "state.json")
		if err := os.WriteFile(a.State, data, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := azurediscovery.Restore(a)
		if (l == nil) == (err == nil) {
			t.Fatalf("%v and %v", l, err)
		}
		if l != nil {
			azurediscovery.Derive(l, "corp", networks, catalogue())
		}
	})
}

func catalogue() *azure.Catalogue { return azure.New() }
