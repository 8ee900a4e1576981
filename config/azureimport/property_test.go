package azureimport_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pldns/config"
	"pldns/config/azureimport"
	"pldns/zones"
	"pldns/zones/azure"
)

// made is an export that a generator made up, and all that it says.
type made struct {
	random    *rand.Rand
	resources []map[string]any
	names     map[string]bool // in lower case
	addresses map[netip.Addr]bool
	targets   [][2]string // type and group of connections, with the name of the resource
}

// The pools that exports are made of: right, wrong and hostile.
var (
	madeNames = []string{
		"sql%d.database.windows.net", "sql%d.privatelink.database.windows.net", "kv%d.vault.azure.net", "kv%d.vaultcore.azure.net",
		"kv%d.privatelink.vaultcore.azure.net", "a%d.z20.blob.storage.azure.net", "a%d.blob.core.windows.net", "a%d.privatelink.blob.core.windows.net",
		"*.privatelink.blob.core.windows.net", "*.env%d.westeurope.azurecontainerapps.io", "*.env%d.privatelink.westeurope.azurecontainerapps.io",
		"privatelink.blob.core.windows.net", "blob.core.windows.net", "adx%d.westeurope.kusto.windows.net", "*.westeurope.inference.ml.azure.com",
		"*.guid%d.inference.westeurope.privatelink.api.azureml.ms", "api%d.contoso.com", "api%d.privatelink.contoso.com", "*.contoso%d.com",
		"c%d.newdb.azure.com", "c%d.privatelink.newdb.azure.com", "x%d.y.vault.azure.net", "s%d.web.core.windows.net", "com", "a..b", "10.0.0.4",
		"1.2.3.4.5", "no name", "ü%d.vault.azure.net", "\n%d.contoso.com", "a\"%d.contoso.com", "", "localhost", "4.0.0.10.in-addr.arpa", "x%d.internal",
		strings.Repeat("a", 63) + ".%d.vault.azure.net", strings.Repeat(strings.Repeat("b", 50)+".", 4) + "e%d.privatelink.westeurope.azurecontainerapps.io",
		"web%d.azurewebsites.net", "web%d.scm.azurewebsites.net", "_x%d.contoso.com", "-%d.contoso.com", "management.azure.com",
	}
	madeAddresses = []string{"10.0.%d.4", "10.1.%d.4", "192.168.%d.9", "fd00::%d", "203.0.113.%d", "100.64.%d.1", "::ffff:10.0.%d.4", "127.0.0.%d", "169.254.%d.1"}
	madeTargets   = [][2]string{
		{"Microsoft.Sql/servers", "sqlServer"}, {"Microsoft.KeyVault/vaults", "vault"}, {"Microsoft.Storage/storageAccounts", "blob"},
		{"Microsoft.Batch/batchAccounts", "batchAccount"}, {"Microsoft.Synapse/workspaces", "SqlOnDemand"}, {"Microsoft.Web/sites", "sites"},
		{"Microsoft.Network/privateLinkServices", ""}, {"Microsoft.DocumentDB/databaseAccounts", "Sql"}, {"Contoso.X/xs", "x"},
	}
	madeStates = []string{"Approved", "Approved", "Approved", "Approved", "Pending", "Rejected", "Disconnected", ""}
)

func (m *made) pick(pool []string) string {
	text := pool[m.random.IntN(len(pool))]
	if strings.Contains(text, "%d") {
		return fmt.Sprintf(text, m.random.IntN(4))
	}
	return text
}

func (m *made) name() string {
	name := m.pick(madeNames)
	m.names[strings.ToLower(strings.TrimSuffix(name, "."))] = true
	return name
}

func (m *made) addr() string {
	text := m.pick(madeAddresses)
	if addr, err := netip.ParseAddr(text); err == nil {
		m.addresses[addr.Unmap()] = true
	}
	return text
}

const madeGroup = "/subscriptions/s/resourceGroups/rg%d/providers/"

