package config_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pldns/config"
)

// machine is the file of a machine of a fleet, with more behind it.
const machine = `[listen]
dns = ["10.0.0.4"]
admin = "off"
[store]
url = "https://store.contoso.com/pldns/"
state = "store"
`

const fleetID = "3f2a91c04d17aaaabbbbccccddddeeeeffff00001111222233334444555566667"

// release is one with these files, whose main one is pldns.toml.
func release(files map[string]string) config.Releases {
	fsys := make(fstest.MapFS)
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return func(config.Store) (*config.Release, error) {
		return &config.Release{ID: fleetID, Main: "pldns.toml", Files: fsys}, nil
	}
}

// write writes files into a folder of its own, and gives the path of pldns.toml.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "pldns.toml")
}

// endpoints are the endpoints of a network, each with where it is written.
func endpoints(t *testing.T, c *config.Config, network string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for i := range c.Networks {
		if c.Networks[i].Name == network {
			for e := range c.Networks[i].Endpoints() {
				all[e.Name.String()] = fmt.Sprintf("%s at %s", e.Addresses[0], e.Place)
			}
		}
	}
	return all
}

// A release is served as if its files lay on disk, with its own patterns.
func TestReleaseAlone(t *testing.T) {
	c, err := config.LoadWith(write(t, map[string]string{"pldns.toml": machine}), release(map[string]string{
		"pldns.toml": `deadline = "1s"
files = ["./more.d/*.toml"]
[listen]
dns = [":5399"]
[cache]
entries = 7
[networks.hub]
clients = ["10.0.0.0/16"]
hosts = ["hosts.d/*.hosts"]
`,
		"more.d/a.toml":     "[networks.hub.endpoints]\n\"a.database.windows.net\" = \"10.0.1.1\"\n",
		"hosts.d/hub.hosts": "# none\n10.0.1.2 b.database.windows.net\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"a.database.windows.net": "10.0.1.1 at release 3f2a91c04d17/more.d/a.toml: networks.hub.endpoints.\"a.database.windows.net\"",
		"b.database.windows.net": "10.0.1.2 at release 3f2a91c04d17/hosts.d/hub.hosts:2",
	}
	if got := endpoints(t, c, "hub"); !maps.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got := fmt.Sprint(c.Deadline, c.Cache.Entries, c.Listen.DNS, len(c.Files), len(c.Patterns)); got != "1s 7 [10.0.0.4:53] 1 0" {
		t.Errorf("got %s", got)
	}
	if all, inHosts, released := c.Networks[0].Count(); all != 2 || inHosts != 0 || released != 2 {
		t.Errorf("%d endpoints, %d in hosts files, %d in the release", all, inHosts, released)
	}
}

// What the machine's own files say wins, key by key and name by name.
func TestOwnFilesWin(t *testing.T) {
	path := write(t, map[string]string{
		"own.toml":  "[networks.hub.endpoints]\n\"both.database.windows.net\" = \"10.9.9.9\"\n",
		"own.hosts": "10.9.9.8 lines.database.windows.net\n",
		"pldns.toml": machine + `[cache]
entries = 5
[upstreams.azure]
servers = ["10.9.0.53"]
[forward]
"." = "azure"
[networks.hub]
clients = ["10.9.0.0/16"]
hosts = ["own.hosts"]
`,
	})
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append([]byte("files = [\"own.toml\"]\n"), text...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.LoadWith(path, release(map[string]string{
		"pldns.toml": `files = ["f.toml"]
[cache]
entries = 7
bytes = "2MiB"
[upstreams.azure]
servers = ["168.63.129.16"]
max_qps = 900
[forward]
"." = "azure"
"corp.contoso.com" = "azure"
[networks.hub]
clients = ["10.0.0.0/16"]
missing = "nxdomain"
hosts = ["released.hosts"]
[networks.spoke]
clients = ["10.1.0.0/16"]
`,
		"released.hosts": "10.0.0.8 lines.database.windows.net\n10.0.0.9 release.database.windows.net\n",
		"f.toml":         "[networks.hub.endpoints]\n\"Both.database.windows.net\" = \"10.0.0.7\"\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	got := endpoints(t, c, "hub")
	for name, want := range map[string]string{"both": "10.9.9.9", "lines": "10.9.9.8", "release": "10.0.0.9"} {
		if address, _, _ := strings.Cut(got[name+".database.windows.net"], " "); address != want {
			t.Errorf("%s is %s, want %s", name, address, want)
		}
	}
	hub := &c.Networks[0]
	said := fmt.Sprintln(c.Cache.Entries, c.Cache.Bytes>>20, c.Upstreams[0].Servers[0].Text, c.Upstreams[0].MaxQPS, hub.Clients, hub.Missing,
		len(c.Forward), len(c.Networks))
	if want := "5 128 10.9.0.53 900 [10.9.0.0/16] nxdomain 2 2\n"; said != want {
		t.Errorf("got %s, want %s", said, want)
	}
}

// Where history of traffic is belongs to the machine, and so does what has secrets or
// says how it is logged; what is listed is as the release says, unless the machine does.
func TestTrafficOfARelease(t *testing.T) {
	released := release(map[string]string{"pldns.toml": `[traffic]
state = "/elsewhere/traffic.json"
top = false
[log]
format = "json"
[otlp]
endpoint = "https://collector.contoso.com"
[networks.hub]
clients = ["10.0.0.0/16"]
`})
	for own, want := range map[string]config.Traffic{
		"":                                     {},
		"[traffic]\nstate = \"/own/a.json\"\n": {State: "/own/a.json"},
		"[traffic]\ntop = true\n":              {Top: true},
	} {
		path := write(t, map[string]string{"pldns.toml": machine + own})
		c, err := config.LoadWith(path, released)
		if err != nil || c.Traffic != want || c.Log.JSON || c.OTLP != nil {
			t.Errorf("%q: %v, %+v, want %+v", own, err, c, want)
		}
		checked, err := config.CheckRelease(path, released)
		if want.Top = false; err != nil || checked.Config == nil || checked.Config.Traffic != want {
			t.Errorf("%q: %v, %+v, want %+v of the release alone", own, err, checked.Faults, want)
		}
	}
}

// A fault of a release names the release, its file and the line.
func TestFaultOfARelease(t *testing.T) {
	path := write(t, map[string]string{"pldns.toml": machine})
	for name, row := range map[string]struct{ text, want string }{
		"value": {"\n[networks.hub]\nclients = [\"10.0.0.0/33\"]\n", "release 3f2a91c04d17/pldns.toml:3: networks.hub.clients[0]: "},
		"here": {"[networks.hub]\nclients = [\"10.0.0.0/16\"]\nlisteners = [\"10.0.0.5:53\"]\n",
			`release 3f2a91c04d17/pldns.toml:3: networks.hub.listeners[0]: listen.dns does not open "10.0.0.5:53"`},
		"syntax": {"[networks", "release 3f2a91c04d17/pldns.toml:1: "},
		"absent": {"files = [\"a.toml\"]\n[networks.hub]\nclients = [\"10.0.0.0/16\"]\n", `release 3f2a91c04d17/pldns.toml:1: files[0]: "a.toml" does not exist`},
	} {
		if _, err := config.LoadWith(path, release(map[string]string{"pldns.toml": row.text})); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %s", name, err, row.want)
		}
	}
}

// Without a release, the machine's own file is served as it is, if there is a store.
func TestNoReleaseYet(t *testing.T) {
	none := func(config.Store) (*config.Release, error) { return nil, nil }
	c, err := config.LoadWith(write(t, map[string]string{"pldns.toml": machine}), none)
	if err != nil || len(c.Networks) != 0 || c.Release != nil || c.Store == nil {
		t.Errorf("%v, %+v", err, c)
	}
}

// What is collected for a release is what was read, but for the tables of the machine,
// and says the same in the same lines.
func TestCollect(t *testing.T) {
	main := "files = [\"more.d/*.toml\"]\n" + machine + `
# the hub
[networks.hub]
clients = ["10.0.0.0/16"]
hosts = ["hub.hosts"]
[traffic]
state = "/var/lib/pldns/traffic.json"
top = false
`
	files := map[string]string{
		"pldns.toml": main, "more.d/a.toml": "[networks.hub.endpoints]\n\"a.database.windows.net\" = \"10.0.1.1\"\n",
		"hub.hosts": "10.0.1.2 b.database.windows.net\n", "not-named.toml": "x = 1",
	}
	c, err := config.Collect(write(t, files))
	if err != nil || len(c.Faults) > 0 {
		t.Fatal(err, c.Faults)
	}
	if got := slices.Sorted(maps.Keys(c.Files)); c.Main != "pldns.toml" || !slices.Equal(got, []string{"hub.hosts", "more.d/a.toml", "pldns.toml"}) {
		t.Fatalf("main %s, files %q", c.Main, got)
	}
	text := string(c.Files["pldns.toml"])
	if strings.Contains(text, "store") || strings.Contains(text, "listen") || strings.Contains(text, "traffic.json") ||
		!strings.Contains(text, "top = false") || strings.Count(text, "\n") != strings.Count(main, "\n") ||
		!strings.Contains(text, "# the hub") {
		t.Errorf("the main file is\n%s", text)
	}
	released := make(map[string]string)
	for name, data := range c.Files {
		released[name] = string(data)
	}
	loaded, err := config.LoadWith(write(t, map[string]string{"pldns.toml": machine}), release(released))
	if err != nil || len(endpoints(t, loaded, "hub")) != 2 {
		t.Errorf("%v", err)
	}
}

// What lies outside the folder of the main file cannot be on other machines.
func TestCollectOutside(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside.hosts")
	if err := os.WriteFile(outside, []byte("10.0.1.2 b.database.windows.net\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{outside, "../up.hosts"} {
		path := write(t, map[string]string{
			"pldns.toml": "[networks.hub]\nclients = [\"10.0.0.0/16\"]\nhosts = [" + fmt.Sprintf("%q", name) + "]\n",
		})
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), "..", "up.hosts"), []byte("10.0.1.3 c.database.windows.net\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Collect(path); err == nil || !strings.Contains(err.Error(), "cannot be in a release: move it below") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A network of a release that learns from what the machine does not define is told so,
// unless others of the fleet can publish it.
func TestReleaseLearnsFromElsewhere(t *testing.T) {
	etcd := strings.Replace(machine, `url = "https://store.contoso.com/pldns/"`, `etcd = ["https://10.0.0.7:2379"]`, 1)
	const vnet = "/subscriptions/6f1c2a9e-0b7d-4c55-9d1e-2f3a4b5c6d7e/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub"
	for _, test := range []struct{ machine, from, want string }{
		{etcd, `from = ["corp"], `, ""},
		{etcd, "", `add from = ["NAME"]`},
		{machine, `from = ["corp"], `, "nothing is learned from [azure.corp]"},
		{machine, "", `add from = ["NAME"]`},
	} {
		text := fmt.Sprintf("[networks.hub]\nclients = [\"10.0.0.0/16\"]\nazure = { %svnets = [%q] }\n", test.from, vnet)
		c, err := config.LoadWith(write(t, map[string]string{"pldns.toml": test.machine}), release(map[string]string{"pldns.toml": text}))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(c.Warnings); (len(c.Warnings) == 0) != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: warnings %s, want %q", test.from, got, test.want)
		}
	}
}
