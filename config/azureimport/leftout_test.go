package azureimport_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pldns/config"
	"pldns/config/azureimport"
)

// The pieces of the exports below.
const (
	goodEndpoint = `{"id":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/good","type":"Microsoft.Network/privateEndpoints",
		"customDnsConfigs":[{"fqdn":"good.database.windows.net","ipAddresses":["10.0.0.4"]}],"location":"westeurope",
		"subnet":{"id":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/hub/subnets/s"},
		"privateLinkServiceConnections":[{"groupIds":["sqlServer"],"privateLinkServiceConnectionState":{"status":"Approved"}}]}`
	leftEndpoint = `{"id":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/left","type":"Microsoft.Network/privateEndpoints",
		"location":"westeurope","provisioningState":"%s","customDnsConfigs":[%s],"ipConfigurations":[%s],
		"privateLinkServiceConnections":[{"groupIds":["%s"],"privateLinkServiceId":"/subscriptions/s/resourceGroups/r/providers/%s",
		"privateLinkServiceConnectionState":{"status":"%s"}}]}`
	leftName = `{"fqdn":"left.vault.azure.net","ipAddresses":["10.0.0.5"]}`
	leftNIC  = `{"id":"/x/nic","type":"Microsoft.Network/networkInterfaces",
		"privateEndpoint":{"id":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/left"},
		"ipConfigurations":[{"privateIPAddress":"10.0.0.5","privateLinkConnectionProperties":{"fqdns":["left.vault.azure.net"]}}]}`
	leftRecord = `{"id":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net/A/left",
		"type":"Microsoft.Network/privateDnsZones/A","fqdn":"left.privatelink.vaultcore.azure.net.","isAutoRegistered":%t,%s}`
)

func leftState(provisioning, status string) string {
	return fmt.Sprintf(leftEndpoint, provisioning, leftName, "", "vault", "Microsoft.KeyVault/vaults/left", status)
}

