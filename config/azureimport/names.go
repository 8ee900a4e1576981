package azureimport

import (
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
	"pldns/zones/azure"
)

// The most letters of a text and of an id in a message. Ids of Azure have some
// hundreds at most.
const (
	mostLetters = 160
	mostOfID    = 1200
)

// plain is a text of an export as it may stand in a comment, a note or a message:
// one line of harmless letters, and not endless.
func plain(text string) string { return harmless(text, mostLetters) }

// plainID is the id of a resource as it may stand in a message, in full.
func plainID(text string) string { return harmless(text, mostOfID) }

func harmless(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}

// hostName reads a name that a configuration may map: letters, digits, hyphens and
// underscores in two labels or more, of which the leftmost may be "*".
func hostName(text string) (zones.Name, bool) {
	text = strings.TrimSuffix(text, ".")
	labels := strings.TrimPrefix(text, "*.")
	strange := strings.IndexFunc(labels, func(r rune) bool { return !isHostRune(r) && r != '.' }) >= 0
	if strange || !strings.Contains(text, ".") {
		return zones.Name{}, false
	}
	if _, err := netip.ParseAddr(labels); err == nil {
		return zones.Name{}, false
	}
	name, err := zones.ParseName(text)
	return name, err == nil
}

func isHostRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
}

// isPrivate reports whether a private endpoint can have an address: those of private
// networks, and the shared address space (RFC 6598), which Azure networks may use.
func isPrivate(addr netip.Addr) bool {
	return addr.IsPrivate() || netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10).Contains(addr)
}

// identity is what a name comes down to: its private name, or itself where it has
// none. Two spellings of one mapping have one identity.
type identity = zones.Name

// named is a name as it is written into a table, and its identity.
type named struct {
	name zones.Name
	id   identity
}

// nameFrom decides how a name of an export is written: a public name as it is, a
// private one by the public name that clients ask for, where there is one. It is
// false for a public name whose private name cannot be derived, and for a zone. A
// wildcard of a private zone stays one, unless the names below it are one
// customer's own.
func nameFrom(catalogue *azure.Catalogue, name zones.Name) (named, bool) {
	if match, private := catalogue.ZoneOf(name); private {
		if name == match.Zone {
			return named{}, false
		}
		if name.IsWildcard() && !catalogue.IsCustomerWildcard(name) {
			return named{name, name}, true
		}
		if public := catalogue.PublicNames(name); len(public) > 0 {
			return named{public[0], name}, true
		}
		return named{name, name}, true
	}
	match, err := catalogue.Derive(name)
	switch {
	case err == nil:
		return named{name, match.Private}, true
	case isOutside(err):
		return named{name, name}, true
	}
	return named{name: name}, false
}

// union adds addresses that are not there yet, and keeps them in order: IPv4
// first.
func union(addrs []netip.Addr, more ...netip.Addr) []netip.Addr {
	for _, addr := range more {
		at, there := slices.BinarySearchFunc(addrs, addr, netip.Addr.Compare)
		if !there {
			addrs = slices.Insert(addrs, at, addr)
		}
	}
	return addrs
}

// spell writes addresses for a message.
func spell(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = addr.String()
	}
	return strings.Join(texts, ", ")
}

// part is a part of a resource id that follows a word, such as the name behind
// "virtualNetworks"; empty when there is none. Ids are compared without regard to
// letter case, and so are the words.
func part(id, word string) string {
	for rest := id; rest != ""; {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		if strings.EqualFold(segment, word) {
			value, _, _ := strings.Cut(rest, "/")
			return value
		}
	}
	return ""
}
