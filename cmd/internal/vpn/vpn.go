// Package vpn reads which routes VPN clients were assigned, or ask for: in the log and
// the profile of the Azure VPN Client, in the log and the configuration of OpenVPN, in
// the configuration of WireGuard and in what wg(8) shows. Readers are functions of
// text, the same on every system; what they read is foreign, so all of it is bounded,
// and no key is kept.
package vpn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf16"

	"pldns/resolver"
)

// Client is a VPN client.
type Client string

// The clients that are known.
const (
	Azure     Client = "azure-vpn"
	OpenVPN   Client = "openvpn"
	WireGuard Client = "wireguard"
)

// Title is the client in a sentence.
func (c Client) Title() string {
	switch c {
	case Azure:
		return "the Azure VPN Client"
	case OpenVPN:
		return "OpenVPN"
	default:
		return "WireGuard"
	}
}

// Profile is what a client says of one connection. All its text is printable.
type Profile struct {
	Client Client `json:"client"`
	// Origin is the file, or the command, that says it.
	Origin string `json:"origin"`
	// Name is that of the connection, where it has one.
	Name string `json:"name,omitempty"`
	// Interface is the one that the client made, where it says so.
	Interface string `json:"interface,omitempty"`
	// Assigned tells that the gateway, or the running client, gave these routes; else a
	// profile asks for them.
	Assigned bool `json:"assigned"`
	// When is the time of that, as it is written there.
	When string `json:"when,omitempty"`
	// Addresses are those of the client in the tunnel.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Routes lead into the tunnel.
	Routes []netip.Prefix `json:"routes"`
	// Excluded are kept out of it, though a route may cover them.
	Excluded []netip.Prefix `json:"excluded,omitempty"`
	// Silent tells that the other end never answered.
	Silent bool `json:"silent,omitempty"`
}

// Bounds of what is read.
const (
	maxRoutes   = 4096 // of a profile
	maxProfiles = 64   // of a text
	maxName     = 120  // octets of a text that is shown
)

// ErrUnknown says that a text is of no client that is known.
var ErrUnknown = errors.New("this is no log or profile of the Azure VPN Client, OpenVPN or WireGuard, and no output of wg show")

// ErrNoRoutes says that a text is of a known client, and no connection is in it.
var ErrNoRoutes = errors.New("there is no connection in it: connect once, or take a newer log")

// Read reads whatever a client wrote; the text itself says which. The origin is that
// of the profiles. It fails with [ErrUnknown] or [ErrNoRoutes].
func Read(origin string, text []byte) ([]Profile, error) {
	content := decode(text)
	for _, one := range []struct {
		is   func(string) bool
		read func(string) []Profile
	}{
		{isAzureProfile, readAzureProfile},
		{isAzureLog, readAzureLog},
		{isOpenVPNLog, readOpenVPNLog},
		{isWireGuardDump, readWireGuardDump},
		{isWireGuardShow, readWireGuardShow},
		{isWireGuardConfig, func(text string) []Profile { return readWireGuardConfig(origin, text) }},
		{isOpenVPNConfig, readOpenVPNConfig},
	} {
		if !one.is(content) {
			continue
		}
		profiles := one.read(content)
		if len(profiles) == 0 {
			return nil, ErrNoRoutes
		}
		profiles = profiles[:min(len(profiles), maxProfiles)]
		for i := range profiles {
			profiles[i].tidy(origin)
		}
		return profiles, nil
	}
	return nil, ErrUnknown
}

// tidy bounds a profile, and takes from its text what a terminal would obey.
func (p *Profile) tidy(origin string) {
	p.Origin = origin
	for _, text := range []*string{&p.Origin, &p.Name, &p.Interface, &p.When} {
		*text = resolver.CleanText(*text, maxName)
	}
	p.Routes, p.Excluded = tidied(p.Routes), tidied(p.Excluded)
	slices.SortFunc(p.Addresses, netip.Addr.Compare)
	p.Addresses = slices.Compact(p.Addresses)
	if p.Routes == nil {
		p.Routes = []netip.Prefix{}
	}
}

func tidied(prefixes []netip.Prefix) []netip.Prefix {
	for i, prefix := range prefixes {
		prefixes[i] = prefix.Masked()
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	prefixes = slices.Compact(prefixes)
	return prefixes[:min(len(prefixes), maxRoutes)]
}

// Covers is the route that leads an address into the tunnel: the longest, unless one
// that keeps it out is as long.
func (p Profile) Covers(addr netip.Addr) (netip.Prefix, bool) {
	best, out := longest(p.Routes, addr), longest(p.Excluded, addr)
	return best, best.IsValid() && (!out.IsValid() || best.Bits() > out.Bits())
}

func longest(prefixes []netip.Prefix, addr netip.Addr) (best netip.Prefix) {
	for _, prefix := range prefixes {
		if prefix.Contains(addr) && (!best.IsValid() || prefix.Bits() > best.Bits()) {
			best = prefix
		}
	}
	return best
}

// decode is a text in UTF-8: what Windows writes may be UTF-16, with the mark that
// says in which order.
func decode(text []byte) string {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return strings.ToValidUTF8(string(bytes.TrimPrefix(text, []byte("\ufeff"))), "\ufffd")
	}
	units := make([]uint16, len(text)/2-1)
	for i := range units {
		units[i] = order.Uint16(text[2*i+2:])
	}
	return string(utf16.Decode(units))
}

// masked reads an address and the mask behind it, which is either a length or written
// as an address; without one it is that of a single address.
func masked(address, mask string) (netip.Prefix, bool) {
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	if mask == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	if prefix, err := netip.ParsePrefix(address + "/" + mask); err == nil {
		return prefix, true
	}
	bits, err := netip.ParseAddr(mask)
	if err != nil || bits.BitLen() != addr.BitLen() {
		return netip.Prefix{}, false
	}
	ones := leadingOnes(bits)
	prefix := netip.PrefixFrom(addr, ones)
	whole := netip.PrefixFrom(bits, ones).Masked().Addr() == bits // no one behind a zero
	return prefix, whole && ones >= 0
}

// leadingOnes is how many bits of an address are set before the first that is not.
func leadingOnes(addr netip.Addr) (ones int) {
	for _, octet := range addr.AsSlice() {
		for bit := 7; bit >= 0; bit-- {
			if octet>>bit&1 == 0 {
				return ones
			}
			ones++
		}
	}
	return ones
}

// everything is the route for every address of a family.
func everything(six bool) netip.Prefix {
	if six {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}