// leftOut is an export for every reason that something may be left out for, beside an
// endpoint that is taken. What is left out is the endpoint of left.vault.azure.net,
// or may be.
var leftOut = []struct {
	reason azureimport.Reason
	what   string
	kind   azureimport.Kind
	text   string
	layout azureimport.Layout
}{
	{azureimport.MorePages, "a token", azureimport.Graph, `{"count":1,"skip_token":"x","data":[` + goodEndpoint + `]}`, azureimport.Layout{}},
	{azureimport.MorePages, "fewer rows than there are", azureimport.Graph, `{"count":1,"total_records":2,"skip_token":null,"data":[` + goodEndpoint + `]}`, azureimport.Layout{}},
	{azureimport.MorePages, "a next link", azureimport.ARM, `{"value":[` + goodEndpoint + `],"nextLink":"https://contoso.com"}`, azureimport.Layout{}},
	{azureimport.MorePages, "a truncated result", azureimport.Graph, `{"resultTruncated":"true","data":[` + goodEndpoint + `]}`, azureimport.Layout{}},
	{azureimport.MorePages, "exactly 100 rows", azureimport.Graph, "[" + goodEndpoint + strings.Repeat(","+goodEndpoint, 99) + "]", azureimport.Layout{}},
	{azureimport.MorePages, "exactly 1,000 rows", azureimport.Graph, `{"data":[` + goodEndpoint + strings.Repeat(","+goodEndpoint, 999) + "]}", azureimport.Layout{}},
	{azureimport.Unknown, "an unknown shape", azureimport.AZ, "[" + goodEndpoint + `,{"endpoint":"left"}]`, azureimport.Layout{}},
	{azureimport.Unknown, "an unknown type that holds an endpoint", azureimport.AZ, "[" + goodEndpoint + `,{"type":"Contoso.X/xs",
		"properties":{"pe":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/left"}}]`, azureimport.Layout{}},
	{azureimport.NoName, "a name that no rule gives", azureimport.AZ,
		"[" + goodEndpoint + "," + fmt.Sprintf(leftEndpoint, "", "", `{"privateIPAddress":"10.0.0.99"}`, "batchAccount", "Microsoft.Batch/batchAccounts/b", "Approved") + "]", azureimport.Layout{}},
	{azureimport.NoName, "an address of several", azureimport.AZ,
		"[" + goodEndpoint + "," + fmt.Sprintf(leftEndpoint, "", `{"fqdn":"other.vault.azure.net","ipAddresses":["10.0.0.8"]}`, `{"privateIPAddress":"10.0.0.5"}`, "x", "y", "Approved") + "]", azureimport.Layout{}},
	{azureimport.Partial, "one zone of three", azureimport.AZ,
		"[" + goodEndpoint + "," + fmt.Sprintf(leftEndpoint, "", "", "", "account", "Microsoft.CognitiveServices/accounts/ai", "Approved") +
			`,{"id":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/left/privateDnsZoneGroups/default",
			"privateDnsZoneConfigs":[{"privateDnsZoneId":"/x/privateDnsZones/privatelink.openai.azure.com",
			"recordSets":[{"fqdn":"ai.privatelink.openai.azure.com","ipAddresses":["10.0.0.9"]}]}]}]`, azureimport.Layout{}},
	{azureimport.NoAddress, "a zone group takes the names", azureimport.AZ,
		"[" + goodEndpoint + "," + fmt.Sprintf(leftEndpoint, "", "", "", "vault", "Microsoft.KeyVault/vaults/left", "Approved") + "]", azureimport.Layout{}},
	{azureimport.BadName, "a name that is none", azureimport.AZ,
		"[" + goodEndpoint + "," + fmt.Sprintf(leftEndpoint, "", `{"fqdn":"left .vault.azure.net","ipAddresses":["10.0.0.5"]}`, "", "vault", "x", "Approved") + "]", azureimport.Layout{}},
	{azureimport.NoPrivateName, "an endpoint of machine learning", azureimport.AZ,
		"[" + goodEndpoint + "," + fmt.Sprintf(leftEndpoint, "", `{"fqdn":"e.westeurope.inference.ml.azure.com","ipAddresses":["10.0.0.5"]}`, "", "amlworkspace", "x", "Approved") + "]", azureimport.Layout{}},
	{azureimport.NotPrivate, "a public address", azureimport.AZ,
		"[" + goodEndpoint + "," + fmt.Sprintf(leftEndpoint, "", `{"fqdn":"left.vault.azure.net","ipAddresses":["203.0.113.5"]}`, "", "vault", "x", "Approved") + "]", azureimport.Layout{}},
	{azureimport.Pending, "waits for approval", azureimport.AZ, "[" + goodEndpoint + "," + leftState("Succeeded", "Pending") + "]", azureimport.Layout{}},
	{azureimport.Rejected, "was rejected", azureimport.AZ, "[" + goodEndpoint + "," + leftState("Succeeded", "Rejected") + "]", azureimport.Layout{}},
	{azureimport.Disconnected, "was disconnected", azureimport.AZ, "[" + goodEndpoint + "," + leftState("Succeeded", "Disconnected") + "]", azureimport.Layout{}},
	{azureimport.Deleting, "is being deleted", azureimport.AZ, "[" + goodEndpoint + "," + leftState("Deleting", "Approved") + "]", azureimport.Layout{}},
	{azureimport.Failed, "failed", azureimport.AZ, "[" + goodEndpoint + "," + leftState("Failed", "Approved") + "]", azureimport.Layout{}},
	{azureimport.Rejected, "and names come from the resource", azureimport.AZ,
		"[" + goodEndpoint + "," + fmt.Sprintf(leftEndpoint, "", "", "", "vault", "Microsoft.KeyVault/vaults/left", "Rejected") + "]", azureimport.Layout{}},
	{azureimport.Rejected, "and has no name", azureimport.AZ,
		"[" + goodEndpoint + "," + fmt.Sprintf(leftEndpoint, "", "", "", "x", "y", "Rejected") + "]", azureimport.Layout{}},
	{azureimport.NotSeen, "an interface alone", azureimport.AZ, "[" + goodEndpoint + "," + leftNIC + "]", azureimport.Layout{}},
	{azureimport.Planned, "is planned", azureimport.Terraform, `{"format_version":"1.0","values":{"root_module":{"resources":[
		{"type":"azurerm_private_endpoint","address":"a.good","values":{"id":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/good",
			"custom_dns_configs":[{"fqdn":"good.database.windows.net","ip_addresses":["10.0.0.4"]}]}},
		{"type":"azurerm_private_endpoint","address":"a.left","values":{"name":"left"}}]}}}`, azureimport.Layout{}},
	{azureimport.NoNetwork, "no subnet", azureimport.AZ, "[" + goodEndpoint + "," + leftState("Succeeded", "Approved") + "]", azureimport.Layout{Split: azureimport.ByVNet}},
	{azureimport.Registered, "a virtual machine registered it", azureimport.AZ,
		"[" + goodEndpoint + "," + fmt.Sprintf(leftRecord, true, `"aRecords":[{"ipv4Address":"10.0.0.5"}]`) + "]", azureimport.Layout{}},
	{azureimport.DeadAlias, "an alias of nothing", azureimport.AZ,
		"[" + goodEndpoint + "," + fmt.Sprintf(leftRecord, false, `"cnameRecord":{"cname":"nowhere.contoso.com"}`) + "]", azureimport.Layout{}},
	{azureimport.Conflicting, "two addresses", azureimport.AZ, "[" + goodEndpoint + "," + leftState("Succeeded", "Approved") + "," +
		strings.ReplaceAll(strings.ReplaceAll(leftState("Succeeded", "Approved"), "privateEndpoints/left", "privateEndpoints/twin"), "10.0.0.5", "10.0.0.6") + "]", azureimport.Layout{}},
	{azureimport.Refused, "a zone and not a name", azureimport.AZ, "[" + goodEndpoint + "," + strings.ReplaceAll(
		fmt.Sprintf(leftRecord, false, `"aRecords":[{"ipv4Address":"10.0.0.5"}]`), `"left.privatelink`, `"privatelink`) + "]", azureimport.Layout{}},
	{azureimport.Empty, "an empty list", azureimport.AZ, "[]", azureimport.Layout{}},
}

