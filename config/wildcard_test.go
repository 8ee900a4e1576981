package config_test

import (
	"testing"

	"github.com/miekg/dns"

	"pldns/config"
	"pldns/zones"
)

// A wildcard of a privatelink zone answers where an alias leads into the zone, and
// says nothing of public names: these are the resources of everybody.
func TestWildcardOfAPrivatelinkZoneIsNotWidened(t *testing.T) {
	loaded, err := config.Parse("pldns.toml", []byte(`
[networks.hub]
clients = ["10.0.0.0/16"]
[networks.hub.endpoints]
"*.privatelink.blob.core.windows.net" = "10.20.1.99"
"*.env.privatelink.uksouth.azurecontainerapps.io" = "10.20.1.98"
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	hub, _ := loaded.Table.Network("hub")
	for name, want := range map[string]zones.Kind{
		"plain.blob.core.windows.net":                       zones.NotOurs,
		"plain.privatelink.blob.core.windows.net":           zones.Records,
		"app.env.uksouth.azurecontainerapps.io":             zones.Alias,
		"app.env.privatelink.uksouth.azurecontainerapps.io": zones.Records,
	} {
		if got := hub.Lookup(zones.MustName(name), dns.TypeA).Kind; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
