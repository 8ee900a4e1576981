package clientconfig_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pldns/config"
	"pldns/config/clientconfig"
	"pldns/zones"
	"pldns/zones/azure"
)

// spell writes what is in use: a dot before a zone whose names are in use, "="
// before one that is in use itself, and the privatelink zones after a bar.
func spell(use clientconfig.Use) string {
	var words []string
	for _, zone := range use.Zones {
		sign := ""
		if zone.Apex {
			sign += "="
		}
		if zone.Below {
			sign += "."
		}
		words = append(words, sign+zone.Name.String())
	}
	words = append(words, "|")
	for _, name := range use.Private {
		words = append(words, name.String())
	}
	return strings.Join(words, " ")
}

// What one endpoint has in use: the public zones of its row in the catalogue, with
// their placeholders filled, and its privatelink zone.
func TestEndpointsInUse(t *testing.T) {
	for _, test := range []struct{ name, endpoint, want string }{
		{"a zone", `"mydb.database.windows.net" = "10.0.1.4"`, ".database.windows.net | privatelink.database.windows.net"},
		{"written private", `"mydb.privatelink.database.windows.net" = "10.0.1.4"`, ".database.windows.net | privatelink.database.windows.net"},
		{"two public zones", `"kv.vault.azure.net" = "10.0.1.4"`, ".vault.azure.net .vaultcore.azure.net | privatelink.vaultcore.azure.net"},
		{"a region in the public zone", `"b.westeurope.batch.azure.com" = "10.0.1.4"`, ".westeurope.batch.azure.com | privatelink.batch.azure.com"},
		{"a region in the private zone", `"*.env1.uksouth.azurecontainerapps.io" = "10.0.1.4"`,
			".azurecontainerapps.io | privatelink.uksouth.azurecontainerapps.io"},
		{"a prefix in both", `"mi1.abc123.database.windows.net" = "10.0.1.4"`,
			".abc123.database.windows.net | privatelink.abc123.database.windows.net"},
		{"aliases that lead into the zone", `"global.in.ai.monitor.azure.com" = "10.0.1.4"`,
			".applicationinsights.azure.com .monitor.azure.com .services.visualstudio.com | privatelink.monitor.azure.com"},
		{"another row holds the name", `"a.z1.blob.storage.azure.net" = "10.0.1.4"`,
			".blob.storage.azure.net | privatelink.blob.core.windows.net"},
		{"no row holds the name", `"a.z1.dfs.storage.azure.net" = "10.0.1.4"`,
			"=a.z1.dfs.storage.azure.net | privatelink.dfs.core.windows.net"},
		{"a private name that is asked for", `"aks.privatelink.westeurope.azmk8s.io" = "10.0.1.4"`,
			".privatelink.westeurope.azmk8s.io .westeurope.azmk8s.io |"},
		{"a private name that tells no public one", `"a.privatelink.web.core.windows.net" = "10.0.1.4"`,
			".privatelink.web.core.windows.net .web.core.windows.net |"},
		{"a private name that the operator gave",
			`"e.westeurope.inference.ml.azure.com" = { addresses = ["10.0.1.4"], private_name = "e.ws.inference.westeurope.privatelink.api.azureml.ms" }`,
			".api.azureml.ms .inference.ml.azure.com .instances.azureml.ms | privatelink.api.azureml.ms"},
		{"another cloud", `"mydb.database.chinacloudapi.cn" = "10.0.1.4"`, ".database.chinacloudapi.cn | privatelink.database.chinacloudapi.cn"},
		{"outside the catalogue", `"api.contoso.com" = "10.0.1.4"`, "=api.contoso.com |"},
		{"a wildcard outside the catalogue", `"*.apps.contoso.com" = "10.0.1.4"`, ".apps.contoso.com |"},
		{"a private name outside the catalogue", `"db.contoso.com" = { addresses = ["10.0.1.4"], private_name = "db.privatelink.contoso.com" }`,
			"=db.contoso.com | privatelink.contoso.com"},
	} {
		t.Run(test.name, func(t *testing.T) {
			loaded := load(t, "[networks.a]\nclients = [\"10.0.0.0/8\"]\n[networks.a.endpoints]\n"+test.endpoint)
			if got := strings.TrimSpace(spell(clientconfig.InUse(loaded.Networks, azure.New()))); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// Names in no zone of the catalogue give way to a zone that holds them; a policy
// for a privatelink zone sends nobody here; networks add up.
func TestNetworksInUse(t *testing.T) {
	loaded := load(t, `
[networks.a]
clients = ["10.0.0.0/16"]
[networks.a.endpoints]
"api.contoso.com" = "10.0.1.4"
"x.internal.contoso.com" = "10.0.1.5"
"mydb.database.windows.net" = "10.0.1.6"
[networks.a.zones."privatelink.blob.core.windows.net"]
missing = "nxdomain"
[networks.b]
clients = ["10.1.0.0/16"]
[networks.b.endpoints]
"mydb.database.windows.net" = "10.1.1.6"
"*.contoso.net" = "10.1.1.7"
[networks.b.zones."corp.example"]
missing = "refuse"
[networks.b.zones."copy.example"]
from = ["10.20.0.4"]
[zones."internal.contoso.com"]
records = ["@ 300 IN TXT hub"]
`)
	const a, b = "=api.contoso.com .database.windows.net =.internal.contoso.com | privatelink.database.windows.net",
		".contoso.net =.copy.example .corp.example .database.windows.net =.internal.contoso.com | privatelink.database.windows.net"
	const both = "=api.contoso.com .contoso.net =.copy.example .corp.example .database.windows.net =.internal.contoso.com | privatelink.database.windows.net"
	for network, want := range map[string]string{"a": a, "b": b, "": both} {
		networks, err := clientconfig.Networks(loaded, network)
		if err != nil {
			t.Fatal(err)
		}
		if got := spell(clientconfig.InUse(networks, azure.New())); got != want {
			t.Errorf("network %q: got  %s\nwant %s", network, got, want)
		}
	}
	if _, err := clientconfig.Networks(loaded, "c"); err == nil || err.Error() != `network "c" is not defined: name one of a, b` {
		t.Errorf("an unknown network: %v", err)
	}
}

// Every public zone of the catalogue is found for a name in it, so that no service
// is forgotten.
func TestEveryRowIsForwarded(t *testing.T) {
	catalogue := azure.New()
	tried := 0
	for _, entry := range catalogue.Entries() {
		for _, pattern := range entry.PublicZones {
			if strings.HasPrefix(pattern, "privatelink") {
				continue // names of another service, whose row has the public zone
			}
			zone := strings.NewReplacer("{partitionId}", "5", "{", "", "}", "").Replace(pattern)
			zone = strings.ToLower(zone)
			name := zones.MustName("some-name." + zone)
			value := `"10.0.0.4"`
			switch _, err := catalogue.Derive(name); {
			case errors.Is(err, azure.ErrNotInCatalogue):
				continue // the row is about a few names of the zone
			case err != nil: // somebody has to look it up
				value = `{ addresses = ["10.0.0.4"], private_name = "some-name.privatelink.contoso.com" }`
			}
			text := fmt.Sprintf("[networks.n]\nclients = [\"10.0.0.0/16\"]\n[networks.n.endpoints]\n%q = %s\n", name, value)
			loaded, err := config.ParseWith(catalogue, "n.toml", []byte(text), nil)
			if err != nil {
				t.Fatal(err)
			}
			use := clientconfig.InUse(loaded.Networks, catalogue)
			tried++
			found := false
			for _, zone := range use.Zones {
				found = found || zone.Below && name.Within(zone.Name) && name != zone.Name
			}
			if !found {
				t.Errorf("%s %s: a name in %s is sent to %s", entry.Cloud, entry.Service, pattern, spell(use))
			}
		}
	}
	if tried < 200 {
		t.Errorf("tried %d zones only", tried)
	}
}
