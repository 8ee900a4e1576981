package azureimport

import (
	"fmt"
	"net/netip"
	"strings"
)

// Table is an endpoint table of a configuration: that of a network, or a set.
type Table struct {
	Path     []string // such as networks, hub, endpoints
	Mappings []Mapping
}

// NetworkTable is the table of a network's own endpoints.
func NetworkTable(network string, mappings []Mapping) Table {
	return Table{Path: []string{"networks", network, "endpoints"}, Mappings: mappings}
}

// SetTable is the table of a set of endpoints that networks share.
func SetTable(set string, mappings []Mapping) Table {
	return Table{Path: []string{"endpoints", set}, Mappings: mappings}
}

// CheckName refuses what cannot be the name of a network or a set.
func CheckName(name string) error {
	if name == "" || len(name) > maxNetworkName || strings.IndexFunc(name, func(r rune) bool { return !isHostRune(r) }) >= 0 {
		return fmt.Errorf("%q is no name for a network or a set: use up to %d letters, digits, hyphens and underscores", name,
			maxNetworkName)
	}
	return nil
}

// Key is the key path of the table in TOML's notation.
func (t Table) Key() string {
	keys := make([]string, len(t.Path))
	for i, key := range t.Path {
		keys[i] = quoteKey(key)
	}
	return strings.Join(keys, ".")
}

// Render writes tables as TOML, each name with the resource that it is of.
func Render(tables []Table) []byte {
	var text strings.Builder
	for i, table := range tables {
		if i > 0 {
			text.WriteByte('\n')
		}
		text.WriteString("[" + table.Key() + "]\n")
		for _, m := range table.Mappings {
			text.WriteString(line(m) + "\n")
		}
	}
	return []byte(text.String())
}

// RenderHosts writes the mappings of a table as a file that its network or set names
// in hosts, each name with the resource that it is of. It notes what such a file
// cannot say.
func RenderHosts(table Table) (text []byte, notes []string) {
	var b strings.Builder
	fmt.Fprintf(&b, "# for hosts = [...] in [%s]\n", table.owner())
	for _, m := range table.Mappings {
		if reason := noHosts(m); reason != "" {
			notes = append(notes, fmt.Sprintf("%s is left out: %s: write it in TOML, as %s", m.Name, reason, line(m)))
			continue
		}
		for _, addr := range m.Addresses {
			fmt.Fprintf(&b, "%s %s%s\n", addr, m.Name, comment(m))
		}
	}
	return []byte(b.String()), notes
}

// owner is the key path of what holds the table: the network, or the set that it is.
func (t Table) owner() string {
	if t.Path[0] == "networks" {
		return Table{Path: t.Path[:2]}.Key()
	}
	return t.Key()
}

// noHosts says why a hosts file cannot hold a mapping; empty where it can.
func noHosts(m Mapping) string {
	families := [2]int{}
	for _, addr := range m.Addresses {
		if addr.Is4() {
			families[0]++
		} else {
			families[1]++
		}
	}
	switch {
	case !m.Private.IsZero():
		return "a hosts file has no private names"
	case m.Name.IsWildcard():
		return "a hosts file has no wildcards"
	case max(families[0], families[1]) > 1:
		return "a hosts file has one address of each family for a name"
	}
	return ""
}

// line is a mapping as one line.
func line(m Mapping) string {
	value := addressValue(m.Addresses)
	if !m.Private.IsZero() {
		value = "{ addresses = " + value + ", private_name = " + quote(m.Private.String()) + " }"
	}
	return quote(m.Name.String()) + " = " + value + comment(m)
}

// comment is what stands behind a mapping.
func comment(m Mapping) string {
	if m.Source == "" {
		return ""
	}
	return " # " + m.Source
}

// addressValue writes one address, or a list.
func addressValue(addrs []netip.Addr) string {
	if len(addrs) == 1 {
		return quote(addrs[0].String())
	}
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = quote(addr.String())
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// quote writes a name or an address as a TOML string. They hold nothing that needs
// an escape.
func quote(text string) string { return `"` + text + `"` }

// quoteKey writes a part of a key path.
func quoteKey(key string) string {
	if key != "" && strings.IndexFunc(key, func(r rune) bool { return !isHostRune(r) }) < 0 {
		return key
	}
	return quote(key)
}
