package azure_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pldns/zones"
	"pldns/zones/azure"
)

func TestEntries(t *testing.T) {
	rows, table := make(map[azure.Cloud]int), make(map[azure.Cloud]int)
	private := make(map[string]bool)
	odd := regexp.MustCompile(`\[|\bD\d\d\b`) // references that a reader cannot follow
	for _, e := range azure.New().Entries() {
		rows[e.Cloud]++
		private[e.PrivateZone] = true
		if e.Service == "" || e.ResourceType == "" || e.Subresource == "" || e.PrivateZone == "" || e.Source == "" || e.Date == "" || len(e.PublicZones) == 0 {
			t.Errorf("a field of %+v is empty", e)
		}
		if odd.MatchString(e.Notes) {
			t.Errorf("notes %q", e.Notes)
		}
		if e.Source == "table" && (e.Legacy != (e.Date < "2026") || e.Observed) {
			t.Errorf("%s of %s is from %s and legacy is %v", e.PrivateZone, e.Cloud, e.Date, e.Legacy)
		}
		if e.Source != "table" && e.Legacy == e.Observed {
			t.Errorf("%s of %s is not from the table, and neither legacy nor observed", e.PrivateZone, e.Cloud)
		}
		if e.Source == "table" {
			table[e.Cloud]++
		}
	}
	if table[azure.Public] != 140 || table[azure.USGov] != 76 || table[azure.China] != 48 {
		t.Errorf("%v rows of the table, want 140, 76 and 48", table)
	}
	if rows[azure.Public] != 148 || rows[azure.USGov] != 80 || rows[azure.China] != 59 || len(private) != 210 {
		t.Errorf("%v rows and %d private zones, want 148, 80 and 59 rows and 210 zones", rows, len(private))
	}
}

// Whoever is given rows may do with them as they like.
func TestEntriesBelongToTheCaller(t *testing.T) {
	catalogue := azure.New()
	for _, e := range catalogue.Entries() {
		e.PublicZones[0] = "overwritten"
	}
	if found := catalogue.Find("overwritten"); len(found) != 0 {
		t.Errorf("%d rows changed", len(found))
	}
}

func TestFind(t *testing.T) {
	catalogue := azure.New()
	for text, want := range map[string]int{
		"key vault":                    4, // vaults in three clouds, and Managed HSM
		"PRIVATELINK.AZURECR.IO":       3,
		"Microsoft.Kusto/Clusters":     5,
		"browser_authentication":       3,
		"vault.usgovcloudapi.net":      1,
		"no such service in any cloud": 0,
	} {
		if got := catalogue.Find(text); len(got) != want {
			t.Errorf("%q: %d rows, want %d", text, len(got), want)
		}
	}
}

// fill puts something in the place of every placeholder.
var fill = strings.NewReplacer("{regionName}", "westeurope", "{regionCode}", "we", "{region}", "westeurope", "{dnsPrefix}", "abc123",
	"{partitionId}", "2", "{subzone}", "sub", "{cachename}", "cache", "{workspaceName}", "w")

