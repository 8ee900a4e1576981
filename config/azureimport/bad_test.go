package azureimport

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

const endpointJSON = `{"id":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/pe","type":"Microsoft.Network/privateEndpoints",%s}`

// What cannot be read is refused with what is wrong and what to do.
func TestRefused(t *testing.T) {
	shown := `{"format_version":"1.0","values":{"root_module":{"resources":[]}}}`
	for _, test := range []struct {
		name, text, want string
		kind             Kind
	}{
		{"empty", " \n", "it is empty", AZ},
		{"UTF-16 of PowerShell", "\xff\xfe[\x00]\x00", "saved as UTF-16", AZ},
		{"an error message", "ERROR: Please run 'az login'", `it begins with a message (ERROR: ...)`, AZ},
		{"a warning", "WARNING: the extension is new\n[]", "save only its standard output", AZ},
		{"colours", "\x1b[1;39m[]", "not jsonc", AZ},
		{"a spreadsheet", "PK\x03\x04\x00", "it is a zip archive", AZ},
		{"another text", "hello", `it is no JSON: export it with "-o json"`, AZ},
		{"Terraform as az", shown, "looks like an export of kind terraform", AZ},
		{"Terraform as graph", shown, "looks like an export of kind terraform", Graph},
		{"state as arm", `{"version":4,"terraform_version":"1.9.0"}`, "looks like an export of kind terraform", ARM},
		{"arm as az", `{"value":[]}`, "looks like an export of kind arm", AZ},
		{"graph as arm", `{"count":0,"data":[]}`, "looks like an export of kind graph", ARM},
		{"graph as az", `{"count":0,"data":[]}`, "looks like an export of kind graph", AZ},
		{"az as Terraform", `[]`, "lists are exports of az", Terraform},
		{"arm as Terraform", `{"value":[]}`, "looks like an export of kind arm", Terraform},
		{"something else as Terraform", `{"a":1}`, "it is no state", Terraform},
		{"a template", `{"$schema":"https://contoso.com/template.json","resources":[]}`, "deployment template", ARM},
		{"a number", `7`, "it is no JSON", AZ},
		{"a number after a list", `[] 7`, "neither a list nor an object", AZ},
		{"other resources", `[{"type":"Microsoft.Compute/virtualMachines"}]`, "its 1 resources are of other types", AZ},
		{"JSON as zone file", `[]`, "looks like JSON", DNSZone},
		{"JSON as hosts", ` {"a":1}`, "looks like JSON", Hosts},
		{"hosts as zone file", "10.0.0.4 a.contoso.com\n", "looks like an export of kind hosts", DNSZone},
		{"zone file as hosts", "$ORIGIN contoso.com.\n", "looks like an export of kind dns-zone", Hosts},
		{"zone file as az", "; zone\n@ IN SOA a. b. 1 2 3 4 5\n", "looks like an export of kind dns-zone", AZ},
		{"cut off in a list", `[{"a":1},`, "the export was cut off", AZ},
		{"cut off in a string", `[{"a":"b`, "the export was cut off", AZ},
		{"cut off in state", shown[:40], "the export was cut off", Terraform},
		{"no JSON behind a brace", `[{"a":SECRET}]`, "near byte 6: it is no valid JSON", AZ},
		{"the same key twice", `[{"id":"a","id":"b"}]`, "the same key twice", AZ},
		{"the same key twice at the top", `{"value":[],"value":[]}`, "the same key twice", ARM},
		{"an element that is no object", `["a"]`, "[0] is not an object", AZ},
		{"value is no list", `{"value":{}}`, "value is not a list", ARM},
		{"type is no string", `[{"type":7}]`, "[0].type is not a string", AZ},
		{"no id", `[{"privateLinkServiceConnections":[]}]`, "[0].id is not the id of a resource", AZ},
		{"names are no list", "[" + fmt.Sprintf(endpointJSON, `"customDnsConfigs":{}`) + "]", "[0].customDnsConfigs is not a list", AZ},
		{"no address", "[" + fmt.Sprintf(endpointJSON, `"customDnsConfigs":[{"fqdn":"a.contoso.com","ipAddresses":["x"]}]`) + "]",
			"[0].customDnsConfigs[0].ipAddresses[0] is not an IP address", AZ},
		{"hosts without an address", "# x\nlocalhost 127.0.0.1\n", "line 2: it does not begin with an IP address", Hosts},
		{"a zone file without origin", "db IN A 10.0.0.4\n", "name the zone with --origin", DNSZone},
		{"a zone file that includes", "$ORIGIN contoso.com.\n$INCLUDE /etc/passwd\n", "correct the line", DNSZone},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := NewExport(Options{}).Read(test.kind, "export", strings.NewReader(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// endless repeats a text for ever.
type endless struct {
	begin, again string
	rest         string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest == "" {
		e.rest, e.begin = e.begin+e.again, ""
	}
	n := copy(p, e.rest)
	for e.rest = e.rest[n:]; e.rest == "" && n < len(p); {
		m := copy(p[n:], e.again)
		n, e.rest = n+m, e.again[m:]
	}
	return n, nil
}

// Hostile exports end with an error, long before they need much memory.
func TestBounded(t *testing.T) {
	small := limits{total: 1 << 20, element: 300 << 10, depth: 64}
	for _, test := range []struct {
		name, begin, again, want string
		kind                     Kind
	}{
		{"an endless string", `[{"a":"`, "aaaaaaaa", "one resource of it is too large", AZ},
		{"an endless list in a resource", `[{"a":[`, "1,", "one resource of it is too large", AZ},
		{"an endless object", `[{"a":{}`, `,"a":{}`, "the same key twice", AZ},
		{"endless resources", `[`, `{"type":"x"},`, "it is too large", AZ},
		{"endless depth", ``, `[`, "nested too deeply", AZ},
		{"endless depth of objects", ``, `{"a":`, "nested too deeply", ARM},
		{"endless modules", `{"values":{"root_module":`, `{"child_modules":[`, "nested too deeply", Terraform},
		{"endless depth where nothing is read", `{"outputs":`, `[`, "nested too deeply", Terraform},
		{"endless blanks in a resource", `[{"a":1`, ` `, "blanks for too long", AZ},
		{"endless blanks", `[]`, "\n", "blanks for too long", Graph},
	} {
		t.Run(test.name, func(t *testing.T) {
			export := NewExport(Options{})
			export.limits = small
			source := &endless{begin: test.begin, again: test.again}
			err := export.Read(test.kind, "export", source)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// What Terraform has beside endpoints may be large: it is stepped over.
func TestLargeOutputsAreSkipped(t *testing.T) {
	text := `{"format_version":"1.0","values":{"outputs":{"x":[` + strings.Repeat(`"0123456789",`, 50_000) + `""]}}}`
	export := NewExport(Options{})
	export.limits = limits{total: 4 << 20, element: 16 << 10, depth: 64}
	if err := export.Read(Terraform, "state", strings.NewReader(text)); err != nil {
		t.Error(err)
	}
}

// One name with two addresses from two endpoints costs that name, and both are named
// in full.
func TestConflicts(t *testing.T) {
	const endpoint = `{"id":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/%s","type":"Microsoft.Network/privateEndpoints",
		"customDnsConfigs":[{"fqdn":"%s","ipAddresses":["%s"]}]}`
	for _, test := range []struct {
		name, first, second string
		addr                string
		want                []string
	}{
		{"the same name", "sql.database.windows.net", "SQL.database.windows.net", "10.0.0.5",
			[]string{"sql.database.windows.net has two addresses", "10.0.0.4 (/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/a of export)",
				"10.0.0.5 (/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/b of export)"}},
		{"public and private", "kv.vault.azure.net", "kv.privatelink.vaultcore.azure.net", "10.0.0.5", []string{"two addresses", "Endpoints/a of", "Endpoints/b of"}},
		{"storage accounts of one private name", "a.z20.blob.storage.azure.net", "a.z21.blob.storage.azure.net", "10.0.0.5", []string{"two addresses"}},
		{"the same address", "sql.database.windows.net", "sql.database.windows.net", "10.0.0.4", nil},
		{"two names", "sql.database.windows.net", "sql2.database.windows.net", "10.0.0.5", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			export := NewExport(Options{})
			text := "[" + fmt.Sprintf(endpoint, "a", test.first, "10.0.0.4") + "," + fmt.Sprintf(endpoint, "b", test.second, test.addr) + "," +
				fmt.Sprintf(endpoint, "c", "other.database.windows.net", "10.0.0.9") + "]"
			if err := export.Read(AZ, "export", strings.NewReader(text)); err != nil {
				t.Fatal(err)
			}
			result := export.Networks(Layout{})
			if got := fmt.Sprint(result.Networks); !strings.Contains(got, "other.database.windows.net") {
				t.Errorf("the third endpoint is lost: %s", got)
			}
			if (len(result.Conflicts) == 0) != (test.want == nil) {
				t.Fatalf("conflicts %v", result.Conflicts)
			}
			for _, want := range test.want {
				if got := result.Conflicts[0].String(); !strings.Contains(got, want) {
					t.Errorf("got %v\nwant %s", got, want)
				}
			}
			if strings.Contains(fmt.Sprint(result.Networks), "sql.database") && test.want != nil {
				t.Errorf("a name in conflict is taken: %v", result.Networks)
			}
		})
	}
}

// What an export says can break neither a line nor a comment.
func TestStrangeTextsAreHarmless(t *testing.T) {
	text := `[{"id":"/subscriptions/s/resourceGroups/r\n[x]\u2028/providers/Microsoft.Network/privateEndpoints/p\u001b[31m\"","type":"microsoft.network/privateendpoints",
		"customDnsConfigs":[{"fqdn":"a.contoso.com","ipAddresses":["10.0.0.4"]},{"fqdn":"a\"\n.contoso.com","ipAddresses":["10.0.0.4"]}]}]`
	export := NewExport(Options{})
	if err := export.Read(AZ, "export", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	result := export.Networks(Layout{})
	networks := result.Networks
	got := string(Render([]Table{NetworkTable("hub", networks[0].Mappings)}))
	want := "[networks.hub.endpoints]\n\"a.contoso.com\" = \"10.0.0.4\" # r?[x]?/p?[31m\"\n"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if notes := fmt.Sprint(result.Gaps); !strings.Contains(notes, "is no host name: left out") || strings.ContainsAny(notes, "\n\x1b") {
		t.Errorf("notes: %q", notes)
	}
}

// 10,000 endpoints and their interfaces import in one go, with progress told after
// each, and what is kept of them is small.
func TestManyEndpoints(t *testing.T) {
	const many = 10_000
	told := make(map[string]int)
	export := NewExport(Options{Progress: func(file string, read int) {
		if told[file]++; read != told[file] {
			t.Fatalf("told %s %d after %d", file, read, told[file]-1)
		}
	}})
	export.limits.element = 64 << 10 // so that nothing can depend on holding it all
	before := heapInUse()
	for name, write := range map[string]func(io.Writer, int) error{"endpoints": writeMany, "interfaces": writeManyInterfaces} {
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(write(writer, many)) }()
		if err := export.Read(AZ, name, reader); err != nil {
			t.Fatal(err)
		}
	}
	result := export.Networks(Layout{})
	if result.Taken() != many || told["endpoints"] != many || told["interfaces"] != many {
		t.Errorf("%d mappings, told of %v", result.Taken(), told)
	}
	if kept := heapInUse() - before; kept > 40<<20 {
		t.Errorf("%d MB are kept", kept>>20)
	}
	runtime.KeepAlive(export)
	runtime.KeepAlive(result)
}

// heapInUse is the memory of what can still be reached.
func heapInUse() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// writeManyInterfaces writes a list of network interfaces as the Azure command line
// does.
func writeManyInterfaces(w io.Writer, many int) error {
	for i := range many {
		begin := ","
		if i == 0 {
			begin = "["
		}
		_, err := fmt.Fprintf(w, `%s{"id":"/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/rg/providers/Microsoft.Network/networkInterfaces/pe-%d.nic",
"type":"Microsoft.Network/networkInterfaces","location":"westeurope",
"privateEndpoint":{"id":"/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/pe-%[2]d"},
"ipConfigurations":[{"privateIPAddress":"10.%[3]d.%[4]d.%[5]d","privateLinkConnectionProperties":{"groupId":"blob","fqdns":["contoso%[2]d.blob.core.windows.net"]}}]}`,
			begin, i, i>>16, i>>8&255, i&255)
		if err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "]")
	return err
}

// writeMany writes a list of endpoints as the Azure command line does.
func writeMany(w io.Writer, many int) error {
	for i := range many {
		begin := ","
		if i == 0 {
			begin = "["
		}
		_, err := fmt.Fprintf(w, `%s{"id":"/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/pe-%d",
"type":"Microsoft.Network/privateEndpoints","location":"westeurope","customDnsConfigs":[{"fqdn":"contoso%[2]d.blob.core.windows.net","ipAddresses":["10.%d.%d.%d"]}],
"privateLinkServiceConnections":[{"groupIds":["blob"],"privateLinkServiceConnectionState":{"status":"Approved"}}],
"subnet":{"id":"/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/vnet/subnets/pe"}}`,
			begin, i, i>>16, i>>8&255, i&255)
		if err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "]")
	return err
}

func BenchmarkImport(b *testing.B) {
	for b.Loop() {
		export := NewExport(Options{})
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(writeMany(writer, 1000)) }()
		if err := export.Read(AZ, "many", reader); err != nil {
			b.Fatal(err)
		}
		if result := export.Networks(Layout{}); result.Taken() != 1000 {
			b.Fatal(result.Gaps)
		}
	}
}
