package azureaudit_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pldns/config"
	"pldns/config/azureaudit"
	"pldns/config/azureimport"
	"pldns/zones"
	"pldns/zones/azure"
)

var update = flag.Bool("update", false, "write what the reports are now, instead of comparing with them")

// inventoryOf reads exports.
func inventoryOf(t *testing.T, kind azureimport.Kind, files ...string) azureimport.Inventory {
	t.Helper()
	export := azureimport.NewExport(azureimport.Options{})
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := export.Read(kind, filepath.Base(file), bytes.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	return export.Inventory()
}

// written is a report as text.
func written(r *azureaudit.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s %s\n  file %s, vnets %v, names %v\n  answer %q, want %q\n  effect: %s\n  action: %s\n",
			f.Severity, f.ID, f.Resource, f.File, f.VNets, f.Names, f.Answer, f.Want, f.Effect, f.Action)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "not looked at: %s\n", note)
	}
	fmt.Fprintf(&b, "%d VNets, %d zones, %d endpoints\n", r.VNets, r.Zones, r.Endpoints)
	return b.String()
}

// Each estate of testdata has one thing that is not as it should be; what the report
// says of it stands beside it. Run it with -update to write that anew, and read the
// difference.
func TestEstates(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no estates: %v", err)
	}
	found := make(map[azureaudit.ID]bool)
	for _, file := range files {
		name := strings.TrimSuffix(file, ".json")
		t.Run(filepath.Base(name), func(t *testing.T) {
			kind := azureimport.AZ
			if strings.HasSuffix(name, "page") {
				kind = azureimport.Graph
			}
			report := azureaudit.Audit(inventoryOf(t, kind, file), azureaudit.Options{Catalogue: azure.New()})
			for _, f := range report.Findings {
				found[f.ID] = true
				if f.ID == "" || f.Severity == "" || f.Resource == "" || f.Effect == "" || f.Action == "" {
					t.Errorf("%+v does not say what, where, what happens and what to do", f)
				}
			}
			compareGolden(t, name+".txt", written(report))
		})
	}
	for _, rule := range azureaudit.Rules() {
		if !found[rule.ID] && rule.ID != azureaudit.AnsweredOtherwise {
			t.Errorf("no estate has %s", rule.ID)
		}
	}
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
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

// Names that clients ask for make a link without fallback matter, unless they are
// answered.
func TestAskedNames(t *testing.T) {
	inventory := inventoryOf(t, azureimport.AZ, "testdata/no_fallback.json")
	for asked, want := range map[string]azureaudit.Severity{
		"partner.database.windows.net":             azureaudit.Warning,
		"partner.privatelink.database.windows.net": azureaudit.Warning,
		"sql1.database.windows.net":                azureaudit.Note,
		"acct.blob.core.windows.net":               azureaudit.Note,
		"www.contoso.com":                          azureaudit.Note,
	} {
		report := azureaudit.Audit(inventory, azureaudit.Options{Catalogue: azure.New(), Asked: []zones.Name{zones.MustName(asked)}})
		at := slices.IndexFunc(report.Findings, func(f azureaudit.Finding) bool { return f.ID == azureaudit.NoFallback })
		if at < 0 || report.Findings[at].Severity != want {
			t.Errorf("%s: %s", asked, written(report))
		}
		if want == azureaudit.Warning && !strings.Contains(report.Findings[at].Effect, asked) {
			t.Errorf("%s is not named: %s", asked, report.Findings[at].Effect)
		}
	}
}

