package clientconfig

import (
	"bytes"
	"embed"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"text/template"

	"pldns/zones"
)

//go:embed templates
var templates embed.FS // never assigned: the embed directive wants a variable

// Settings are what a configuration is written from.
type Settings struct {
	// Network is whose zones they are; empty for all networks together.
	Network string
	// Servers are where the resolver is reached, in the order in which they are asked.
	Servers []netip.AddrPort
	Use     Use
}

// Render writes the configuration for a kind of client, in one of its formats;
// the empty format is the usual one. The same settings give the same bytes. The
// error says what in the settings the kind cannot take.
func Render(kind Kind, format string, s Settings) ([]byte, error) {
	kind, err := ParseKind(string(kind), format)
	if err != nil {
		return nil, err
	}
	p := profiles()[kind]
	if err := check(kind, p, s); err != nil {
		return nil, err
	}
	if kind == AzureVPN {
		return azureVPN(s)
	}
	file := string(kind)
	if format != "" && format != p.formats[0] {
		file += "-" + format
	}
	made, err := template.ParseFS(templates, "templates/"+file+".tmpl")
	if err != nil {
		return nil, fmt.Errorf("read the template of %s: %w", kind, err)
	}
	var text bytes.Buffer
	if err := made.Execute(&text, newPage(p, s)); err != nil {
		return nil, fmt.Errorf("write the configuration of %s: %w", kind, err)
	}
	return text.Bytes(), nil
}

// check refuses settings that the kind cannot take.
func check(kind Kind, p profile, s Settings) error {
	forwarded := len(newPage(p, s).Forwarded)
	switch {
	case len(s.Servers) == 0:
		return fmt.Errorf("%s needs the address of the resolver: name it with --server", kind)
	case forwarded == 0:
		return fmt.Errorf("%s has neither endpoints nor zones: there is nothing to ask the resolver about", owner(s.Network))
	case p.servers > 0 && len(s.Servers) > p.servers:
		return fmt.Errorf("%s takes at most %d servers, not %d: name fewer with --server", kind, p.servers, len(s.Servers))
	case p.zones > 0 && forwarded > p.zones:
		return fmt.Errorf("%s takes at most %d zones, not %d: write one for each network with --network", kind, p.zones, forwarded)
	}
	for _, server := range s.Servers {
		switch {
		case server.Port() != portDNS && !p.port:
			return fmt.Errorf("%s cannot send to port %d: name an address with --server where the resolver has port 53", kind,
				server.Port())
		case !server.Addr().Is4() && p.ipv4:
			return fmt.Errorf("%s cannot send to %s: name an IPv4 address with --server", kind, server.Addr())
		}
	}
	return checkNames(s)
}

// checkNames refuses names with characters that no host name has: they could mean
// something to the program that reads the configuration.
func checkNames(s Settings) error {
	names := slices.Clone(s.Use.Private)
	for _, zone := range s.Use.Zones {
		names = append(names, zone.Name)
	}
	if !s.Use.Example.IsZero() {
		names = append(names, s.Use.Example)
	}
	for _, name := range names {
		if !isPlain(name.String(), true) {
			return fmt.Errorf("%q is no host name: it cannot be written into a configuration", name)
		}
	}
	if !isPlain(s.Network, false) && s.Network != "" {
		return fmt.Errorf("%q is no name of a network: it cannot be written into a configuration", s.Network)
	}
	return nil
}

// isPlain reports whether a text has only letters, digits, hyphens and underscores,
// and dots between them where they are allowed.
func isPlain(text string, dots bool) bool {
	for i := range len(text) {
		c := text[i]
		isLetter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
		isDot := dots && c == '.' && i > 0 && i < len(text)-1
		if !isLetter && !isDot {
			return false
		}
	}
	return text != ""
}

// owner says in words whose zones they are.
func owner(network string) string {
	if network == "" {
		return "the configuration"
	}
	return "network " + network
}

// page is what a template is filled from. Names and addresses hold nothing that means
// something to whoever reads a configuration: check sees to that.
type page struct {
	Owner     string // "network europe"
	Servers   []server
	Zones     []Zone       // what clients ask about
	Forwarded []zones.Name // the names of Zones and, for who follows aliases, the privatelink zones, sorted
	Private   []zones.Name // the privatelink zones among Forwarded, sorted
	Rules     []rule       // Forwarded, with names for rules
	Local     bool         // some server is on the same machine

	example zones.Name
}

func newPage(p profile, s Settings) page {
	view := page{Owner: owner(s.Network), Zones: s.Use.Zones, example: s.Use.Example}
	for _, socket := range s.Servers {
		view.Servers = append(view.Servers, server{socket.Addr(), socket.Port()})
		view.Local = view.Local || socket.Addr().IsLoopback()
	}
	for _, zone := range s.Use.Zones {
		view.Forwarded = append(view.Forwarded, zone.Name)
	}
	if p.chases {
		view.Private = s.Use.Private
		view.Forwarded = append(view.Forwarded, view.Private...)
	}
	slices.SortFunc(view.Forwarded, zones.Name.Compare)
	view.Rules = rules(view.Forwarded)
	return view
}

// Example is a name to test with.
func (p page) Example() string {
	if !p.example.IsZero() {
		return p.example.String()
	}
	return "NAME." + p.Zones[0].Name.String()
}

// Special are the forwarded names below names that servers answer themselves
// unless they are told otherwise (RFC 6761, RFC 6303, RFC 8375).
func (p page) Special() []zones.Name {
	var special []zones.Name
	for _, name := range p.Forwarded {
		labels := name.Labels()
		if slices.Contains([]string{"arpa", "test", "invalid", "onion", "localhost"}, labels[len(labels)-1]) {
			special = append(special, name)
		}
	}
	return special
}

// server is where the resolver is reached.
type server struct {
	Addr netip.Addr
	Port uint16
}

// Socket is the server as most programs write it: with its port only where that is
// not 53.
func (s server) Socket() string {
	if s.Port == portDNS {
		return s.Addr.String()
	}
	return netip.AddrPortFrom(s.Addr, s.Port).String()
}

// Full is the address with its port.
func (s server) Full() string { return netip.AddrPortFrom(s.Addr, s.Port).String() }

// rule is a forwarding rule of a ruleset.
type rule struct{ Name, Domain string }

// maxRuleName is how long the name of a forwarding rule of Azure may be.
const maxRuleName = 80

// rules gives every zone the name of a rule, in letters, digits, hyphens and
// underscores. Zones whose names would be the same, or too long, are told apart
// by a hash of the zone, so that a rule keeps its name when zones are added.
func rules(names []zones.Name) []rule {
	seen := make(map[string]bool)
	list := make([]rule, 0, len(names))
	for _, name := range names {
		text := "pldns-" + strings.ReplaceAll(name.String(), ".", "-")
		if seen[text] || len(text) > maxRuleName {
			hash := fnv.New32a()
			_, _ = hash.Write([]byte(name.FQDN())) // never fails
			text = fmt.Sprintf("%s-%08x", text[:min(len(text), maxRuleName-9)], hash.Sum32())
		}
		seen[text] = true
		list = append(list, rule{text, name.FQDN()})
	}
	return list
}
