package azureimport_test

import (
	"fmt"
	"strings"
	"testing"

	"pldns/config"
	"pldns/config/azureimport"
)

// Each difference between a configuration and an export is found, and nothing else.
func TestCompare(t *testing.T) {
	const two = `
[networks.eu]
clients = ["10.0.0.0/16"]
[networks.eu.endpoints]
"sql.database.windows.net" = %s
[networks.au]
clients = ["10.1.0.0/16"]
[networks.au.endpoints]
"sql.database.windows.net" = %s
`
	one := func(line string) string {
		return "[networks.hub]\nclients = [\"10.0.0.0/16\"]\n[networks.hub.endpoints]\n" + line + "\n"
	}
	for _, test := range []struct{ name, file, exported, want, notes string }{
		{"the same", one(`"sql.database.windows.net" = "10.0.0.4"`), "sql.database.windows.net 10.0.0.4", "", ""},
		{"spelled as the private name", one(`"kv.privatelink.vaultcore.azure.net" = "10.0.0.4"`), "kv.vault.azure.net 10.0.0.4", "", ""},
		{"gone", one(`"sql.database.windows.net" = "10.0.0.4"`), "kv.vault.azure.net 10.0.0.4",
			"gone hub sql.database.windows.net [10.0.0.4] unmapped kv.vault.azure.net [10.0.0.4] of rg/pe-kv-0", ""},
		{"an empty export", one(`"sql.database.windows.net" = "10.0.0.4"`), "", "unknown hub sql.database.windows.net [10.0.0.4]", "holds no endpoint"},
		{"changed", one(`"sql.database.windows.net" = "10.0.0.4"`), "sql.database.windows.net 10.0.0.5",
			"changed hub sql.database.windows.net [10.0.0.4] is [10.0.0.5] of rg/pe-sql-0", ""},
		{"an address more", one(`"a.documents.azure.com" = "10.0.0.4"`), "a.documents.azure.com 10.0.0.4 fd00::4",
			"changed hub a.documents.azure.com [10.0.0.4] is [10.0.0.4 fd00::4] of rg/pe-a-0", ""},
		{"unmapped", one(""), "sql.database.windows.net 10.0.0.4", "unmapped sql.database.windows.net [10.0.0.4] of rg/pe-sql-0", ""},
		{"own names are not compared", one(`"api.contoso.com" = "10.0.0.4"`), "", "", "1 of the names are outside the catalogue"},
		{"own names that are exported", one(`"api.contoso.com" = "10.0.0.4"`), "api.contoso.com 10.0.0.5",
			"changed hub api.contoso.com [10.0.0.4] is [10.0.0.5] of rg/pe-api-0", ""},
		{"wildcards", one(`"*.env.westeurope.azurecontainerapps.io" = "10.0.0.4"`), "*.env.westeurope.azurecontainerapps.io 10.0.0.4", "", ""},
		{"each network has its own", fmt.Sprintf(two, `"10.0.0.4"`, `"10.1.0.4"`), "sql.database.windows.net 10.0.0.4\nsql.database.windows.net 10.1.0.4", "", ""},
		{"a failover list of both", fmt.Sprintf(two, `"10.0.0.4"`, `{ addresses = ["10.1.0.4", "10.0.0.4"], probe = "tcp:1433" }`),
			"sql.database.windows.net 10.0.0.4\nsql.database.windows.net 10.1.0.4", "", ""},
		{"one network changed", fmt.Sprintf(two, `"10.0.0.4"`, `"10.1.0.9"`), "sql.database.windows.net 10.0.0.4\nsql.database.windows.net 10.1.0.4",
			"changed au sql.database.windows.net [10.1.0.9] is [10.0.0.4] of rg/pe-sql-0 is [10.1.0.4] of rg/pe-sql-1", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			loaded, err := config.Parse("pldns.toml", []byte(test.file), nil)
			if err != nil {
				t.Fatal(err)
			}
			export := azureimport.NewExport(azureimport.Options{})
			if err := export.Read(azureimport.AZ, "pe.json", strings.NewReader(asEndpoints(test.exported))); err != nil {
				t.Fatal(err)
			}
			drift := export.Compare(loaded.Networks)
			if got := describe(drift); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if drift.Any() != (test.want != "") {
				t.Errorf("Any gives %v", drift.Any())
			}
			if notes := strings.Join(drift.Notes, "\n"); !strings.Contains(notes, test.notes) {
				t.Errorf("notes %s", notes)
			}
		})
	}
}