// export makes an export of a dozen resources.
func export(random *rand.Rand) *made {
	m := &made{random: random, names: make(map[string]bool), addresses: make(map[netip.Addr]bool)}
	for i := range 3 + random.IntN(5) {
		m.endpoint(i)
	}
	for range random.IntN(6) {
		m.record()
	}
	for i := range random.IntN(4) {
		m.resources = append(m.resources, map[string]any{
			"type": "Microsoft.Network/privateDnsZones/virtualNetworkLinks", "registrationEnabled": false,
			"id":             m.zone() + fmt.Sprintf("/virtualNetworkLinks/l%d", i),
			"virtualNetwork": map[string]any{"id": fmt.Sprintf(madeGroup, 1) + fmt.Sprintf("Microsoft.Network/virtualNetworks/v%d", random.IntN(3))},
		})
	}
	random.Shuffle(len(m.resources), func(i, j int) { m.resources[i], m.resources[j] = m.resources[j], m.resources[i] })
	return m
}

func (m *made) zone() string {
	zone := m.pick([]string{"privatelink.database.windows.net", "privatelink.blob.core.windows.net", "contoso.com", "privatelink.vaultcore.azure.net"})
	return fmt.Sprintf(madeGroup, m.random.IntN(2)) + "Microsoft.Network/privateDnsZones/" + zone
}

// endpoint makes an endpoint, and perhaps its interface and its zone group.
func (m *made) endpoint(i int) {
	target := madeTargets[m.random.IntN(len(madeTargets))]
	resource := fmt.Sprintf("res%d", m.random.IntN(3))
	m.targets = append(m.targets, [2]string{target[0] + "|" + target[1], resource})
	id := fmt.Sprintf(madeGroup, m.random.IntN(2)) + fmt.Sprintf("Microsoft.Network/privateEndpoints/pe%d", i)
	list := func(of func() any) (all []any) {
		for range m.random.IntN(3) {
			all = append(all, of())
		}
		return all
	}
	if m.random.IntN(8) > 0 {
		m.resources = append(m.resources, map[string]any{
			"id": id, "type": "Microsoft.Network/privateEndpoints", "location": m.pick([]string{"westeurope", "chinaeast2", ""}),
			"provisioningState": m.pick([]string{"Succeeded", "Succeeded", "Succeeded", "Failed", "Deleting"}),
			"subnet":            map[string]any{"id": fmt.Sprintf(madeGroup, 1) + fmt.Sprintf("Microsoft.Network/virtualNetworks/v%d/subnets/s", m.random.IntN(2))},
			"customDnsConfigs":  list(func() any { return map[string]any{"fqdn": m.name(), "ipAddresses": []string{m.addr()}} }),
			"ipConfigurations":  list(func() any { return map[string]any{"privateIPAddress": m.addr()} }),
			"privateLinkServiceConnections": []any{map[string]any{
				"groupIds": []string{target[1]}, "privateLinkServiceId": fmt.Sprintf(madeGroup, 1) + target[0] + "/" + resource,
				"privateLinkServiceConnectionState": map[string]any{"status": m.pick(madeStates)},
			}},
		})
	}
	if m.random.IntN(2) > 0 {
		m.resources = append(m.resources, map[string]any{
			"id": id + ".nic", "type": "Microsoft.Network/networkInterfaces", "privateEndpoint": map[string]any{"id": id},
			"ipConfigurations": list(func() any {
				names := list(func() any { return m.name() })
				return map[string]any{"privateIPAddress": m.addr(), "privateLinkConnectionProperties": map[string]any{"fqdns": names}}
			}),
		})
	}
	if m.random.IntN(3) > 0 {
		m.resources = append(m.resources, map[string]any{
			"id": id + "/privateDnsZoneGroups/default", "type": "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
			"privateDnsZoneConfigs": list(func() any {
				sets := list(func() any { return map[string]any{"fqdn": m.name(), "ipAddresses": []string{m.addr()}} })
				return map[string]any{"privateDnsZoneId": m.zone(), "recordSets": sets}
			}),
		})
	}
}

