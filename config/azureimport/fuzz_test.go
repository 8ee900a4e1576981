package azureimport

import (
	"bytes"
	"compress/gzip"
	"net/netip"
	"strings"
	"testing"

	"pldns/zones"
	"pldns/zones/azure"
)

// The seeds are small, because the engine shrinks what it finds, and takes long to
// shrink a whole export.
const (
	seedEndpoint = `{"id":"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateEndpoints/e","type":"Microsoft.Network/privateEndpoints",
"location":"westeurope","customDnsConfigs":[{"fqdn":"a.database.windows.net","ipAddresses":["10.0.0.4"]}],"networkInterfaces":[{"id":"n"}],
"privateLinkServiceConnections":[{"groupIds":["sqlServer"],"privateLinkServiceConnectionState":{"status":"Approved"}}],
"subnet":{"id":"/x/virtualNetworks/v/subnets/s"}}`
	seedNIC  = `{"id":"n","ipConfigurations":[{"privateIPAddress":"10.0.0.4","privateLinkConnectionProperties":{"fqdns":["*.a.azconfig.io"]}}]}`
	seedREST = `{"id":"n","type":"microsoft.network/networkinterfaces","properties":{"privateEndpoint":{"id":"/x/privateEndpoints/e"},
"ipConfigurations":[{"properties":{"privateIPAddress":"10.0.0.4","subnet":{"id":"/x/virtualNetworks/v/subnets/s"},
"privateLinkConnectionProperties":{"fqdns":["kv.vault.azure.net"]}}}]}}`
	seedGroup = `{"id":"/x/privateEndpoints/e/privateDnsZoneGroups/g","privateDnsZoneConfigs":[{"privateDnsZoneId":"/privateDnsZones/z.contoso.com",
"recordSets":[{"recordSetName":"@","ipAddresses":["10.0.0.4"]}]}]}`
	seedRecord = `{"id":"/x/privateDnsZones/z/CNAME/w","fqdn":"w.contoso.com.","cnameRecord":{"cname":"v.contoso.com"},"metadata":{"creator":"created by private endpoint e with resource guid g"}}`
	seedRow    = `{"peId":"/x/privateEndpoints/e","name":"e","subnetId":"/x/virtualNetworks/v/subnets/s","groupIds":["vault"],"state":"Approved","privateIp":"10.0.0.4","fqdns":"[\"a.contoso.com\"]"}`
	seedValues = `{"id":"/x/privateEndpoints/e","subnet_id":"/x/virtualNetworks/v/subnets/s","private_service_connection":[{"private_ip_address":"10.0.0.4","subresource_names":["vault"]}],
"private_dns_zone_configs":[{"record_sets":[{"fqdn":"a.contoso.com","ip_addresses":["10.0.0.4"]}]}]}`
)

// fuzzRead shows that a reader refuses or takes whatever it gets, and that what it
// takes is written as TOML that says the same.
func fuzzRead(f *testing.F, kind Kind, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	catalogue := azure.New() // once, because it takes longer than an export
	origin := zones.MustName("privatelink.database.windows.net")
	f.Fuzz(func(t *testing.T, data []byte) {
		export := newExport(Options{Pending: true, Origin: origin}, catalogue)
		export.limits = limits{total: 1 << 20, element: 1 << 16, depth: 64}
		if err := export.Read(kind, "fuzz", strings.NewReader(string(data))); err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		for _, split := range []Split{Whole, ByVNet, ByLink} {
			for _, network := range export.Networks(Layout{Split: split}).Networks {
				editAgain(t, NetworkTable("n"+network.Name, network.Mappings), catalogue)
			}
		}
	})
}

// editAgain shows that a table is TOML, and that its import into itself changes
// nothing.
func editAgain(t *testing.T, table Table, catalogue *azure.Catalogue) {
	t.Helper()
	text := Render([]Table{table})
	file, err := newFile("fuzz.toml", text, nil, catalogue)
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if err := file.Edit(table); err != nil || file.Changed() {
		t.Fatalf("a second import changes something: %v\n%s", err, file.Diff())
	}
}

func FuzzAZ(f *testing.F) {
	fuzzRead(f, AZ, "["+seedEndpoint+"]", "["+seedNIC+"]", "["+seedGroup+"]["+seedRecord+"]", seedEndpoint)
}