// describe puts differences on a line.
func describe(d azureimport.Drift) string {
	var parts []string
	for _, network := range d.Networks {
		for _, m := range network.Gone {
			parts = append(parts, fmt.Sprint("gone ", network.Network, " ", m.Name, " ", m.Addresses))
		}
		for _, m := range network.Unknown {
			parts = append(parts, fmt.Sprint("unknown ", network.Network, " ", m.Name, " ", m.Addresses))
		}
		for _, m := range network.Changed {
			parts = append(parts, fmt.Sprint("changed ", network.Network, " ", m.Name, " ", m.Addresses))
			for _, other := range m.Exported {
				parts = append(parts, fmt.Sprint("is ", other.Addresses, " of ", other.Source))
			}
		}
	}
	for _, endpoint := range d.Unmapped {
		parts = append(parts, fmt.Sprint("unmapped ", endpoint.Name, " ", endpoint.Addresses, " of ", endpoint.Source))
	}
	return strings.Join(parts, " ")
}

// Networks are named after VNets; names that clash get what tells them apart, and
// what is too long or strange becomes a name that a configuration takes.
func TestNetworkNames(t *testing.T) {
	long := strings.Repeat("v", 70)
	for _, test := range []struct {
		name  string
		vnets []string // subscription/group/VNet
		want  []string
	}{
		{"plain", []string{"s1/g/hub", "s1/g/spoke"}, []string{"hub", "spoke"}},
		{"two groups", []string{"s1/g/hub", "s1/h/hub"}, []string{"hub-g", "hub-h"}},
		{"two subscriptions", []string{"00000001-x/g/hub", "00000002-x/g/hub"}, []string{"hub-g-00000001", "hub-g-00000002"}},
		{"a name that is made by a clash", []string{"s1/g/hub", "s1/h/hub", "s1/x/hub-g"}, []string{"hub-g", "hub-g-s1", "hub-h"}},
		{"letters that a name has not", []string{"s1/g/hub.weu (1)"}, []string{"hub-weu--1-"}},
		{"too long", []string{"s1/g/" + long}, []string{long[:54] + "-"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 {
				export := azureimport.NewExport(azureimport.Options{})
				for i, vnet := range test.vnets {
					p := strings.Split(vnet, "/")
					text := fmt.Sprintf(`{"type":"Microsoft.Network/privateEndpoints","id":"/x/privateEndpoints/pe%d","customDnsConfigs":[{"fqdn":"a.contoso.com","ipAddresses":["10.0.0.%d"]}],
						"subnet":{"id":"/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Network/virtualNetworks/%s/subnets/s"}}`, i, i+1, p[0], p[1], p[2])
					if err := export.Read(azureimport.AZ, "pe.json", strings.NewReader(text)); err != nil {
						t.Fatal(err)
					}
				}
				networks := export.Networks(azureimport.Layout{Split: azureimport.ByVNet}).Networks
				if len(networks) != len(test.want) {
					t.Fatalf("got %v", networks)
				}
				for i, network := range networks {
					if !strings.HasPrefix(network.Name, test.want[i]) || len(network.Name) > 63 {
						t.Errorf("got %s, want %s", network.Name, test.want[i])
					}
				}
			}
		})
	}
}

