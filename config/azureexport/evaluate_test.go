package azureexport_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

type netAddr = netip.Addr

var (
	bicepZone = regexp.MustCompile(`(?m)^resource (zone\d+) 'Microsoft.Network/privateDnsZones@[^']*' = \{\n  name: '([^']*)'`)
	bicepSet  = regexp.MustCompile(`(?ms)^resource \w+ 'Microsoft.Network/privateDnsZones/(A|AAAA)@[^']*' = \{\n  parent: (zone\d+)\n  name: '([^']*)'(.*?)^\}`)
	hclZone   = regexp.MustCompile(`(?m)^resource "azurerm_private_dns_zone" "(zone\d+)" \{\n  name += "([^"]*)"`)
	hclSet    = regexp.MustCompile(`(?ms)^resource "azurerm_private_dns_(a|aaaa)_record" "\w+" \{\n  name += "([^"]*)"\n  zone_name += azurerm_private_dns_zone\.(zone\d+)\.name(.*?)^\}`)
	address   = regexp.MustCompile(`['"]([0-9a-f.:]+)['"]`)
)

// evaluated are the record sets that a Bicep or Terraform file makes, as az network
// private-dns lists them: a stand-in for a deployment, which takes Azure.
func evaluated(t *testing.T, text string) string {
	t.Helper()
	names := make(map[string]string)
	for _, found := range append(bicepZone.FindAllStringSubmatch(text, -1), hclZone.FindAllStringSubmatch(text, -1)...) {
		names[found[1]] = found[2]
	}
	var sets []map[string]any
	add := func(symbol, name, qtype, body string) {
		var addrs []string
		for _, found := range address.FindAllStringSubmatch(body, -1) {
			addrs = append(addrs, found[1])
		}
		if names[symbol] == "" || len(addrs) == 0 {
			t.Errorf("%s of %s has no zone or no address", name, symbol)
		}
		sets = append(sets, recordSet(names[symbol], name, strings.ToUpper(qtype), addrs))
	}
	for _, found := range bicepSet.FindAllStringSubmatch(text, -1) {
		add(found[2], found[3], found[1], found[4])
	}
	for _, found := range hclSet.FindAllStringSubmatch(text, -1) {
		add(found[3], found[2], found[1], found[4])
	}
	return marshal(t, sets)
}
