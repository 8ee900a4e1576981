package azureexport_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/config"
	"pldns/config/azureexport"
	"pldns/config/azureimport"
	"pldns/zones"
)

var update = flag.Bool("update", false, "write what the golden files are now, instead of comparing with them")

// planOf is the plan of the first network of a configuration.
func planOf(t *testing.T, document string) (*azureexport.Plan, *config.Config) {
	t.Helper()
	loaded, err := config.Parse("pldns.toml", []byte(document), nil)
	if err != nil {
		t.Fatal(err)
	}
	return azureexport.NewPlan(&loaded.Networks[0], loaded.Catalogue), loaded
}

func hub(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/hub.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestGolden holds every form against what it was when somebody read it.
func TestGolden(t *testing.T) {
	plan, _ := planOf(t, hub(t))
	for _, kind := range azureexport.Kinds() {
		text, notes, err := azureexport.Render(kind, plan)
		if err != nil {
			t.Fatal(err)
		}
		name := map[azureexport.Kind]string{azureexport.Bicep: "hub.bicep", azureexport.Terraform: "hub.tf",
			azureexport.Hosts: "hub.hosts", azureexport.RPZ: "hub.rpz"}[kind]
		compareGolden(t, name, text)
		compareGolden(t, name+".notes", strings.Join(notes, "\n")+"\n")
	}
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// roundTrip is a configuration that every form can hold all of.
const roundTrip = `
[networks.hub]
clients = ["10.0.0.0/16"]
[networks.hub.endpoints]
"contosokv.vault.azure.net" = "10.0.1.4"
"dual.blob.core.windows.net" = ["10.0.1.5", "fd00::5"]
"contosoacr.azurecr.io" = "10.0.1.6"
"contosoacr.westeurope.data.azurecr.io" = "10.0.1.7"
"mi1.abc123def456.database.windows.net" = "10.0.1.8"
"aks1.01e40daf.privatelink.westeurope.azmk8s.io" = "10.0.1.9"
"acct.openai.azure.us" = "10.0.1.10"
`

// mappings are what a configuration, or an import, says of names.
func mappings(endpoints iter.Seq[config.Endpoint]) map[string]string {
	all := make(map[string]string)
	for e := range endpoints {
		private := e.Private
		if private.IsZero() {
			private = e.Name
		}
		addrs := slices.Clone(e.Addresses)
		slices.SortFunc(addrs, func(a, b netAddr) int { return a.Compare(b) })
		all[private.String()] = fmt.Sprint(addrs)
	}
	return all
}

// What is exported and imported again is what was there.
func TestRoundTrip(t *testing.T) {
	plan, loaded := planOf(t, roundTrip)
	want := mappings(loaded.Networks[0].Endpoints())
	texts := make(map[azureexport.Kind]string)
	for _, kind := range azureexport.Kinds() {
		text, notes, err := azureexport.Render(kind, plan)
		if err != nil || len(notes) > 0 {
			t.Fatalf("%s: %v, notes %v", kind, err, notes)
		}
		texts[kind] = text
	}
	for name, test := range map[string]struct {
		kind azureimport.Kind
		text string
	}{
		"hosts":     {azureimport.Hosts, texts[azureexport.Hosts]},
		"rpz":       {azureimport.DNSZone, texts[azureexport.RPZ]},
		"az":        {azureimport.AZ, recordSets(t, plan)},
		"terraform": {azureimport.AZ, evaluated(t, texts[azureexport.Terraform])},
		"bicep":     {azureimport.AZ, evaluated(t, texts[azureexport.Bicep])},
	} {
		t.Run(name, func(t *testing.T) {
			export := azureimport.NewExport(azureimport.Options{Origin: zones.Root()})
			if err := export.Read(test.kind, name, strings.NewReader(test.text)); err != nil {
				t.Fatalf("%v\n%s", err, test.text)
			}
			result := export.Networks(azureimport.Layout{})
			if len(result.Networks) != 1 {
				t.Fatalf("%d networks: %v", len(result.Networks), result.Gaps)
			}
			again, err := config.Parse("again.toml", append([]byte("[networks.hub]\nclients = [\"10.0.0.0/16\"]\n"),
				azureimport.Render([]azureimport.Table{azureimport.NetworkTable("hub", result.Networks[0].Mappings)})...), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, mappings(again.Networks[0].Endpoints())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// recordSets are the record sets of a plan as az network private-dns lists them,
// once it is deployed.
func recordSets(t *testing.T, plan *azureexport.Plan) string {
	t.Helper()
	var sets []map[string]any
	for _, zone := range plan.Zones {
		for _, set := range zone.Sets {
			var addrs []string
			for _, rr := range set.Records {
				addrs = append(addrs, strings.Fields(rr.String())[4])
			}
			sets = append(sets, recordSet(zone.Name.String(), set.Name, dns.TypeToString[set.Type], addrs))
		}
	}
	return marshal(t, sets)
}

func recordSet(zone, name, qtype string, addrs []string) map[string]any {
	key, property := "ipv4Address", "aRecords"
	if qtype == "AAAA" {
		key, property = "ipv6Address", "aaaaRecords"
	}
	var records []map[string]string
	for _, addr := range addrs {
		records = append(records, map[string]string{key: addr})
	}
	return map[string]any{
		"name": name, "fqdn": name + "." + zone + ".", "type": "Microsoft.Network/privateDnsZones/" + qtype, property: records,
		"id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateDnsZones/" + zone + "/" + qtype + "/" + name,
	}
}

func marshal(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A network that is too large for one template is not half written.
func TestBicepHasALimit(t *testing.T) {
	document := "[networks.hub]\nclients = [\"10.0.0.0/16\"]\n[networks.hub.endpoints]\n"
	for i := range 900 {
		document += fmt.Sprintf("\"db%d.database.windows.net\" = \"10.0.%d.%d\"\n", i, i/250, i%250+1)
	}
	plan, _ := planOf(t, document+"\"kv.vault.azure.net\" = \"10.0.9.9\"\n")
	if _, _, err := azureexport.Render(azureexport.Bicep, plan); err == nil || !strings.Contains(err.Error(), "a Bicep file holds 800") {
		t.Errorf("%v", err)
	}
	if _, _, err := azureexport.Render(azureexport.Terraform, plan); err != nil {
		t.Errorf("%v", err)
	}
	some, err := plan.Only([]zones.Name{zones.MustName("privatelink.vaultcore.azure.net")})
	if err != nil {
		t.Fatal(err)
	}
	if text, _, err := azureexport.Render(azureexport.Bicep, some); err != nil || strings.Contains(text,
		"database") || !strings.Contains(text, "10.0.9.9") {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err := plan.Only([]zones.Name{zones.MustName("privatelink.azurecr.io")}); err == nil {
		t.Error("a zone that is not there was found")
	}
}

// A copy of another server's zone is no zone of this network: nothing that is exported denies
// its names, and what is mapped in it has a zone for itself.
func TestCopiesAreLeftOut(t *testing.T) {
	c, err := config.Parse("hub.toml", []byte(`
[zones."corp.example"]
from = ["10.20.0.4"]
[networks.hub]
clients = ["10.0.0.0/16"]
[networks.hub.endpoints]
"api.corp.example" = "10.0.1.4"
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	plan := azureexport.NewPlan(&c.Networks[0], c.Catalogue)
	if len(plan.Zones) != 1 || plan.Zones[0].Name.String() != "api.corp.example" || plan.Zones[0].Denies {
		t.Errorf("zones %+v", plan.Zones)
	}
	if notes := strings.Join(plan.Notes, "\n"); !strings.Contains(notes, "corp.example is a copy of another server's zone, and is left out") {
		t.Errorf("notes %s", notes)
	}
}