// What pldns answers otherwise is found for the VNet that has the name of a network,
// or is said to have it.
func TestCompare(t *testing.T) {
	inventory := inventoryOf(t, azureimport.AZ, "testdata/record_missing.json")
	loaded, err := config.Parse("pldns.toml", []byte(`
[networks.vnet-hub]
clients = ["10.0.0.0/16"]
[networks.vnet-hub.endpoints]
"sql1.database.windows.net" = "10.20.1.4"
"sql2.database.windows.net" = "10.20.1.5"
"acct.blob.core.windows.net" = "10.20.1.9"
[networks.office]
clients = ["10.1.0.0/16"]
missing = "nxdomain"
[networks.office.endpoints]
"sql1.database.windows.net" = "10.20.1.44"
[networks.nobody]
clients = ["10.2.0.0/16"]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	report := azureaudit.Audit(inventory, azureaudit.Options{Catalogue: azure.New(), Table: loaded.Table,
		VNets: map[string]string{"VNET-spoke": "office"}})
	var got []string
	for _, f := range report.Findings {
		if f.ID == azureaudit.AnsweredOtherwise {
			got = append(got, f.Effect)
		}
	}
	want := []string{
		"clients in vnet-hub get the public address for acct.blob.core.windows.net of Azure DNS, and 10.20.1.9 of pldns, as clients of network vnet-hub",
		"clients in vnet-hub get NXDOMAIN for sql2.database.windows.net of Azure DNS, and 10.20.1.5 of pldns, as clients of network vnet-hub",
		"clients in vnet-spoke get 10.20.1.4 for sql1.database.windows.net of Azure DNS, and 10.20.1.44 of pldns, as clients of network office",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !slices.ContainsFunc(report.Notes, func(n string) bool { return strings.Contains(n, "network nobody has no linked VNet") }) {
		t.Errorf("notes %q", report.Notes)
	}
}

// Of a large estate each record that is missing is found once.
func TestLargeEstate(t *testing.T) {
	var inventory azureimport.Inventory
	zone := "/subscriptions/s/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/privatelink.database.windows.net"
	for i := range 50 {
		inventory.Links = append(inventory.Links, azureimport.VNetLink{
			ID: fmt.Sprint(zone, "/virtualNetworkLinks/", i), ZoneID: zone, VNetID: fmt.Sprintf("/subscriptions/s/virtualNetworks/vnet%d", i)})
	}
	for i := range 10_000 {
		id, name := fmt.Sprintf("/subscriptions/s/privateEndpoints/pe%d", i), fmt.Sprintf("sql%d", i)
		inventory.Endpoints = append(inventory.Endpoints,
			azureimport.PrivateEndpoint{ID: id, SubnetID: "/subscriptions/s/virtualNetworks/vnet1/subnets/pe"})
		inventory.Interfaces = append(inventory.Interfaces,
			azureimport.Interface{ID: id + ".nic", EndpointID: id, Configurations: []azureimport.IPConfiguration{
				{Address: addressOf(i), Names: []string{name + ".database.windows.net"}}}})
		if i%2 == 0 {
			inventory.Records = append(inventory.Records, azureimport.Record{
				ID: zone + "/A/" + name, ZoneID: zone, Zone: "privatelink.database.windows.net", Name: name + ".privatelink.database.windows.net",
				Addresses: addresses(i)})
		}
	}
	report := azureaudit.Audit(inventory, azureaudit.Options{Catalogue: azure.New()})
	missing := 0
	for _, f := range report.Findings {
		if f.ID == azureaudit.RecordMissing {
			missing++
		}
	}
	if missing != 5000 {
		t.Errorf("%d records are missing, want 5000", missing)
	}
}

// What a state of Terraform lacks may be kept by something else.
func TestManagedFiles(t *testing.T) {
	inventory := inventoryOf(t, azureimport.AZ, "testdata/record_missing.json")
	options := azureaudit.Options{Catalogue: azure.New(), Managed: []string{"record_missing.json"}}
	for _, f := range azureaudit.Audit(inventory, options).Findings {
		if f.ID != azureaudit.RecordMissing {
			continue
		}
		if f.Severity != azureaudit.Warning || !strings.Contains(f.Action, "unless it is kept by something else") {
			t.Errorf("%s: %s", f.Severity, f.Action)
		}
	}
}
