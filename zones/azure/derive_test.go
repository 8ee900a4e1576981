package azure_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"pldns/zones"
	"pldns/zones/azure"
)

// Every line of testdata/derive.txt is a public name, its private name, and the
// zone that holds it.
func TestDerive(t *testing.T) {
	vectors, err := os.ReadFile("testdata/derive.txt")
	if err != nil {
		t.Fatal(err)
	}
	catalogue := azure.New()
	for line := range strings.Lines(string(vectors)) {
		row := strings.Fields(line)
		if len(row) == 0 || row[0] == "#" {
			continue
		}
		if len(row) != 3 {
			t.Fatalf("line %q has %d names, want 3", line, len(row))
		}
		match, err := catalogue.Derive(zones.MustName(row[0]))
		if err != nil {
			t.Error(err)
			continue
		}
		if match.Private.String() != row[1] || match.Zone.String() != row[2] {
			t.Errorf("%s is private as %s in %s, want %s in %s", row[0], match.Private, match.Zone, row[1], row[2])
		}
		if match.Public.String() != row[0] {
			t.Errorf("%s comes back as %s", row[0], match.Public)
		}
	}
}

// The row that decided is what "pldns catalog NAME" shows, and a superseded one
// never decides where a current one can.
func TestDeriveNamesTheRow(t *testing.T) {
	catalogue := azure.New()
	for name, want := range map[string]string{
		"acct.blob.core.windows.net":               "public Storage account blob",
		"acct-secondary.blob.core.windows.net":     "public Storage account blob_secondary",
		"scadvisorcontentpl.blob.core.windows.net": "public Azure Monitor private link scope azuremonitor",
		"es1.blob.storage.azure.net":               "public Azure Elastic SAN volumegroup",
		"w-ondemand.sql.azuresynapse.net":          "public Azure Synapse Analytics SqlOnDemand",
		"mi1.abc123.database.windows.net":          "public Azure SQL Managed Instance managedInstance",
		"hp1.afdfp-rdgateway.wvd.azure.us":         "usgov Azure Virtual Desktop connection",
		"contoso.redis.cache.chinacloudapi.cn":     "china Azure Cache for Redis redisCache",
	} {
		match, err := catalogue.Derive(zones.MustName(name))
		if err != nil {
			t.Error(err)
			continue
		}
		e := match.Entry
		if got := string(e.Cloud) + " " + e.Service + " " + e.Subresource; got != want || e.Legacy {
			t.Errorf("%s is decided by %s (legacy %v), want %s", name, got, e.Legacy, want)
		}
	}
}