func FuzzARM(f *testing.F) {
	fuzzRead(f, ARM, `{"value":[`+seedREST+`],"nextLink":"x"}`, "["+seedRecord+"]")
}

func FuzzGraph(f *testing.F) {
	fuzzRead(f, Graph, `{"data":[`+seedRow+`],"$skipToken":null}`, `{"data":[`+seedREST+`]}`,
		`{"data":{"columns":[{"name":"peId"},{"name":"privateIp"}],"rows":[["/x/privateEndpoints/e","10.0.0.4"]]}}`)
}

func FuzzTerraform(f *testing.F) {
	fuzzRead(f, Terraform,
		`{"format_version":"1.0","values":{"root_module":{"resources":[],"child_modules":[{"resources":[{"type":"azurerm_private_endpoint","values":`+seedValues+`}]}]}}}`,
		`{"version":4,"resources":[{"type":"azurerm_private_endpoint","instances":[{"attributes":`+seedValues+`},{"deposed":"x"}]}]}`,
		`{"version":4,"resources":[{"type":"azurerm_private_dns_a_record","instances":[{"attributes":{"fqdn":"a.contoso.com.","records":["10.0.0.4"]}}]}]}`)
}

func FuzzZoneFile(f *testing.F) {
	fuzzRead(f, DNSZone, "db 300 IN A 10.0.0.4\n* IN AAAA fd00::4\n", "$ORIGIN contoso.com.\nw CNAME db\ndb A 10.0.0.4\n", "$GENERATE 1-9 h$ A 10.0.0.$\n")
}

func FuzzHosts(f *testing.F) {
	fuzzRead(f, Hosts, "127.0.0.1 localhost\n10.0.0.4 a.database.windows.net b.contoso.com # x\nfd00::4 b.contoso.com\n")
}

func FuzzPulumi(f *testing.F) {
	fuzzRead(f, Pulumi, `{"version":3,"deployment":{"resources":[{"type":"azure-native:network:PrivateEndpoint","id":"/x/privateEndpoints/e","outputs":`+seedEndpoint+`}]}}`,
		`{"deployment":{"resources":[{"type":"azure:privatelink/endpoint:Endpoint","id":"/x/privateEndpoints/e","outputs":{"privateServiceConnection":{"privateIpAddress":"10.0.0.4"},
"customDnsConfigs":[{"fqdn":"a.contoso.com","ipAddresses":["10.0.0.4"]}]}}]}}`)
}

func FuzzAzAPI(f *testing.F) {
	fuzzRead(f, Terraform,
		`{"version":4,"resources":[{"type":"azapi_resource","instances":[{"attributes":{"type":"Microsoft.Network/privateEndpoints@2024-05-01","id":"/x/privateEndpoints/e",
"body":"{\"properties\":{\"subnet\":{\"id\":\"s\"}}}","output":{"properties":{"customDnsConfigs":[{"fqdn":"a.contoso.com","ipAddresses":["10.0.0.4"]}]}}}}]}]}`,
		`{"format_version":"1.0","prior_state":{"values":{"root_module":{"resources":[]}}},"resource_changes":[{"type":"azurerm_private_endpoint","address":"a","change":{"actions":["create"]}}]}`)
}

func FuzzDeployment(f *testing.F) {
	fuzzRead(f, ARM, `{"name":"d","properties":{"outputs":{"e":{"value":`+seedEndpoint+`}},"outputResources":[{"id":"/subscriptions/s/resourceGroups/r/providers/Microsoft.Network/privateEndpoints/f"}]}}`,
		`{"name":"d","properties":{"outputs":{"resourceId":{"value":"/subscriptions/s/resourceGroups/r/providers/Microsoft.Network/privateEndpoints/f"},
"customDnsConfigs":{"value":[{"fqdn":"a.contoso.com","ipAddresses":["10.0.0.4"]}]}},"outputResources":[]}}`)
}