// The documented table is the measure: x.PUBLIC is in PRIVATE for every pair of
// every current row, but for these, where the table says less than is so.
func TestEveryCurrentRowDerives(t *testing.T) {
	exceptions := map[string]string{
		"inference.ml.azure.com privatelink.api.azureml.ms":                                                       "the private name holds the id of a workspace",
		"inference.ml.azure.us privatelink.api.ml.azure.us":                                                       "the private name holds the id of a workspace",
		"inference.ml.azure.cn privatelink.api.ml.azure.cn":                                                       "the private name holds the id of a workspace",
		"aznbcontent.net privatelink.notebooks.azure.net":                                                         "no private record is documented",
		"aznbcontent.net privatelink.notebooks.usgovcloudapi.net":                                                 "no private record is documented",
		"aznbcontent.net privatelink.notebooks.chinacloudapi.cn":                                                  "no private record is documented",
		"services.visualstudio.com privatelink.monitor.azure.com":                                                 "an alias of a name under monitor.azure.com",
		"applicationinsights.azure.com privatelink.monitor.azure.com":                                             "an alias of a name under monitor.azure.com",
		"azure.com privatelink.azure.com":                                                                         "management.azure.com is the only name",
		"azuredatabricks.net privatelink.azuredatabricks.net":                                                     "names have two labels",
		"databricks.azure.us privatelink.databricks.azure.us":                                                     "names have two labels",
		"azurecontainerapps.io privatelink.westeurope.azurecontainerapps.io":                                      "the region is a label of the name",
		"westeurope.azmk8s.io sub.privatelink.westeurope.azmk8s.io":                                               "the name does not tell the operator's choice",
		"westeurope.cx.aks.containerservice.azure.us sub.privatelink.westeurope.cx.aks.containerservice.azure.us": "the name does not tell the operator's choice",
		"databricks.azure.cn privatelink.databricks.azure.cn":                                                     "names have two labels",
		"wvd.microsoft.com privatelink-global.wvd.microsoft.com":                                                  "only initial feed discovery is global",
		"wvd.azure.us privatelink-global.wvd.azure.us":                                                            "only initial feed discovery is global",
		"wvd.azure.cn privatelink-global.wvd.azure.cn":                                                            "only initial feed discovery is global",
		"eventgrid.azure.net privatelink.ts.eventgrid.azure.net":                                                  "names end in ts.eventgrid.azure.net",
		"privatelink.azure-devices.net privatelink.azure-devices.net":                                             "it is the private zone",
		"privatelink.servicebus.windows.net privatelink.servicebus.windows.net":                                   "it is the private zone",
		"privatelink.azure-devices-provisioning.net privatelink.azure-devices-provisioning.net":                   "it is the private zone",
		"servicebus.usgovcloudapi.net privatelink.servicebus.windows.us":                                          "the zone of the Event Hubs row has the names",
		"purview.azure.com privatelink.purviewstudio.azure.us":                                                    "a name of the public cloud",
		"cache.westeurope.redisenterprise.cache.azure.net privatelink.redisenterprise.cache.azure.net":            "it is a whole name",
		"w-ondemand.sql.azuresynapse.usgovcloudapi.net privatelink.sql.azuresynapse.usgovcloudapi.net":            "it is a whole name",
	}
	catalogue := azure.New()
	used := make(map[string]bool)
	for _, e := range catalogue.Entries() {
		if e.Legacy {
			continue
		}
		zone := zones.MustName(fill.Replace(e.PrivateZone))
		for _, public := range e.PublicZones {
			public = fill.Replace(public)
			match, err := catalogue.Derive(zones.MustName("x." + public))
			if err == nil && match.Private.Within(zone) {
				continue
			}
			pair := public + " " + zone.String()
			if used[pair] = true; exceptions[pair] == "" {
				t.Errorf("x.%s: %v, %v, want it in %s", public, match.Private, err, zone)
			}
		}
	}
	for pair, reason := range exceptions {
		if !used[pair] {
			t.Errorf("%s is no exception (%s)", pair, reason)
		}
	}
}

// The way back leads to where it came from, for every public zone of the table.
func TestRoundTrip(t *testing.T) {
	catalogue := azure.New()
	derived := 0
	for _, e := range catalogue.Entries() {
		for _, public := range e.PublicZones {
			for _, host := range []string{"x.", "x.y.", "x.7.", "x.z7.", "x.scm.", "x.westeurope.data.", "*."} {
				if name, err := zones.ParseName(host + fill.Replace(public)); err == nil && checkName(t, catalogue, name) {
					derived++
				}
			}
		}
	}
	if derived < 300 {
		t.Errorf("only %d names derive", derived)
	}
}

