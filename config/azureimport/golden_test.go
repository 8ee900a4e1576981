package azureimport_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/config"
	"pldns/config/azureimport"
	"pldns/zones"
)

// golden are the imports that are held against files in testdata/golden: made up,
// but each of a complete shape. UPDATE_GOLDEN=1 writes them anew.
var golden = []struct {
	name  string
	kind  azureimport.Kind
	files []string
	split azureimport.Split
	opts  azureimport.Options
}{
	{name: "az", opts: azureimport.Options{AssumeApproved: true}, kind: azureimport.AZ, files: []string{"az_endpoints.json", "az_nics.json", "az_groups.json"}},
	{name: "az_order", opts: azureimport.Options{AssumeApproved: true}, kind: azureimport.AZ, files: []string{"az_groups.json", "az_nics.json", "az_endpoints.json"}},
	{name: "az_endpoints", kind: azureimport.AZ, files: []string{"az_endpoints.json"}},
	{name: "az_nics", opts: azureimport.Options{AssumeApproved: true}, kind: azureimport.AZ, files: []string{"az_nics.json"}},
	{name: "az_pending", kind: azureimport.AZ, files: []string{"az_endpoints.json"}, opts: azureimport.Options{Pending: true}},
	{name: "az_unseen", kind: azureimport.AZ, files: []string{"az_nics.json"}},
	{name: "az_records", kind: azureimport.AZ, files: []string{"az_records.json"}},
	{name: "az_vnets", kind: azureimport.AZ, files: []string{"az_vnets.json"}, split: azureimport.ByVNet},
	{name: "az_subnets", kind: azureimport.AZ, files: []string{"az_vnets.json"}, split: azureimport.BySubnet},
	{name: "arm", kind: azureimport.ARM, files: []string{"arm.json"}},
	{name: "graph_cli", kind: azureimport.Graph, files: []string{"graph_cli.json"}},
	{name: "graph_rest", kind: azureimport.Graph, files: []string{"graph_rest.json"}},
	{name: "graph_sdk", kind: azureimport.Graph, files: []string{"graph_sdk.json"}},
	{name: "graph_joined", kind: azureimport.Graph, files: []string{"graph_joined.json"}},
	{name: "graph_table", kind: azureimport.Graph, files: []string{"graph_table.json"}},
	{name: "terraform_show", kind: azureimport.Terraform, files: []string{"terraform_show.json"}},
	{name: "terraform_state", kind: azureimport.Terraform, files: []string{"terraform_state.json"}},
	{name: "dns-zone", kind: azureimport.DNSZone, files: []string{"zone.txt"}},
	{name: "hosts", kind: azureimport.Hosts, files: []string{"hosts.txt"}},
}

// Every shape of export gives the table and the notes that it should, the table
// loads in a configuration, and every name answers its addresses there.
func TestGolden(t *testing.T) {
	for _, test := range golden {
		t.Run(test.name, func(t *testing.T) {
			export := azureimport.NewExport(test.opts)
			for _, file := range test.files {
				read(t, export, test.kind, file)
			}
			result := export.Networks(azureimport.Layout{Split: test.split})
			networks := result.Networks
			var tables []azureimport.Table
			for i, network := range networks {
				if network.Name == "" {
					network.Name = "hub"
				}
				networks[i] = network
				tables = append(tables, azureimport.NetworkTable(network.Name, network.Mappings))
			}
			text := string(azureimport.Render(tables))
			got := text
			for _, gap := range result.Gaps {
				got += "# " + string(gap.Reason) + ": " + gap.Text + "\n"
			}
			for _, note := range result.Notes {
				got += "# note: " + note + "\n"
			}
			sameAsGolden(t, test.name, got)
			if len(networks) > 0 {
				answersAll(t, text, networks)
			}
		})
	}
}

// read reads a file of testdata.
func read(tb testing.TB, export *azureimport.Export, kind azureimport.Kind, file string) {
	tb.Helper()
	from, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	defer from.Close()
	if err := export.Read(kind, file, from); err != nil {
		tb.Fatal(err)
	}
}

func sameAsGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("not as in %s (-want +got):\n%s", path, diff)
	}
}

// answersAll loads imported tables with clients for their networks, and asks for
// every name and its private name.
func answersAll(t *testing.T, text string, networks []azureimport.Network) {
	t.Helper()
	for i, network := range networks {
		text += fmt.Sprintf("[networks.%s]\nclients = [\"10.%d.0.0/16\"]\n", network.Name, i)
	}
	loaded, err := config.Parse("imported.toml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	table := loaded.Table
	for _, network := range networks {
		built, _ := table.Network(network.Name)
		for _, m := range network.Mappings {
			name := m.Name
			if name.IsWildcard() {
				parent, _ := name.Parent()
				name = parent.Under("app")
			}
			if got := ask(built, name); !slices.Equal(got, m.Addresses) {
				t.Errorf("%s in %s answers %v, want %v", name, network.Name, got, m.Addresses)
			}
		}
	}
}

// ask gives the addresses that a network answers for a name, behind its alias.
func ask(network *zones.Network, name zones.Name) []netip.Addr {
	var addrs []netip.Addr
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		result := network.Lookup(name, qtype)
		if result.Kind == zones.Alias {
			result = network.Lookup(result.Target, qtype)
		}
		for _, rr := range result.Records {
			switch rr := rr.(type) {
			case *dns.A:
				addr, _ := netip.AddrFromSlice(rr.A.To4())
				addrs = append(addrs, addr)
			case *dns.AAAA:
				addr, _ := netip.AddrFromSlice(rr.AAAA)
				addrs = append(addrs, addr)
			}
		}
	}
	return addrs
}

// State holds secrets. Nothing of it comes out but endpoints, not even in errors.
func TestTerraformShowsNothingElse(t *testing.T) {
	for _, file := range []string{"terraform_show.json", "terraform_state.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		for end := 1; end < len(text); end += 397 {
			export := azureimport.NewExport(azureimport.Options{})
			err := export.Read(azureimport.Terraform, file, strings.NewReader(string(text[:end])))
			if err == nil {
				t.Fatalf("%s cut off at %d is read", file, end)
			}
			said := fmt.Sprint(err, export.Networks(azureimport.Layout{}))
			if strings.Contains(said, "SECRET") || strings.Contains(said, "secret") {
				t.Fatalf("%s cut off at %d says %s", file, end, said)
			}
		}
	}
}