func FuzzPowerShell(f *testing.F) {
	fuzzRead(f, AZ, `[{"Id":"/x/privateDnsZones/contoso.com/A/a","Name":"a","ZoneName":"contoso.com","RecordType":0,"Records":[{"Ipv4Address":"10.0.0.4"}]}]`,
		`{"Name":"l","ResourceId":"/x/privateDnsZones/contoso.com/virtualNetworkLinks/l","VirtualNetworkId":"/x/virtualNetworks/v","RegistrationEnabled":false}`)
}

func FuzzWindows(f *testing.F) {
	fuzzRead(f, Windows, `[{"HostName":"a","RecordType":"A","RecordData":{"IPv4Address":{"IPAddressToString":"10.0.0.4"}},"DistinguishedName":"DC=a,DC=contoso.com"}]`,
		"\"HostName\",\"RecordType\",\"RecordData\"\n\"a\",\"A\",\"10.0.0.4\"\n")
}

func FuzzInfoblox(f *testing.F) {
	fuzzRead(f, Infoblox, "header-arecord,address*,fqdn*\narecord,10.0.0.4,a.contoso.com\nheader-hostrecord,fqdn*,addresses\nhostrecord,b.contoso.com,\"10.0.0.4,10.0.0.5\"\n")
}

func FuzzDnsmasq(f *testing.F) {
	fuzzRead(f, Dnsmasq, "address=/a.contoso.com/10.0.0.4\nhost-record=b.contoso.com,10.0.0.5,fd00::5,60\ncname=c.contoso.com,b.contoso.com\n")
}

func FuzzUnbound(f *testing.F) {
	fuzzRead(f, Unbound, "server:\n local-zone: \"a.contoso.com.\" redirect\n local-data: \"a.contoso.com. 10 IN A 10.0.0.4\"\n")
}

func FuzzCoreDNS(f *testing.F) {
	fuzzRead(f, CoreDNS, ". {\n hosts {\n 10.0.0.4 a.contoso.com\n fallthrough\n }\n}\n")
}

func FuzzGzip(f *testing.F) {
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, _ = w.Write([]byte("10.0.0.4 a.contoso.com\n"))
	_ = w.Close()
	fuzzRead(f, Hosts, compressed.String())
}

// FuzzEdit shows that an edit of any file either is refused or changes endpoints
// only, and that a second one changes nothing.
func FuzzEdit(f *testing.F) {
	for _, text := range []string{
		"[networks.hub]\nclients = [\"10.0.0.0/16\"] # hub\n\n[networks.hub.endpoints]\n\"a.contoso.com\" = \"10.0.0.4\" # rg/pe\n",
		"[networks.hub.endpoints]\n\"sql.database.windows.net\" = { addresses = [\"10.0.0.4\"], ttl = 60 } # x\n",
		"networks.hub.endpoints = {}\n", "[[networks]]\n", "[networks.hub.endpoints.\"sql.database.windows.net\"]\naddresses = '''10.0.0.4'''\n",
		"[networks]\nhub.endpoints.'sql.database.windows.net' = \"10.0.0.4\"\r\n", "\"networks\".'hub' . endpoints.\"a\\u002eb\" = [ # x\n]",
	} {
		f.Add([]byte(text))
	}
	catalogue := azure.New()
	addr := netip.MustParseAddr
	table := NetworkTable("hub", []Mapping{
		{Name: zones.MustName("kv.vault.azure.net"), id: zones.MustName("kv.privatelink.vaultcore.azure.net"),
			Addresses: []netip.Addr{addr("10.0.0.6"), addr("fd00::6")}, Source: "rg/kv"},
		{Name: zones.MustName("sql.database.windows.net"), id: zones.MustName("sql.privatelink.database.windows.net"),
			Addresses: []netip.Addr{addr("10.0.0.5")}, Source: "rg/sql"},
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		first, ok := tryEdit(data, table, catalogue)
		if !ok {
			return
		}
		if second, ok := tryEdit(first, table, catalogue); !ok || string(second) != string(first) {
			t.Errorf("%q becomes %q, and then %v %q", data, first, ok, second)
		}
	})
}

func tryEdit(data []byte, table Table, catalogue *azure.Catalogue) ([]byte, bool) {
	file, err := newFile("pldns.toml", data, nil, catalogue)
	if err != nil || file.Edit(table) != nil {
		return nil, false
	}
	result, err := file.Result()
	return result, err == nil
}
