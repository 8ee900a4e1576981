package azureimport_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pldns/config"
	"pldns/config/azureimport"
)

// tableOf imports a hosts file as the endpoints of network hub. The lines come from
// a zone file where they have to name a resource.
func tableOf(tb testing.TB, lines string) azureimport.Table {
	tb.Helper()
	export := azureimport.NewExport(azureimport.Options{})
	if err := export.Read(azureimport.AZ, "pe.json", strings.NewReader(asEndpoints(lines))); err != nil {
		tb.Fatal(err)
	}
	return tableIn(export.Networks(azureimport.Layout{}))
}

// tableIn is what an export comes to, as the table of network hub.
func tableIn(result *azureimport.Result) azureimport.Table {
	var mappings []azureimport.Mapping
	for _, network := range result.Networks {
		mappings = append(mappings, network.Mappings...)
	}
	return azureimport.NetworkTable("hub", mappings)
}

// asEndpoints writes lines of a name and its addresses as private endpoints.
func asEndpoints(lines string) string {
	var all []string
	for line := range strings.Lines(lines) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "*."), ".")
		all = append(all, fmt.Sprintf(`{"type":"Microsoft.Network/privateEndpoints",
			"id":"/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/pe-%s-%d",
			"customDnsConfigs":[{"fqdn":"%s","ipAddresses":["%s"]}]}`, name, len(all), fields[0], strings.Join(fields[1:], `","`)))
	}
	return "[" + strings.Join(all, ",") + "]"
}

// sqlServer is an endpoint to import.
const sqlServer = "sql.database.windows.net 10.0.0.5"

