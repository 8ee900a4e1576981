package clientconfig

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is a consumer that a configuration can be written for.
type Kind string

// The kinds of consumers.
const (
	AzureVPN   Kind = "azurevpn"    // profile of the Azure VPN client
	BIND       Kind = "bind"        // forward zones of BIND 9
	CoreDNS    Kind = "coredns"     // a server block of CoreDNS
	Dnsmasq    Kind = "dnsmasq"     // server lines of dnsmasq
	MacOS      Kind = "macos"       // files in /etc/resolver
	NRPT       Kind = "nrpt"        // name resolution policy table of a Windows client
	OpenVPN    Kind = "openvpn"     // what an OpenVPN server pushes
	Resolved   Kind = "resolved"    // routing domains of systemd-resolved
	Ruleset    Kind = "ruleset"     // forwarding rules of an Azure DNS Private Resolver
	Unbound    Kind = "unbound"     // forward zones of Unbound
	WindowsDNS Kind = "windows-dns" // conditional forwarders of a Windows DNS server
	WireGuard  Kind = "wireguard"   // interface section of wg-quick
)

// profile is what is particular to a kind.
type profile struct {
	// formats are the forms of output, the usual one first. Nil is a single one.
	formats []string
	// chases says that the consumer follows aliases itself, so that it needs the
	// privatelink zones as well.
	chases bool
	// port says that servers can have another port than 53.
	port bool
	// ipv4 says that servers must have IPv4 addresses.
	ipv4 bool
	// servers and zones are how many there may be; 0 is any number.
	servers, zones int
}

// profiles are all kinds. The limits of a ruleset are those that Azure documents
// for DNS Private Resolver; OpenVPN takes eight addresses for a server.
func profiles() map[Kind]profile {
	return map[Kind]profile{
		AzureVPN:   {},
		BIND:       {formats: []string{"zones", "options"}, chases: true, port: true},
		CoreDNS:    {port: true, servers: 15},
		Dnsmasq:    {port: true},
		MacOS:      {port: true, servers: 3},
		NRPT:       {},
		OpenVPN:    {chases: true, port: true, servers: 8},
		Resolved:   {chases: true, port: true},
		Ruleset:    {formats: []string{"cli", "bicep"}, port: true, ipv4: true, servers: 6, zones: 1000},
		Unbound:    {chases: true, port: true},
		WindowsDNS: {},
		WireGuard:  {chases: true, port: true},
	}
}

// Kinds are all kinds, sorted.
func Kinds() []Kind {
	var kinds []Kind
	for kind := range profiles() {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// Formats are the forms in which a kind can be written, the usual one first; none
// where there is a single one.
func (k Kind) Formats() []string { return profiles()[k].formats }

// ParseKind reads the word for a kind and the word for one of its formats, which
// may be empty. The error names the words there are.
func ParseKind(text, format string) (Kind, error) {
	p, known := profiles()[Kind(text)]
	switch {
	case !known:
		return "", fmt.Errorf("%q is no kind of client: name one of %s", text, join(Kinds()))
	case format == "", slices.Contains(p.formats, format):
		return Kind(text), nil
	case len(p.formats) == 0:
		return "", fmt.Errorf("%s has a single format: leave --format away", text)
	default:
		return "", fmt.Errorf("%s has no format %q: name one of %s", text, format, join(p.formats))
	}
}

// join writes words with commas between them.
func join[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, ", ")
}