func TestDeriveRefusals(t *testing.T) {
	catalogue := azure.New()
	for name, want := range map[string]string{
		// The private name has a part that the public one lacks.
		"ep1.westeurope.inference.ml.azure.com": "holds the id of its workspace",
		"*.westeurope.inference.ml.azure.us":    "privatelink.api.ml.azure.us",
		"abc.aznbcontent.net":                   "no private name is documented",
		"hub.prod.ext.web.purview.azure.com":    "governance portal",
		// It is an alias of something else that is private.
		"dc.services.visualstudio.com":           "global.in.ai.monitor.azure.com",
		"dc.applicationinsights.azure.com":       "global.in.ai.monitor.azure.com",
		"fog.secondary.database.windows.net":     "failover group",
		"fog.abc.secondary.database.windows.net": "failover group",
		"c-1234.hcp.westeurope.azmk8s.io":        "exists only in its private zone",
		// It is a zone and not a name in it.
		"database.windows.net":           "it is the zone itself",
		"sql.azuresynapse.net":           "it is the zone itself",
		"inference.ml.azure.com":         "it is the zone itself",
		"westeurope.kusto.windows.net":   "{name}.{regionName}.kusto.windows.net",
		"*.azurecontainerapps.io":        "{labels}.{regionName}.azurecontainerapps.io",
		"westeurope.azuredatabricks.net": "{workspace}.{shard}.azuredatabricks.net",
		// It has labels that names of the service do not have.
		"a.b.vault.azure.net":                            "{name}.vault.azure.net",
		"mi1.public.abc123.database.windows.net":         "{name}.{dnsPrefix}.database.windows.net",
		"mi1.abc123.database.chinacloudapi.cn":           "{server}.database.chinacloudapi.cn",
		"site.z123.web.core.windows.net":                 "{account}.{z}.web.core.windows.net",
		"site.zz.web.core.windows.net":                   "{account}.{z}.web.core.windows.net",
		"a.westeurope.azurestaticapps.net":               "{name}.{partitionId}.azurestaticapps.net",
		"a.b.azurewebsites.net":                          "{app}.{stamp}.azurewebsites.net",
		"contoso.management.azure-api.net":               "{name}.azure-api.net",
		"contoso.redis.azure.net":                        "{name}.{region}.redis.azure.net",
		"x.privatelink.kusto.windows.net":                "{name}.{regionName}.kusto.windows.net",
		strings.Repeat("a", 63) + ".*.kusto.windows.net": "{name}.{regionName}.kusto.windows.net",
		// It fits, and its private name does not.
		strings.Repeat(strings.Repeat("a", 57)+".", 4) + "monitor.azure.com": "255 octets",
	} {
		_, err := catalogue.Derive(zones.MustName(name))
		var refused *azure.NotDerivableError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v, want that it cannot be derived", name, err)
			continue
		}
		if !strings.Contains(refused.Reason, want) || refused.Name != zones.MustName(name) || refused.Entry.Service == "" {
			t.Errorf("%s: %v, want %q in it", name, err, want)
		}
	}
}

// What an operator reads in a report of "pldns check".
func TestNotDerivableErrorSaysWhatToDo(t *testing.T) {
	_, err := azure.New().Derive(zones.MustName("a.b.vault.azure.net"))
	want := "the private name of a.b.vault.azure.net (Azure Key Vault) cannot be derived: names there have the form {name}.vault.azure.net; " +
		"where the name is right, give private_name, as the network interface of the private endpoint or the CNAME chain of the name shows it"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestDeriveStrangers(t *testing.T) {
	catalogue := azure.New()
	for _, name := range []string{
		"api.contoso.com", "contoso.com", ".", "net", "azure.com", "windows.net", "core.windows.net",
		"portal.azure.com", "x.management.azure.com", "x.y.azure.com", // azure.com is no zone of its own
		"notdatabase.windows.net", "xdatabase.windows.net", "contoso.privatelink.snowflakecomputing.com",
		`contososql\.database.windows.net`, // one label that has a dot in it
	} {
		if _, err := catalogue.Derive(zones.MustName(name)); !errors.Is(err, azure.ErrNotInCatalogue) {
			t.Errorf("%s: %v, want ErrNotInCatalogue", name, err)
		}
	}
	if _, err := catalogue.Derive(zones.Name{}); !errors.Is(err, azure.ErrNotInCatalogue) {
		t.Errorf("no name: %v, want ErrNotInCatalogue", err)
	}
}

func TestDeriveTellsPrivateNames(t *testing.T) {
	catalogue := azure.New()
	for _, name := range []string{
		"mydb.privatelink.database.windows.net",
		"privatelink.database.windows.net",
		"i.privatelink.abc.database.windows.net",
		"x.privatelink.azure-devices.net", // a zone that IoT Central also lists as a public one
		"rdweb.privatelink-global.wvd.microsoft.com",
		"a.privatelink.fhir.azurehealthcareapis.com", // superseded
	} {
		if _, err := catalogue.Derive(zones.MustName(name)); !errors.Is(err, azure.ErrAlreadyPrivate) {
			t.Errorf("%s: %v, want ErrAlreadyPrivate", name, err)
		}
	}
}