// The catalogue names an endpoint where nothing else does and one name is possible.
func TestNamesOfTheCatalogue(t *testing.T) {
	const endpoint = `{"type":"Microsoft.Network/privateEndpoints","id":"/x/privateEndpoints/pe","location":"%s","ipConfigurations":[%s],
		"privateLinkServiceConnections":[{"groupIds":["%s"],"privateLinkServiceId":"/subscriptions/s/resourceGroups/g/providers/%s"}]}`
	const v4, v6 = `{"privateIPAddress":"10.0.0.4"}`, `{"properties":{"privateIpAddress":"fd00::4"}}`
	for _, test := range []struct{ name, location, addresses, group, target, want string }{
		{"a SQL server", "westeurope", v4, "sqlServer", "Microsoft.Sql/servers/sql", "sql.database.windows.net [10.0.0.4]"},
		{"a SQL server in China", "chinaeast2", v4, "sqlServer", "Microsoft.Sql/servers/sql", "sql.database.chinacloudapi.cn [10.0.0.4]"},
		{"a SQL server in US Government", "usgovvirginia", v4, "SqlServer", "microsoft.sql/Servers/sql", "sql.database.usgovcloudapi.net [10.0.0.4]"},
		{"two names with one private name", "westeurope", v4, "vault", "Microsoft.KeyVault/vaults/kv", "kv.vault.azure.net [10.0.0.4]"},
		{"a secondary", "westeurope", v4, "blob_secondary", "Microsoft.Storage/storageAccounts/stg", "stg-secondary.blob.core.windows.net [10.0.0.4]"},
		{"both families", "westeurope", v4 + "," + v6, "blob", "Microsoft.Storage/storageAccounts/stg", "stg.blob.core.windows.net [10.0.0.4 fd00::4]"},
		{"two addresses", "westeurope", v4 + `,{"privateIPAddress":"10.0.0.5"}`, "Sql", "Microsoft.DocumentDB/databaseAccounts/c", ""},
		{"three zones", "westeurope", v4, "account", "Microsoft.CognitiveServices/accounts/ai", ""},
		{"a zone with a region", "westeurope", v4, "cluster", "Microsoft.Kusto/clusters/adx", ""},
		{"an unknown region", "", v4, "sqlServer", "Microsoft.Sql/servers/sql", ""},
		{"an unknown service", "westeurope", v4, "x", "Contoso.X/xs/a", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			export := azureimport.NewExport(azureimport.Options{})
			text := fmt.Sprintf(endpoint, test.location, test.addresses, test.group, test.target)
			if err := export.Read(azureimport.AZ, "pe.json", strings.NewReader(text)); err != nil {
				t.Fatal(err)
			}
			result := export.Networks(azureimport.Layout{})
			got := ""
			for _, network := range result.Networks {
				for _, m := range network.Mappings {
					got += fmt.Sprint(m.Name, " ", m.Addresses)
				}
			}
			if got != test.want || (got == "") != (len(result.Gaps) == 1) {
				t.Errorf("got %q, want %q, gaps %v", got, test.want, result.Gaps)
			}
		})
	}
}

// Sources are trusted in order: network interface and zone group, the endpoint's
// own list, the catalogue.
func TestTrust(t *testing.T) {
	const (
		id       = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateEndpoints/pe"
		endpoint = `{"type":"Microsoft.Network/privateEndpoints","id":"` + id + `","location":"westeurope","ipConfigurations":[{"privateIPAddress":"10.0.0.4"}],
			"customDnsConfigs":[%s],"networkInterfaces":[{"id":"/x/networkInterfaces/nic"}],
			"privateLinkServiceConnections":[{"groupIds":["sqlServer"],"privateLinkServiceId":"/subscriptions/s/resourceGroups/g/providers/Microsoft.Sql/servers/sql"}]}`
		custom = `{"fqdn":"sql.database.windows.net","ipAddresses":["10.0.0.5"]}`
		group  = `{"id":"` + id + `/privateDnsZoneGroups/default","privateDnsZoneConfigs":[{"recordSets":[{"fqdn":"sql.privatelink.database.windows.net","ipAddresses":["10.0.0.6"]}]}]}`
		nic    = `{"id":"/x/networkInterfaces/nic","ipConfigurations":[{"privateIPAddress":"10.0.0.7","privateLinkConnectionProperties":{"fqdns":["sql.database.windows.net"]}}]}`
	)
	for _, test := range []struct{ name, text, want string }{
		{"catalogue", fmt.Sprintf(endpoint, ""), "[10.0.0.4]"},
		{"own list before catalogue", fmt.Sprintf(endpoint, custom), "[10.0.0.5]"},
		{"zone group before own list", fmt.Sprintf(endpoint, custom) + group, "[10.0.0.6]"},
		{"network interface before zone group", group + nic + fmt.Sprintf(endpoint, custom), "[10.0.0.7]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			export := azureimport.NewExport(azureimport.Options{})
			if err := export.Read(azureimport.AZ, "pe.json", strings.NewReader(test.text)); err != nil {
				t.Fatal(err)
			}
			networks := export.Networks(azureimport.Layout{}).Networks
			if len(networks) != 1 || len(networks[0].Mappings) != 1 {
				t.Fatalf("got %v", networks)
			}
			if m := networks[0].Mappings[0]; m.Name.String() != "sql.database.windows.net" || fmt.Sprint(m.Addresses) != test.want {
				t.Errorf("got %v", m)
			}
		})
	}
}