// Nothing that is left out leads to a deletion, whatever the reason: --prune either
// changes nothing at all or keeps the name, and drift does not call it gone.
func TestNothingLeftOutIsDeleted(t *testing.T) {
	const template = `[networks.hub]
clients = ["10.0.0.0/16"]
[networks.hub.endpoints]
"good.database.windows.net" = "10.0.0.4" # rg/good
"%s" = "10.0.0.5" # rg/left
"gone.database.windows.net" = "10.0.0.7" # rg/gone
`
	tried := make(map[azureimport.Reason]bool)
	for _, test := range leftOut {
		t.Run(string(test.reason)+" "+test.what, func(t *testing.T) {
			export := azureimport.NewExport(azureimport.Options{})
			if err := export.Read(test.kind, "export.json", strings.NewReader(test.text)); err != nil {
				t.Fatal(err)
			}
			result := export.Networks(test.layout)
			if !slices.ContainsFunc(result.Gaps, func(g azureimport.Gap) bool { return g.Reason == test.reason && g.Text != "" }) {
				t.Fatalf("gaps %v", result.Gaps)
			}
			tried[test.reason] = true
			left := "left.vault.azure.net"
			if test.reason == azureimport.Partial {
				left = "ai.cognitiveservices.azure.com"
			}
			before := fmt.Sprintf(template, left)

			path := filepath.Join(t.TempDir(), "pldns.toml")
			if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
			target := azureimport.Target{Path: path, Prune: &azureimport.Pruning{Result: result, Accept: 100}}
			var tables []azureimport.Table
			for _, network := range result.Networks {
				tables = append(tables, azureimport.NetworkTable("hub", network.Mappings))
			}
			edited, err := target.Edit(tables)
			var incomplete *azureimport.IncompleteError
			switch {
			case errors.As(err, &incomplete):
				if len(incomplete.Gaps) == 0 || !strings.Contains(err.Error(), incomplete.Gaps[0].Text) {
					t.Errorf("it does not say why: %v", err)
				}
			case err != nil:
				t.Fatal(err)
			case test.reason != azureimport.Refused && !strings.Contains(string(edited.Data), left):
				t.Errorf("%s is deleted:\n%s", left, edited.Diff)
			case test.reason != azureimport.Refused && strings.Contains(string(edited.Data), "gone.database"):
				t.Errorf("what is gone stays:\n%s", edited.Data)
			}

			loaded, err := config.Parse("pldns.toml", []byte(before), nil)
			if err != nil {
				t.Fatal(err)
			}
			drift := describe(export.Compare(loaded.Networks))
			if strings.Contains(drift, "gone hub "+left) && test.reason != azureimport.Refused {
				t.Errorf("drift: %s", drift)
			}
			if incomplete != nil && strings.Contains(drift, "gone ") && test.reason != azureimport.Empty {
				t.Errorf("drift of an export that is not complete: %s", drift)
			}
		})
	}
	for _, reason := range azureimport.Reasons() {
		if !tried[reason] {
			t.Errorf("no case leaves something out because of %s", reason)
		}
	}
}

