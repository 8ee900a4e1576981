package azure_test

import (
	"slices"
	"testing"

	"pldns/zones"
	"pldns/zones/azure"
)

// Names are told by the name of a resource only where Azure makes them so.
func TestResourceNames(t *testing.T) {
	catalogue := azure.New()
	for _, test := range []struct {
		cloud             azure.Cloud
		kind, group, name string
		want              []string
	}{
		{azure.Public, "Microsoft.KeyVault/vaults", "vault", "kv1", []string{"kv1.vault.azure.net"}},
		{azure.Public, "microsoft.keyvault/VAULTS", "Vault", "kv1", []string{"kv1.vault.azure.net"}},
		{azure.USGov, "Microsoft.Sql/servers", "sqlServer", "s", []string{"s.database.usgovcloudapi.net"}},
		{azure.China, "Microsoft.Storage/storageAccounts", "blob", "a", []string{"a.blob.core.chinacloudapi.cn"}},
		{azure.Public, "Microsoft.Storage/storageAccounts", "blob_secondary", "a", []string{"a-secondary.blob.core.windows.net"}},
		{azure.Public, "Microsoft.Synapse/workspaces", "SqlOnDemand", "ws", []string{"ws-ondemand.sql.azuresynapse.net"}},
		{azure.Public, "Microsoft.Synapse/workspaces", "Sql", "ws", []string{"ws.sql.azuresynapse.net"}},
		{azure.Public, "Microsoft.EventHub/namespaces", "namespace", "n", []string{"n.servicebus.windows.net"}},
		{azure.Public, "Microsoft.SignalRService/SignalR", "signalr", "s", []string{"s.service.signalr.net"}},
		{azure.Public, "Microsoft.Batch/batchAccounts", "batchAccount", "b1", nil},
		{azure.Public, "Microsoft.Databricks/workspaces", "databricks_ui_api", "dbw", nil},
		{azure.Public, "Microsoft.Synapse/privateLinkHubs", "Web", "hub", nil},
		{azure.Public, "Microsoft.Web/sites", "sites", "app", nil},
		{azure.Public, "Microsoft.DocumentDB/databaseAccounts", "Sql", "c", nil},
		{azure.Public, "Microsoft.Storage/storageAccounts", "web", "a", nil},
		{azure.Public, "Microsoft.KeyVault/vaults", "vault", "no name", nil},
		{azure.Public, "Microsoft.KeyVault/vaults", "vault", "", nil},
		{"", "Microsoft.KeyVault/vaults", "vault", "kv1", nil},
	} {
		var got []string
		for _, name := range catalogue.ResourceNames(test.cloud, test.kind, test.group, test.name) {
			got = append(got, name.String())
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s %s %s of %s: %v, want %v", test.cloud, test.kind, test.group, test.name, got, test.want)
		}
	}
}

// Every row that says how a resource is named fits a row of the catalogue.
func TestResourceRowsNameSomething(t *testing.T) {
	catalogue := azure.New()
	for _, entry := range catalogue.Entries() {
		for _, name := range catalogue.ResourceNames(entry.Cloud, entry.ResourceType, entry.Subresource, "contoso") {
			if match, err := catalogue.Derive(name); err != nil || match.Private.IsZero() {
				t.Errorf("%s of %s %s: %v", name, entry.ResourceType, entry.Subresource, err)
			}
		}
	}
}

// A wildcard is a customer's own only where the labels below it are.
func TestCustomerWildcards(t *testing.T) {
	catalogue := azure.New()
	for name, want := range map[string]bool{
		"*.calmwater-75a475e8.privatelink.uksouth.azurecontainerapps.io": true,
		"*.privatelink.uksouth.azurecontainerapps.io":                    false,
		"*.guid.inference.westeurope.privatelink.api.azureml.ms":         true,
		"*.inference.westeurope.privatelink.api.azureml.ms":              false,
		"*.privatelink.api.azureml.ms":                                   false,
		"*.privatelink.blob.core.windows.net":                            false,
		"*.scm.privatelink.azurewebsites.net":                            false,
		"app.env.privatelink.uksouth.azurecontainerapps.io":              false,
		"*.env.uksouth.azurecontainerapps.io":                            false,
	} {
		if got := catalogue.IsCustomerWildcard(zones.MustName(name)); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
