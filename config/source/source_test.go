package source_test

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pldns/config"
	"pldns/config/source"
	"pldns/zones"
)

// loaded is a configuration of two files.
func loaded(t *testing.T) *config.Config {
	t.Helper()
	files := fstest.MapFS{
		"big.hosts":   {Data: []byte("# none\n10.0.1.5 db2.database.windows.net\n10.0.1.6 db3.database.windows.net\n")},
		"other.hosts": {Data: []byte("\nfd00::8 db4.database.windows.net\n10.0.1.8 db5.database.windows.net\n10.0.1.9 db4.database.windows.net\n")},
		"more.toml":   {Data: []byte("# more\n[networks.hub]\nendpoints = { \"files.blob.core.windows.net\" = [\n\"10.0.1.11\"] }\n")},
		"long.toml":   {Data: []byte("[networks.hub.endpoints]\n\"long.database.windows.net\" = \"10.0.1.12\"\n" + strings.Repeat("# long\n", 1<<18))},
	}
	c, err := config.Parse("pldns.toml", []byte(`files = ["more.toml", "long.toml"]
[networks.hub]
clients = ["10.0.0.0/16"]
hosts = ["big.hosts", "other.hosts"]
include = ["shared"]
[networks.hub.endpoints]
"DB1.database.windows.net" = "10.0.1.4"
"dbs.privatelink.database.windows.net" = "10.0.1.10"
[endpoints.shared]
"kv.vault.azure.net" = "10.0.1.7"
`), files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Files are two sources, each with how much it maps.
func TestFiles(t *testing.T) {
	c := loaded(t)
	now, failed := time.Unix(1_800_000_000, 0), errors.New("the newer one is faulty")
	files := source.Files(c, now, failed)
	if len(files) != 2 {
		t.Fatalf("there are %d sources", len(files))
	}
	for _, row := range []struct {
		source source.Source
		name   string
		want   int
	}{{files[0], "file", 5}, {files[1], "hosts", 4}} {
		set, err := row.source.Last()
		if row.source.Name() != row.name || set.Endpoints() != row.want || !set.Taken.Equal(now) || !errors.Is(err, failed) {
			t.Errorf("%s maps %d, %v", row.source.Name(), set.Endpoints(), err)
		}
	}
}

// Each mapping tells where it is from: the file and the line; in a long file in TOML,
// the table.
func TestOriginsOfFiles(t *testing.T) {
	c := source.Compose(loaded(t))
	for name, want := range map[string]string{
		"db1.database.windows.net": "pldns.toml:7", "dbs.database.windows.net": "pldns.toml:8", "kv.vault.azure.net": "pldns.toml:10",
		"db2.database.windows.net": "big.hosts:2", "db3.database.windows.net": "big.hosts:3",
		"db4.database.windows.net": "other.hosts:4", "db5.database.windows.net": "other.hosts:3",
		"files.blob.core.windows.net": "more.toml:3", "long.database.windows.net": "long.toml: networks.hub.endpoints",
	} {
		origin, known := c.Origins.Of("hub", zones.MustName(name))
		if !known || origin.String() != want {
			t.Errorf("%s is from %q, want %q", name, origin, want)
		}
	}
	if origin, known := c.Origins.Of("hub", zones.MustName("absent.database.windows.net")); known {
		t.Errorf("what is not mapped is from %s", origin)
	}
	if origin, known := (*source.Origins)(nil).Of("hub", zones.MustName("a.b")); known {
		t.Errorf("nothing knows %s", origin)
	}
}

// fixed is a source that says the same always.
type fixed struct {
	name string
	set  *source.Set
}

func (f fixed) Name() string               { return f.name }
func (f fixed) Last() (*source.Set, error) { return f.set, nil }

// learns is a source with one mapping of the hub.
func learns(t *testing.T, name, host, address string) fixed {
	t.Helper()
	endpoints, problems := config.Learn(loaded(t).Catalogue, []config.Learned{{
		Name: zones.MustName(host), Addresses: []netip.Addr{netip.MustParseAddr(address)}, Place: config.LearnedAt(name, "/resource/"+host),
	}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return fixed{name, &source.Set{Taken: time.Unix(1_800_000_000, 0), Shares: map[string]*source.Share{"hub": {Endpoints: endpoints, Count: len(endpoints)}}}}
}

// Of several sources that say something of a name, the first one counts, and a
// configuration is not changed by what is learned.
func TestAuthority(t *testing.T) {
	base := loaded(t)
	c := source.Compose(base, learns(t, "azure.a", "new.database.windows.net", "10.0.2.1"), learns(t, "azure.b", "new.database.windows.net", "10.0.2.2"),
		learns(t, "azure.c", "kv.vaultcore.azure.net", "10.0.2.3"))
	after, _, _ := c.Config.Networks[0].Count()
	if before, _, _ := base.Networks[0].Count(); after-before != 1 {
		t.Errorf("%d are added", after-before)
	}
	if network, _ := c.Config.Table.Network("hub"); network.CountEndpoints() != after {
		t.Errorf("%d are served", network.CountEndpoints())
	}
	var texts []string
	for _, d := range c.Differences {
		texts = append(texts, d.String())
	}
	want := "new.database.windows.net in network hub is 10.0.2.1 by azure.a: /resource/new.database.windows.net, seen 2027-01-15T08:00:00Z, " +
		"and would be 10.0.2.2 by azure.b: /resource/new.database.windows.net, seen 2027-01-15T08:00:00Z\n" +
		"kv.vaultcore.azure.net in network hub is 10.0.1.7 by pldns.toml:10, and would be 10.0.2.3 by azure.c: /resource/kv.vaultcore.azure.net, seen 2027-01-15T08:00:00Z"
	if got := strings.Join(texts, "\n"); got != want {
		t.Errorf("differences:\n%s\nwant:\n%s", got, want)
	}
}

// Another public name of one endpoint that says the same is no difference.
func TestAgreement(t *testing.T) {
	c := source.Compose(loaded(t), learns(t, "azure.c", "kv.vaultcore.azure.net", "10.0.1.7"))
	if len(c.Differences)+len(c.Warnings) > 0 {
		t.Errorf("warnings %v, differences %v", c.Warnings, c.Differences)
	}
}

// What tells the origins of a large hosts file takes little, and keeps nothing else of
// the configuration.
func TestOriginsTakeLittle(t *testing.T) {
	const count = 200_000
	load := func(count int) *config.Config {
		var text strings.Builder
		for i := range count {
			fmt.Fprintf(&text, "10.%d.%d.%d db-%07d.database.windows.net\n", i>>16&255, i>>8&255, i&255, i)
		}
		c, err := config.Parse("pldns.toml", []byte("[networks.hub]\nclients = [\"10.0.0.0/8\"]\nhosts = [\"big.hosts\"]\n"),
			fstest.MapFS{"big.hosts": {Data: []byte(text.String())}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	origins := source.Compose(load(count)).Origins
	after := heap()
	if each := float64(after-before) / count; after > before && each > 13 {
		t.Errorf("%.1f octets stay for the origin of a mapping", each)
	}
	if origin, _ := origins.Of("hub", zones.MustName("db-0000099.database.windows.net")); origin.String() != "big.hosts:100" {
		t.Errorf("it is from %s", origin)
	}
}
