package clientconfig_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pldns/config/clientconfig"
	"pldns/zones"
)

// What a kind cannot take is refused, with what to do.
func TestRefusals(t *testing.T) {
	with := func(s clientconfig.Settings, servers ...string) clientconfig.Settings {
		s.Servers = nil
		for _, server := range servers {
			s.Servers = append(s.Servers, netip.MustParseAddrPort(server))
		}
		return s
	}
	usual := plain(t, "contoso.com")
	var many []string
	for i := range 1001 {
		many = append(many, fmt.Sprintf("z%d.contoso.com", i))
	}
	for _, test := range []struct {
		name, kind, format string
		settings           clientconfig.Settings
		want               string
	}{
		{"kind", "bind8", "", usual, `"bind8" is no kind of client: name one of azurevpn, bind,`},
		{"format", "bind", "yaml", usual, `bind has no format "yaml": name one of zones, options`},
		{"format of one that has none", "unbound", "conf", usual, "unbound has a single format: leave --format away"},
		{"no server", "unbound", "", with(usual), "unbound needs the address of the resolver: name it with --server"},
		{"nothing in use", "unbound", "", with(clientconfig.Settings{}, "10.0.0.4:53"),
			"the configuration has neither endpoints nor zones: there is nothing to ask the resolver about"},
		{"a port in a policy table", "nrpt", "", with(usual, "10.0.0.4:5353"), "nrpt cannot send to port 5353"},
		{"a port in a VPN profile", "azurevpn", "", with(usual, "10.0.0.4:5353"), "azurevpn cannot send to port 5353"},
		{"a port in Windows DNS", "windows-dns", "", with(usual, "10.0.0.4:5353"), "windows-dns cannot send to port 5353"},
		{"IPv6 in a ruleset", "ruleset", "", with(usual, "[2001:db8::4]:53"), "ruleset cannot send to 2001:db8::4: name an IPv4 address"},
		{"seven targets", "ruleset", "", with(usual, "10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53", "10.0.0.4:53", "10.0.0.5:53", "10.0.0.6:53", "10.0.0.7:53"),
			"ruleset takes at most 6 servers, not 7"},
		{"1001 rules", "ruleset", "bicep", plain(t, many...), "ruleset takes at most 1000 zones, not 1001: write one for each network"},
		{"four servers on macOS", "macos", "", with(usual, "10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53", "10.0.0.4:53"), "macos takes at most 3 servers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text, err := clientconfig.Render(clientconfig.Kind(test.kind), test.format, test.settings)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if text != nil {
				t.Errorf("wrote %q", text)
			}
		})
	}
}

// hostile are names that a host may have and that look like syntax somewhere.
func hostile() []string {
	return []string{
		"-rf.contoso.com", "--remove.contoso.com", "_dmarc._tcp.contoso.com", "exit.contoso.com", "zone.server.include.com",
		"xn--mnchen-3ya.contoso.com", "a--b.contoso.com", "123.456.contoso.com", "eof.com", "c", "end_.-.contoso.com",
		strings.Repeat("l", 63) + "." + strings.Repeat("m", 63) + "." + strings.Repeat("n", 63) + ".com",
	}
}

// Names that are legal and look hostile are written as they are, quoted or in
// places where a name is expected, and nowhere else.
func TestHostileNamesStayNames(t *testing.T) {
	bad, good := plain(t, hostile()...), plain(t, slices.Repeat([]string{"contoso.com"}, len(hostile()))...)
	bad.Use.Private, good.Use.Private = []zones.Name{zones.MustName("_x.privatelink-.contoso.com")}, []zones.Name{zones.MustName("privatelink.contoso.com")}
	bad.Network, good.Network = "net--work_-", "network"
	for _, o := range outputs() {
		t.Run(o.String(), func(t *testing.T) {
			text := render(t, o, bad)
			for _, name := range hostile() {
				if !strings.Contains(text, name) {
					t.Errorf("%s is not there", name)
				}
			}
			// Apart from what names are made of, all is as with harmless names.
			if diff := cmp.Diff(structure(render(t, o, good)), structure(text)); diff != "" {
				t.Errorf("another structure (-harmless +hostile):\n%s", diff)
			}
		})
	}
}

// structure is a text without what names are made of.
func structure(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", r) {
			return -1
		}
		return r
	}, text)
}

// A name with a character that no host name has is refused by every kind: DNS
// allows them (RFC 2181 section 11), configuration languages give them a meaning.
func TestNamesThatAreNoHostNamesAreRefused(t *testing.T) {
	for _, name := range []string{
		`a";.contoso.com`, `a'.contoso.com`, "a\\010b.contoso.com", `a\$(id).contoso.com`, "a`id`.contoso.com", `a\;b.contoso.com`,
		`a\\b.contoso.com`, `a}.contoso.com`, `a/b.contoso.com`, `a#b.contoso.com`, `a b.contoso.com`, `<a>.contoso.com`, `*.contoso.com`,
		`a\.b.contoso.com`, `é.contoso.com`, `.`,
	} {
		for _, o := range outputs() {
			private := plain(t, "contoso.com")
			private.Use.Private = []zones.Name{plain(t, name).Use.Zones[0].Name}
			for where, s := range map[string]clientconfig.Settings{"zone": plain(t, name), "private": private} {
				text, err := clientconfig.Render(o.kind, o.format, s)
				if err == nil || !strings.Contains(err.Error(), "is no host name") {
					t.Errorf("%s, %s %q: %v\n%s", o, where, name, err, text)
				}
			}
		}
	}
	s := plain(t, "contoso.com")
	s.Network = "a\nb"
	if _, err := clientconfig.Render(clientconfig.Unbound, "", s); err == nil {
		t.Error("a network's name with two lines was written")
	}
}

// Rules of a ruleset have different names of at most 80 letters, digits, hyphens
// and underscores, even where zones differ only in a dot.
func TestRuleNames(t *testing.T) {
	names := append(hostile(), "a-b.contoso.com", "a.b.contoso.com", "a-b-contoso.com")
	text := render(t, output{clientconfig.Ruleset, "cli"}, plain(t, names...))
	seen := make(map[string]bool)
	for line := range strings.Lines(text) {
		name, isRule := strings.CutPrefix(line, "rule pldns-")
		if !isRule {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		if len(name) > 74 || strings.ContainsAny(name, ".'\" ") || seen[name] {
			t.Errorf("%q is no name for a rule, or is taken", name)
		}
		seen[name] = true
	}
	if len(seen) != len(names) {
		t.Errorf("%d rules for %d zones", len(seen), len(names))
	}
}

// The same settings give the same bytes.
func TestDeterministic(t *testing.T) {
	for _, o := range outputs() {
		first := render(t, o, sample(t, "europe"))
		for range 3 {
			if again := render(t, o, sample(t, "europe")); again != first {
				t.Fatalf("%s: written differently", o)
			}
		}
	}
}

// Without a network, all of them are meant.
func TestAllNetworks(t *testing.T) {
	s := plain(t, "contoso.com")
	if text := render(t, output{clientconfig.Dnsmasq, ""}, s); !strings.Contains(text, "the zones of the configuration are asked") {
		t.Errorf("says:\n%s", text)
	}
}