// edits are files before and after an import.
var edits = []struct {
	name, file, imported, want string
}{
	{name: "a changed address", imported: sqlServer,
		file: "[networks.hub.endpoints]\n# ours\n  \"sql.database.windows.net\"   = \"10.0.0.4\"   # the old one\n\"b.contoso.com\" = \"10.0.0.9\"\n",
		want: "[networks.hub.endpoints]\n# ours\n  \"sql.database.windows.net\"   = \"10.0.0.5\"   # the old one\n\"b.contoso.com\" = \"10.0.0.9\"\n"},
	{name: "the comment of an import is renewed", imported: sqlServer,
		file: "[networks.hub.endpoints]\n\"sql.database.windows.net\" = \"10.0.0.4\" # rg/pe-old\n",
		want: "[networks.hub.endpoints]\n\"sql.database.windows.net\" = \"10.0.0.5\" # rg/pe-sql-0\n"},
	{name: "an unchanged address in another form", imported: sqlServer,
		file: "[networks.hub.endpoints]\n'SQL.database.windows.net.' = ['10.0.0.5'] # rg/pe-old\n",
		want: "[networks.hub.endpoints]\n'SQL.database.windows.net.' = ['10.0.0.5'] # rg/pe-old\n"},
	{name: "another spelling of the name", imported: "kv.vault.azure.net 10.0.0.5",
		file: "[networks.hub.endpoints]\n\"kv.privatelink.vaultcore.azure.net\" = \"10.0.0.4\"\n",
		want: "[networks.hub.endpoints]\n\"kv.privatelink.vaultcore.azure.net\" = \"10.0.0.5\"\n"},
	{name: "an inline table keeps its settings", imported: sqlServer,
		file: "[networks.hub.endpoints]\n\"sql.database.windows.net\" = { ttl = 60, addresses = [\"10.0.0.4\"] } # x\n",
		want: "[networks.hub.endpoints]\n\"sql.database.windows.net\" = { ttl = 60, addresses = \"10.0.0.5\" } # x\n"},
	{name: "a table of its own", imported: sqlServer,
		file: "[networks.hub.endpoints.\"sql.database.windows.net\"]\nttl = 60\naddresses = [\n  \"10.0.0.4\",\n]\n",
		want: "[networks.hub.endpoints.\"sql.database.windows.net\"]\nttl = 60\naddresses = \"10.0.0.5\"\n"},
	{name: "a list over several lines", imported: "dual.blob.core.windows.net 10.0.0.5 fd00::5",
		file: "[networks.hub.endpoints]\n\"dual.blob.core.windows.net\" = [\n  \"10.0.0.4\",\n  \"fd00::4\",\n]\n# end\n",
		want: "[networks.hub.endpoints]\n\"dual.blob.core.windows.net\" = [\"10.0.0.5\", \"fd00::5\"]\n# end\n"},
	{name: "a failover list that has the address", imported: sqlServer,
		file: "[networks.hub.endpoints]\n\"sql.database.windows.net\" = { addresses = [\"10.0.0.5\", \"10.1.0.5\"], probe = \"tcp:1433\" }\n",
		want: "[networks.hub.endpoints]\n\"sql.database.windows.net\" = { addresses = [\"10.0.0.5\", \"10.1.0.5\"], probe = \"tcp:1433\" }\n"},
	{name: "new names go behind the last", imported: "b.contoso.com 10.0.0.6\na.contoso.com 10.0.0.5",
		file: "[networks.hub.endpoints]\n\"z.contoso.com\" = \"10.0.0.9\"\n\n# next\n[networks.spoke]\nclients = [\"10.1.0.0/16\"]\n",
		want: "[networks.hub.endpoints]\n\"z.contoso.com\" = \"10.0.0.9\"\n\"a.contoso.com\" = \"10.0.0.5\" # rg/pe-a-1\n\"b.contoso.com\" = \"10.0.0.6\" # rg/pe-b-0\n\n# next\n[networks.spoke]\nclients = [\"10.1.0.0/16\"]\n"},
	{name: "a new table goes behind its network", imported: sqlServer,
		file: "[networks.hub]\nclients = [\n  \"10.0.0.0/16\", # hub\n]\n[networks.spoke]\nclients = [\"10.1.0.0/16\"]\n",
		want: "[networks.hub]\nclients = [\n  \"10.0.0.0/16\", # hub\n]\n\n[networks.hub.endpoints]\n\"sql.database.windows.net\" = \"10.0.0.5\" # rg/pe-sql-0\n\n[networks.spoke]\nclients = [\"10.1.0.0/16\"]\n"},
	{name: "an empty file", imported: sqlServer, file: "",
		want: "[networks.hub.endpoints]\n\"sql.database.windows.net\" = \"10.0.0.5\" # rg/pe-sql-0\n"},
	{name: "a file without a final line end", imported: sqlServer, file: "deadline = \"2s\"",
		want: "deadline = \"2s\"\n\n[networks.hub.endpoints]\n\"sql.database.windows.net\" = \"10.0.0.5\" # rg/pe-sql-0\n"},
	{name: "line ends of Windows", imported: sqlServer,
		file: "[networks.hub.endpoints]\r\n\"a.contoso.com\" = \"10.0.0.9\"\r\n",
		want: "[networks.hub.endpoints]\r\n\"a.contoso.com\" = \"10.0.0.9\"\r\n\"sql.database.windows.net\" = \"10.0.0.5\" # rg/pe-sql-0\r\n"},
	{name: "headers and brackets in strings", imported: sqlServer,
		file: "[zones.\"x.contoso.com\"]\nrecords = [\"\"\"\n[networks.hub.endpoints]\n\"\"\", '# no comment ] ']\n[networks.hub.endpoints] # here\n",
		want: "[zones.\"x.contoso.com\"]\nrecords = [\"\"\"\n[networks.hub.endpoints]\n\"\"\", '# no comment ] ']\n[networks.hub.endpoints] # here\n\"sql.database.windows.net\" = \"10.0.0.5\" # rg/pe-sql-0\n"},
	{name: "an import of nothing", imported: "",
		file: "[networks.hub.endpoints]\n\"a.contoso.com\" = \"10.0.0.9\"\n", want: "[networks.hub.endpoints]\n\"a.contoso.com\" = \"10.0.0.9\"\n"},
}

// An edit changes what changed, and nothing else; a second one changes nothing.
func TestEdit(t *testing.T) {
	for _, test := range edits {
		t.Run(test.name, func(t *testing.T) {
			table := tableOf(t, test.imported)
			got := edited(t, test.file, table)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if again := edited(t, got, table); again != got {
				t.Errorf("a second import changes something:\n%s", cmp.Diff(got, again))
			}
		})
	}
}