// record makes a record set.
func (m *made) record() {
	name := m.name()
	r := map[string]any{
		"id": m.zone() + "/A/" + name, "type": "Microsoft.Network/privateDnsZones/A", "fqdn": name + ".", "isAutoRegistered": m.random.IntN(5) == 0,
		"aRecords": []any{map[string]any{"ipv4Address": m.addr()}},
	}
	if m.random.IntN(4) == 0 {
		r["cnameRecord"], r["aRecords"] = map[string]any{"cname": m.name()}, nil
	}
	if m.random.IntN(4) == 0 {
		r["metadata"] = map[string]any{"creator": fmt.Sprintf("created by private endpoint pe%d with resource guid x", m.random.IntN(4))}
	}
	m.resources = append(m.resources, r)
}

// Whatever an export holds, what is written of it can be loaded, and nothing of it is
// made up: every name and every address is of the export, or a name that Azure gives
// the resource.
func TestWhatIsWrittenIsGoodAndNotMadeUp(t *testing.T) {
	catalogue := azure.New()
	taken := 0
	for seed := range uint64(150) {
		m := export(rand.New(rand.NewPCG(seed, 17)))
		text, err := json.Marshal(m.resources)
		if err != nil {
			t.Fatal(err)
		}
		options := azureimport.Options{Catalogue: catalogue, AssumeApproved: seed%2 == 0, Pending: seed%3 == 0}
		read := azureimport.NewExport(options)
		if err := read.Read(azureimport.AZ, "made.json", strings.NewReader(string(text))); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, layout := range []azureimport.Layout{{}, {Split: azureimport.ByVNet, Both: true}, {Split: azureimport.ByLink, Both: true}} {
			result := read.Networks(layout)
			taken += result.Taken()
			loadsAll(t, fmt.Sprintf("seed %d, %+v", seed, layout), result)
			for _, network := range result.Networks {
				for _, mapping := range network.Mappings {
					m.isNotMadeUp(t, seed, catalogue, mapping)
				}
			}
		}
	}
	if taken < 400 {
		t.Errorf("only %d mappings were tried", taken)
	}
}

// loadsAll loads and builds the tables of a result.
func loadsAll(t *testing.T, what string, result *azureimport.Result) {
	t.Helper()
	text := "[networks.nobody]\nclients = [\"10.250.0.0/16\"]\n"
	var tables []azureimport.Table
	for i, network := range result.Networks {
		name := network.Name
		if name == "" {
			name = "whole"
		}
		text += fmt.Sprintf("[networks.%s]\nclients = [\"10.%d.0.0/16\"]\n", name, i)
		tables = append(tables, azureimport.NetworkTable(name, network.Mappings))
	}
	text += string(azureimport.Render(tables))
	if _, err := config.Parse("imported.toml", []byte(text), nil); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, text)
	}
	for _, gap := range result.Gaps {
		if gap.Reason == azureimport.Refused && strings.Contains(gap.Text, "does not take the table") {
			t.Fatalf("%s: %s", what, gap.Text)
		}
	}
}

// isNotMadeUp shows where a mapping comes from.
func (m *made) isNotMadeUp(t *testing.T, seed uint64, catalogue *azure.Catalogue, mapping azureimport.Mapping) {
	t.Helper()
	for _, addr := range mapping.Addresses {
		if !m.addresses[addr] {
			t.Errorf("seed %d: %s has the address %s, which the export does not have", seed, mapping.Name, addr)
		}
	}
	said := func(name zones.Name) bool { return m.names[name.String()] }
	if said(mapping.Name) || said(mapping.Private) {
		return
	}
	if match, err := catalogue.Derive(mapping.Name); err == nil && said(match.Private) {
		return
	}
	for _, target := range m.targets {
		kind, group, _ := strings.Cut(target[0], "|")
		for _, cloud := range []azure.Cloud{azure.Public, azure.China} {
			if slices.Contains(catalogue.ResourceNames(cloud, kind, group, target[1]), mapping.Name) {
				return
			}
		}
	}
	t.Errorf("seed %d: %s is made up", seed, mapping.Name)
}
