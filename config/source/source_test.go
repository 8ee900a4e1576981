package source_test

import (
	"errors"
	"net/netip"
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
	files := fstest.MapFS{"big.hosts": {Data: []byte("# none\n10.0.1.5 db2.database.windows.net\n10.0.1.6 db3.database.windows.net\n")}}
	c, err := config.Parse("pldns.toml", []byte(`
[networks.hub]
clients = ["10.0.0.0/16"]
hosts = ["big.hosts"]
include = ["shared"]
[networks.hub.endpoints]
"db1.database.windows.net" = "10.0.1.4"
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
	toml, hosts := source.Files(c, now, failed)
	for _, row := range []struct {
		source source.Source
		name   string
		want   int
	}{{toml, "file", 2}, {hosts, "hosts", 2}} {
		set, err := row.source.Last()
		if row.source.Name() != row.name || set.Endpoints() != row.want || !set.Taken.Equal(now) || !errors.Is(err, failed) {
			t.Errorf("%s maps %d, %v", row.source.Name(), set.Endpoints(), err)
		}
	}
}

// Each mapping tells where it is from: the file and its table, or the line.
func TestOriginsOfFiles(t *testing.T) {
	c := source.Compose(loaded(t))
	for name, want := range map[string]string{
		"db1.database.windows.net": "pldns.toml: networks.hub.endpoints", "db2.database.windows.net": "big.hosts:2",
		"db3.database.windows.net": "big.hosts:3", "kv.vault.azure.net": "pldns.toml: endpoints.shared",
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
	after, _ := c.Config.Networks[0].Count()
	if before, _ := base.Networks[0].Count(); after-before != 1 {
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
		"kv.vaultcore.azure.net in network hub is 10.0.1.7 by pldns.toml: endpoints.shared, and would be 10.0.2.3 by azure.c: /resource/kv.vaultcore.azure.net, seen 2027-01-15T08:00:00Z"
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