func edited(t *testing.T, text string, table azureimport.Table) string {
	t.Helper()
	file, err := azureimport.NewFile("pldns.toml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Edit(table); err != nil {
		t.Fatal(err)
	}
	result, err := file.Result()
	if err != nil {
		t.Fatal(err)
	}
	if (string(result) != text) != (file.Diff() != "") {
		t.Errorf("the difference is %q", file.Diff())
	}
	return string(result)
}

// A file in a form that the editor cannot handle safely is refused.
func TestEditRefuses(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"an inline table of endpoints", "[networks.hub]\nendpoints = { \"a.contoso.com\" = \"10.0.0.4\" }\n", "write it under [networks.hub.endpoints]"},
		{"an inline table of networks", "networks = { hub = { clients = [\"10.0.0.0/16\"] } }\n", "networks is an inline table"},
		{"a list of tables", "[[networks.hub.endpoints]]\n", "a list of tables"},
		{"dotted keys", "[networks.hub]\nendpoints.\"a.contoso.com\" = \"10.0.0.4\"\n", "write them under [networks.hub.endpoints]"},
		{"comments inside a list", "[networks.hub.endpoints]\n\"sql.database.windows.net\" = [\n\"10.0.0.4\", # old\n]\n", "has comments inside its list"},
		{"no TOML", "[networks.hub\n", "it is no TOML"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file, err := azureimport.NewFile("pldns.toml", []byte(test.file), nil)
			if err == nil {
				err = file.Edit(tableOf(t, "sql.database.windows.net 10.0.0.5"))
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "edit pldns.toml: ") {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// A failover list is the operator's: a new address is told, and not entered.
func TestEditLeavesFailoverLists(t *testing.T) {
	text := "[networks.hub.endpoints]\n\"sql.database.windows.net\" = { addresses = [\"10.0.0.4\", \"10.1.0.5\"], probe = \"tcp:1433\" }\n"
	file, err := azureimport.NewFile("pldns.toml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Edit(tableOf(t, "sql.database.windows.net 10.0.0.5")); err != nil {
		t.Fatal(err)
	}
	if notes := fmt.Sprint(file.Notes()); file.Changed() || !strings.Contains(notes, "change it by hand") {
		t.Errorf("changed %v, notes %s", file.Changed(), notes)
	}
}

func TestDiff(t *testing.T) {
	var text strings.Builder
	text.WriteString("[networks.hub.endpoints]\n")
	for i := range 20 {
		fmt.Fprintf(&text, "\"n%02d.contoso.com\" = \"10.0.1.%d\"\n", i, i)
	}
	file, err := azureimport.NewFile("pldns.toml", []byte(text.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Edit(tableOf(t, "n02.contoso.com 10.0.2.2\nn03.contoso.com 10.0.2.3\nx.contoso.com 10.0.0.5")); err != nil {
		t.Fatal(err)
	}
	want := `--- pldns.toml
+++ pldns.toml
@@ -1,8 +1,8 @@
 [networks.hub.endpoints]
 "n00.contoso.com" = "10.0.1.0"
 "n01.contoso.com" = "10.0.1.1"
-"n02.contoso.com" = "10.0.1.2"
+"n02.contoso.com" = "10.0.2.2"
-"n03.contoso.com" = "10.0.1.3"
+"n03.contoso.com" = "10.0.2.3"
 "n04.contoso.com" = "10.0.1.4"
 "n05.contoso.com" = "10.0.1.5"
 "n06.contoso.com" = "10.0.1.6"
@@ -19,3 +19,4 @@
 "n17.contoso.com" = "10.0.1.17"
 "n18.contoso.com" = "10.0.1.18"
 "n19.contoso.com" = "10.0.1.19"
+"x.contoso.com" = "10.0.0.5" # rg/pe-x-2
`
	if diff := cmp.Diff(want, file.Diff()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// write writes files into a new directory.
func write(tb testing.TB, files map[string]string) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// A file is replaced with its mode, behind a link too, and loads afterwards.
func TestWrite(t *testing.T) {
	dir := write(t, map[string]string{"pldns.toml": "[networks.hub]\nclients = [\"10.0.0.0/16\"]\n"})
	link := filepath.Join(dir, "link.toml")
	if err := os.Symlink("pldns.toml", link); err != nil {
		t.Fatal(err)
	}
	tables := []azureimport.Table{tableOf(t, "sql.database.windows.net 10.0.0.5")}
	edited, err := azureimport.Target{Path: link}.Edit(tables)
	if err != nil {
		t.Fatal(err)
	}
	if err := edited.Write(); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(filepath.Join(dir, "pldns.toml"))
	if err != nil || loaded.Table.Networks()[0].CountEndpoints() != 1 {
		t.Fatalf("got %+v, %v", loaded, err)
	}
	info, err := os.Lstat(filepath.Join(dir, "pldns.toml"))
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if err := edited.Write(); err == nil || !strings.Contains(err.Error(), "somebody changed it meanwhile") {
		t.Errorf("a file that changed is overwritten: %v", err)
	}
	again, err := azureimport.Target{Path: link}.Edit(tables)
	if err != nil || again.Diff != "" {
		t.Errorf("a second import gives %v and %s", err, again.Diff)
	}
}

// A file with which the configuration would not load is refused; faults that were
// there before are told only.
func TestEditChecks(t *testing.T) {
	const hub = "[networks.hub]\nclients = [\"10.0.0.0/16\"]\n"
	for _, test := range []struct {
		name       string
		files      map[string]string
		into, main string
		imported   string
		fault      string // of the refusal
		note       string
		unchanged  bool
	}{
		{name: "no such network", files: map[string]string{"pldns.toml": "[networks.spoke]\nclients = [\"10.1.0.0/16\"]\n"}, into: "pldns.toml",
			fault: "networks.hub"},
		{name: "a fault that was there", files: map[string]string{"pldns.toml": hub + "missing = \"maybe\"\n"}, into: "pldns.toml", note: "did not before"},
		{name: "no file", files: nil, into: "pldns.toml", fault: "name the main one with --config"},
		{name: "a new part", files: map[string]string{"main.toml": "files = [\"endpoints.d/*.toml\"]\n" + hub, "endpoints.d/other.toml": ""},
			main: "main.toml", into: "endpoints.d/hub.toml"},
		{name: "a part", files: map[string]string{"main.toml": "files = [\"endpoints.d/*.toml\"]\n" + hub, "endpoints.d/hub.toml": "# hub\n"},
			main: "main.toml", into: "endpoints.d/hub.toml"},
		{name: "a file that is no part", files: map[string]string{"main.toml": hub, "hub.toml": ""}, main: "main.toml", into: "hub.toml",
			fault: "add it to files there"},
		{name: "in a set already", files: map[string]string{"pldns.toml": hub + "include = [\"s\"]\n[endpoints.s]\n\"sql.privatelink.database.windows.net\" = \"10.0.0.5\"\n"},
			into: "pldns.toml", unchanged: true},
		{name: "in a set with another address", files: map[string]string{"pldns.toml": hub + "include = [\"s\"]\n[endpoints.s]\n\"sql.database.windows.net\" = \"10.0.0.4\"\n"},
			into: "pldns.toml", fault: "mapped twice"},
		{name: "in another file already", files: map[string]string{"pldns.toml": "files = [\"more.toml\"]\n" + hub, "more.toml": "[networks.hub.endpoints]\n\"sql.database.windows.net\" = \"10.0.0.5\"\n"},
			into: "pldns.toml", unchanged: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := write(t, test.files)
			target := azureimport.Target{Path: filepath.Join(dir, test.into)}
			if test.main != "" {
				target.Config = filepath.Join(dir, test.main)
			}
			edited, err := target.Edit([]azureimport.Table{tableOf(t, "sql.database.windows.net 10.0.0.5")})
			switch {
			case test.fault != "":
				if err == nil || !strings.Contains(err.Error(), test.fault) {
					t.Errorf("got %v, want %s", err, test.fault)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			if notes := strings.Join(edited.Notes, "\n"); !strings.Contains(notes, test.note) || (test.note == "") != (notes == "") {
				t.Errorf("notes %q, want %q", notes, test.note)
			}
			if test.unchanged != (edited.Diff == "") {
				t.Errorf("difference %s", edited.Diff)
			}
			if err := edited.Write(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