// An endpoint of which nothing tells the name does not stop --prune for ever: once
// its address is mapped by hand, that mapping stays, and the rest is pruned.
func TestMappedByHandIsNoGap(t *testing.T) {
	export := azureimport.NewExport(azureimport.Options{})
	text := "[" + goodEndpoint + "," + fmt.Sprintf(leftEndpoint, "", "", `{"privateIPAddress":"10.0.0.99"}`, "", "Microsoft.Network/privateLinkServices/pls", "Approved") + "]"
	if err := export.Read(azureimport.AZ, "export.json", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	const before = `[networks.hub]
clients = ["10.0.0.0/16"]
[networks.hub.endpoints]
"good.database.windows.net" = "10.0.0.4"
"gone.database.windows.net" = "10.0.0.7"
`
	result := export.Networks(azureimport.Layout{})
	prune := &azureimport.Pruning{Result: result, Accept: 1}
	var incomplete *azureimport.IncompleteError
	if _, err := azureimport.NewFile("pldns.toml", []byte(before), prune); !errors.As(err, &incomplete) {
		t.Errorf("an address that nobody mapped: %v", err)
	}
	file, err := azureimport.NewFile("pldns.toml", []byte(before+"\"api.contoso.com\" = \"10.0.0.99\"\n"), prune)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Edit(tableIn(result)); err != nil {
		t.Fatal(err)
	}
	edited, err := file.Result()
	if err != nil || file.Refused() != nil || strings.Contains(string(edited), "gone") || !strings.Contains(string(edited), "api.contoso.com") {
		t.Errorf("%v %v\n%s", err, file.Refused(), edited)
	}
}

// Pruning removes what a complete export does not have, and brakes where that is
// much.
func TestPrune(t *testing.T) {
	const header = "[networks.hub]\nclients = [\"10.0.0.0/16\"]\n[networks.hub.endpoints]\n"
	many := header
	for i := range 300 {
		many += fmt.Sprintf("\"old%d.database.windows.net\" = \"10.0.1.%d\"\n", i, i%200+1)
	}
	few := header
	imported := ""
	for i := range 30 {
		few += fmt.Sprintf("\"sql%d.database.windows.net\" = \"10.0.1.%d\" # rg/pe-sql%[1]d-%[1]d\n", i, i)
		if i > 1 {
			imported += fmt.Sprintf("sql%d.database.windows.net 10.0.1.%d\n", i, i)
		}
	}
	for _, test := range []struct {
		name, file, imported string
		accept               int
		refused              string
		without, with        string
	}{
		{name: "two of thirty", file: few, imported: imported, without: "sql0.", with: "sql2."},
		{name: "of another resource group", file: strings.Replace(few, "rg/pe-sql0-0", "other/pe", 1), imported: imported, without: "sql1.", with: "sql0."},
		{name: "more than twenty", file: many, imported: sqlServer, refused: "would remove 300 of 300 mappings of [networks.hub.endpoints]"},
		{name: "fewer are accepted", file: many, imported: sqlServer, accept: 299, refused: "give --accept-removals 300"},
		{name: "all are accepted", file: many, imported: sqlServer, accept: 300, without: "old1."},
		{name: "own names", file: header + "\"a.contoso.com\" = \"10.0.0.9\"\n\"b.contoso.com\" = \"10.0.0.8\" # rg/pe-b\n", imported: sqlServer,
			accept: 1, without: "b.contoso.com", with: "a.contoso.com"},
	} {
		t.Run(test.name, func(t *testing.T) {
			export := azureimport.NewExport(azureimport.Options{})
			if err := export.Read(azureimport.AZ, "pe.json", strings.NewReader(asEndpoints(test.imported))); err != nil {
				t.Fatal(err)
			}
			result := export.Networks(azureimport.Layout{})
			file, err := azureimport.NewFile("pldns.toml", []byte(test.file), &azureimport.Pruning{Result: result, Accept: test.accept})
			if err != nil {
				t.Fatal(err)
			}
			if err := file.Edit(tableIn(result)); err != nil {
				t.Fatal(err)
			}
			edited, err := file.Result()
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(file.Refused()); (test.refused == "") != (file.Refused() == nil) || !strings.Contains(got, test.refused) {
				t.Errorf("refused: %s", got)
			}
			if test.refused == "" && (strings.Contains(string(edited), test.without) || !strings.Contains(string(edited), test.with)) {
				t.Errorf("got\n%s", edited)
			}
		})
	}
}

// An export of one zone prunes the names of that zone, and of no other.
func TestPruneOfAZone(t *testing.T) {
	export := azureimport.NewExport(azureimport.Options{})
	zone := "$ORIGIN privatelink.database.windows.net.\n@ IN SOA a. b. 1 2 3 4 5\nsql IN A 10.0.0.5\n"
	if err := export.Read(azureimport.DNSZone, "zone.txt", strings.NewReader(zone)); err != nil {
		t.Fatal(err)
	}
	result := export.Networks(azureimport.Layout{})
	file, err := azureimport.NewFile("pldns.toml", []byte("[networks.hub.endpoints]\n\"old.database.windows.net\" = \"10.0.0.4\"\n\"kv.vault.azure.net\" = \"10.0.0.6\"\n"),
		&azureimport.Pruning{Result: result, Accept: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Edit(tableIn(result)); err != nil {
		t.Fatal(err)
	}
	edited, err := file.Result()
	if err != nil || strings.Contains(string(edited), "old.") || !strings.Contains(string(edited), "kv.vault") {
		t.Errorf("%v\n%s", err, edited)
	}
}