// checkName holds whatever is derived of a name against the promises of the
// package, and reports whether anything is.
func checkName(t *testing.T, catalogue *azure.Catalogue, name zones.Name) bool {
	t.Helper()
	match, err := catalogue.Derive(name)
	if err != nil {
		var refused *azure.NotDerivableError
		if !errors.Is(err, azure.ErrNotInCatalogue) && !errors.Is(err, azure.ErrAlreadyPrivate) && !errors.As(err, &refused) {
			t.Errorf("%s: unknown error %v", name, err)
		}
		return false
	}
	if again, _ := catalogue.Derive(name); again.Private != match.Private || again.Zone != match.Zone {
		t.Errorf("%s: %s, and the second time %s", name, match.Private, again.Private)
	}
	if parsed, err := zones.ParseName(match.Private.String()); err != nil || parsed != match.Private {
		t.Errorf("%s: %s is no name: %v", name, match.Private, err)
	}
	if !match.Private.Within(match.Zone) || match.Private == match.Zone {
		t.Errorf("%s: %s is not in %s", name, match.Private, match.Zone)
	}
	if _, err := catalogue.Derive(match.Private); !errors.Is(err, azure.ErrAlreadyPrivate) {
		t.Errorf("%s: %s is not taken for private: %v", name, match.Private, err)
	}
	if held, ok := catalogue.ZoneOf(match.Private); !ok || held.Zone != match.Zone {
		t.Errorf("%s: %s is in %s, and ZoneOf says %s", name, match.Private, match.Zone, held.Zone)
	}
	publics := catalogue.PublicNames(match.Private)
	for _, public := range publics {
		if back, err := catalogue.Derive(public); err != nil || back.Private != match.Private {
			t.Errorf("%s: public name %s leads to %s: %v", match.Private, public, back.Private, err)
		}
	}
	if !slices.Contains(publics, name) && !isOneWay(name) {
		t.Errorf("%s has the public names %v, and not %s", match.Private, publics, name)
	}
	return true
}

// isOneWay reports whether a public name is among those that its private name does
// not tell, or that is not what clients ask for.
func isOneWay(name zones.Name) bool {
	for _, zone := range []string{
		"storage.azure.net", "web.core.windows.net", "web.core.usgovcloudapi.net", "web.core.chinacloudapi.cn", // z labels
		"instances.azureml.ms", "instances.azureml.us", "instances.azureml.cn", // the private names are those of the api
		"azmk8s.io", "azk8s.cn", "containerservice.azure.us", "hypervrecoverymanager.windowsazure.com", // nothing public, or nothing current
	} {
		if name.Within(zones.MustName(zone)) {
			return true
		}
	}
	return false
}

// FuzzDerive shows that no name whatever breaks a promise of the package.
func FuzzDerive(f *testing.F) {
	catalogue := azure.New()
	for _, seed := range []string{
		"contosokv.vault.azure.net", "mi1.abc123def456.database.windows.net", "site.z13.web.core.windows.net", "app.1.azurestaticapps.net",
		"*.calmwater-75a475e8.uksouth.azurecontainerapps.io", "x.privatelink.database.windows.net", "privatelink.privatelink.kusto.windows.net",
		`a\.b.monitor.azure.com`, `\255.*.database.windows.net`, "management.azure.com", "database.windows.net", ".",
		strings.Repeat("abcdefg.", 28) + "monitor.azure.com", "EP1.WestEurope.inference.ml.azure.com", "x.privatelink.a.b.azmk8s.io",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := zones.ParseName(text)
		if err != nil {
			return
		}
		checkName(t, catalogue, name)
		for _, public := range catalogue.PublicNames(name) {
			if match, err := catalogue.Derive(public); err != nil || match.Private != name {
				t.Errorf("%s: public name %s leads to %s: %v", name, public, match.Private, err)
			}
		}
		if match, ok := catalogue.ZoneOf(name); ok && !name.Within(match.Zone) {
			t.Errorf("%s is not in %s", name, match.Zone)
		}
	})
}
