package clientconfig_test

import (
	"net/netip"
	"path/filepath"
	"testing"

	"pldns/config"
	"pldns/config/clientconfig"
	"pldns/zones"
	"pldns/zones/azure"
)

// load reads a configuration from a text.
func load(tb testing.TB, toml string) *config.Config {
	tb.Helper()
	loaded, err := config.Parse("pldns.toml", []byte(toml), nil)
	if err != nil {
		tb.Fatal(err)
	}
	return loaded
}

// sample are the settings of one network of the sample configuration.
func sample(tb testing.TB, network string) clientconfig.Settings {
	tb.Helper()
	loaded, err := config.Load(filepath.Join("testdata", "pldns.toml"))
	if err != nil {
		tb.Fatal(err)
	}
	networks, err := clientconfig.Networks(loaded, network)
	if err != nil {
		tb.Fatal(err)
	}
	servers, err := clientconfig.Servers(loaded, networks)
	if err != nil {
		tb.Fatal(err)
	}
	return clientconfig.Settings{Network: network, Servers: servers, Use: clientconfig.InUse(networks, azure.New())}
}

// plain are settings with a server and zones of these names.
func plain(tb testing.TB, names ...string) clientconfig.Settings {
	tb.Helper()
	s := clientconfig.Settings{Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.4:53")}}
	for _, name := range names {
		parsed, err := zones.ParseName(name)
		if err != nil {
			tb.Fatal(err)
		}
		s.Use.Zones = append(s.Use.Zones, clientconfig.Zone{Name: parsed, Below: true, Apex: true})
	}
	return s
}

// output is one of the texts that can be written.
type output struct {
	kind   clientconfig.Kind
	format string
}

func (o output) String() string {
	if o.format == "" {
		return string(o.kind)
	}
	return string(o.kind) + "-" + o.format
}

// outputs are all kinds in all their formats.
func outputs() []output {
	var all []output
	for _, kind := range clientconfig.Kinds() {
		for _, format := range kind.Formats() {
			all = append(all, output{kind, format})
		}
		if kind.Formats() == nil {
			all = append(all, output{kind, ""})
		}
	}
	return all
}

// render writes a configuration that must be possible.
func render(tb testing.TB, o output, s clientconfig.Settings) string {
	tb.Helper()
	text, err := clientconfig.Render(o.kind, o.format, s)
	if err != nil {
		tb.Fatalf("%s: %v", o, err)
	}
	return string(text)
}
