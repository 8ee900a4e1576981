package azure_test

import (
	"slices"
	"testing"

	"pldns/zones"
	"pldns/zones/azure"
)

func TestZoneOf(t *testing.T) {
	catalogue := azure.New()
	for _, row := range []struct{ name, want string }{
		{"mydb.privatelink.database.windows.net", "privatelink.database.windows.net"},
		{"i.privatelink.abc.database.windows.net", "privatelink.abc.database.windows.net"},
		{"adb-1.7.privatelink.azuredatabricks.net", "privatelink.azuredatabricks.net"},
		{"management.privatelink.azure.com", "privatelink.azure.com"},
		{"rdweb.privatelink-global.wvd.microsoft.com", "privatelink-global.wvd.microsoft.com"},
		{"*.g.inference.westeurope.privatelink.api.azureml.ms", "privatelink.api.azureml.ms"},
		{"app.privatelink.5.azurestaticapps.net", "privatelink.5.azurestaticapps.net"},
		{"app.privatelink.azurestaticapps.net", "privatelink.azurestaticapps.net"},
		// The zone itself is in the zone.
		{"privatelink.database.windows.net", "privatelink.database.windows.net"},
		// Both layouts of documented sub-zones are in the parent.
		{"a.westeurope.data.privatelink.azurecr.io", "privatelink.azurecr.io"},
		{"x.scm.privatelink.azurewebsites.net", "privatelink.azurewebsites.net"},
		{"scm.privatelink.azurewebsites.net", "privatelink.azurewebsites.net"},
		{"aks1.sub.privatelink.westeurope.azmk8s.io", "privatelink.westeurope.azmk8s.io"},
		{"aks1-1234.01e40daf.privatelink.westeurope.azmk8s.io", "privatelink.westeurope.azmk8s.io"},
		// Superseded zones are still found in estates.
		{"a.privatelink.westeurope.batch.azure.com", "privatelink.westeurope.batch.azure.com"},
		{"a.westeurope.privatelink.batch.azure.com", "privatelink.batch.azure.com"},
		{"x.privatelink.search.windows.us", "privatelink.search.windows.us"},
		{"x.privatelink.kubernetesconfiguration.azure.com", "privatelink.kubernetesconfiguration.azure.com"},
		{"p.hub.privatelink.usgovvirginia.cx.aks.containerservice.azure.us", "privatelink.usgovvirginia.cx.aks.containerservice.azure.us"},
		{"x.privatelink.servicebus.windows.us", "privatelink.servicebus.windows.us"},
		// Not private, or nobody's that is known here.
		{"mydb.database.windows.net", ""},
		{"x.privatelink.snowflakecomputing.com", ""},
		{"x.privatelink.kusto.windows.net", ""},
		{"x.privatelink.one.azurestaticapps.net", ""},
		{"x.privatelink.*.kusto.windows.net", ""},
		{`x.privatelink.a\.kusto.windows.net`, ""},
		{"x.notprivatelink.database.windows.net", ""},
		{".", ""},
	} {
		name := zones.MustName(row.name)
		match, ok := catalogue.ZoneOf(name)
		switch {
		case ok != (row.want != ""):
			t.Errorf("%s: found is %v, want zone %q", name, ok, row.want)
		case ok && (match.Zone.String() != row.want || match.Private != name || !match.Public.IsZero() || match.Entry.Service == ""):
			t.Errorf("%s: %s in %s of %q, want it in %s", name, match.Private, match.Zone, match.Entry.Service, row.want)
		}
	}
	if _, ok := catalogue.ZoneOf(zones.Name{}); ok {
		t.Error("no name is in a zone")
	}
}

func TestPublicNames(t *testing.T) {
	catalogue := azure.New()
	for private, want := range map[string][]string{
		"contosokv.privatelink.vaultcore.azure.net":          {"contosokv.vault.azure.net", "contosokv.vaultcore.azure.net"},
		"mydb.privatelink.database.windows.net":              {"mydb.database.windows.net"},
		"mi1.privatelink.abc123.database.windows.net":        {"mi1.abc123.database.windows.net"},
		"app.scm.privatelink.azurewebsites.net":              {"app.scm.azurewebsites.net"},
		"acr1.westeurope.data.privatelink.azurecr.io":        {"acr1.westeurope.data.azurecr.io"},
		"*.env.privatelink.uksouth.azurecontainerapps.io":    {"*.env.uksouth.azurecontainerapps.io"},
		"web.privatelink.purviewstudio.azure.com":            {"web.purview.azure.com", "web.purviewstudio.azure.com"},
		"management.privatelink.azure.com":                   {"management.azure.com"},
		"ns.westeurope-1.privatelink.ts.eventgrid.azure.net": {"ns.westeurope-1.ts.eventgrid.azure.net"},
		"a.westeurope.service.privatelink.batch.azure.com":   {"a.westeurope.service.batch.azure.com"},
		"ws.fhir.privatelink.azurehealthcareapis.com":        {"ws.fhir.azurehealthcareapis.com"},
		"rdweb.privatelink-global.wvd.microsoft.com":         {"rdweb.wvd.microsoft.com"},
		"contoso.westeurope.privatelink.redis.azure.net":     {"contoso.westeurope.redis.azure.net"},
		"x.privatelink.search.windows.us":                    {"x.search.windows.us"},
		// What the table lacks.
		"acrg.usgovvirginia.data.privatelink.azurecr.us":      {"acrg.usgovvirginia.data.azurecr.us"},
		"c1.abc123.ro.privatelink.horizondb.azure.com":        {"c1.abc123.ro.horizondb.azure.com"},
		"api.privatelink.cloud.defender.microsoft.com":        {"api.cloud.defender.microsoft.com"},
		"x.privatelink.kubernetesconfiguration.azure.com":     {"x.kubernetesconfiguration.azure.com"},
		"p.h.privatelink.chinaeast2.cx.prod.service.azk8s.cn": nil,
		// The z label of accounts with DNS zone endpoints cannot be known.
		"acct.privatelink.blob.core.windows.net": {"acct.blob.core.windows.net"},
		"site.privatelink.web.core.windows.net":  nil,
		// These exist only in a private zone.
		"aks1-1234.01e40daf.privatelink.westeurope.azmk8s.io": nil,
		"privatelink.database.windows.net":                    nil,
		// Azure no longer leads any public name here.
		"a.privatelink.westeurope.batch.azure.com":   nil,
		"x.privatelink.fhir.azurehealthcareapis.com": nil,
		"rdweb.privatelink.wvd.microsoft.com":        nil,
		// No service has such names.
		"a.b.c.privatelink.vaultcore.azure.net": nil,
		"mydb.database.windows.net":             nil,
	} {
		var got []string
		for _, name := range catalogue.PublicNames(zones.MustName(private)) {
			got = append(got, name.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", private, got, want)
		}
	}
}
