package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"pldns/zones"
)

// parseAddr reads an IP address without port, prefix length or zone.
func parseAddr(text, example string) (netip.Addr, *fault) {
	addr, err := netip.ParseAddr(text)
	if err == nil {
		return addr, spellingFault(addr)
	}
	if ported, err := netip.ParseAddrPort(text); err == nil {
		return addr, faultf(fmt.Sprintf("write %q", ported.Addr()), "%q has a port", text)
	}
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return addr, faultf(fmt.Sprintf("write %q", prefix.Addr()), "%q is a prefix, not an address", text)
	}
	return addr, faultf(fmt.Sprintf("write an IP address, such as %q", example), "%q is no IP address", text)
}

// spellingFault refuses the spellings that would make one address two.
func spellingFault(addr netip.Addr) *fault {
	switch {
	case addr.Is4In6():
		return faultf(fmt.Sprintf("write %q", addr.Unmap().WithZone("")), "%q is an IPv4 address in IPv6 form", addr)
	case addr.Zone() != "":
		return faultf(fmt.Sprintf("write %q", addr.WithZone("")), "%q has a zone", addr)
	}
	return nil
}

// parseEndpointAddr reads the address of a private endpoint. A public address is
// most often a mistake, and sends clients around the private link.
func parseEndpointAddr(text string, allowPublic bool) (netip.Addr, *fault) {
	addr, f := parseAddr(text, "10.0.1.4")
	if f != nil {
		return addr, f
	}
	if kind := unusable(addr); kind != "" {
		return addr, faultf("write the address of the private endpoint", "%q is %s", text, kind)
	}
	if addr.IsLinkLocalUnicast() {
		return addr, faultf("write the address of the private endpoint", "%q is a link-local address", text)
	}
	if allowPublic || zones.IsPrivate(addr) {
		return addr, nil
	}
	return addr, faultf(fmt.Sprintf("write the private address, or { addresses = [%q], allow_public = true } if this is meant", text),
		"%q is a public address", text)
}

// unusable names what an address is that no server can have; empty for others.
func unusable(addr netip.Addr) string {
	switch {
	case addr.IsUnspecified():
		return "the unspecified address"
	case addr.IsMulticast():
		return "a multicast address"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address"
	}
	return ""
}

// parsePrefix reads a client prefix, or a single address.
func parsePrefix(text string) (netip.Prefix, *fault) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), spellingFault(addr)
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return prefix, faultf(prefixRemedy(text), "%q is no prefix", text)
	case prefix.Addr().Is4In6():
		bits := max(0, prefix.Bits()-96)
		plain := netip.PrefixFrom(prefix.Addr().Unmap(), bits).Masked()
		return prefix, faultf(fmt.Sprintf("write %q", plain), "%q is an IPv4 prefix in IPv6 form", text)
	case prefix != prefix.Masked():
		return prefix, faultf(fmt.Sprintf("write %q", prefix.Masked()), "%q has bits set behind its length", text)
	}
	return prefix, nil
}

// prefixRemedy says what to write instead of a text that is no prefix.
func prefixRemedy(text string) string {
	head, _, _ := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(head)
	switch {
	case err == nil && addr.Is4():
		return fmt.Sprintf("write a length from 0 to 32, as in %q", netip.PrefixFrom(addr, 16).Masked())
	case err == nil:
		return fmt.Sprintf("write a length from 0 to 128, as in %q", netip.PrefixFrom(addr.WithZone(""), 64).Masked())
	default:
		return `write a prefix such as "10.0.0.0/16"`
	}
}

// unbracket takes off the brackets that some write around an IPv6 address even
// where no port follows.
func unbracket(text string) string {
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") && strings.Contains(inner, ":") {
		return strings.TrimSuffix(inner, "]")
	}
	return text
}

// parseSocket reads a local address with a port: "10.0.0.4:53", ":53" for every
// local address, or an address alone for the usual port.
func parseSocket(text string, usual uint16) (netip.AddrPort, *fault) {
	if port, any := strings.CutPrefix(text, ":"); any {
		if number, err := strconv.ParseUint(port, 10, 16); err == nil {
			return netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(number)), nil
		}
	}
	socket, err := netip.ParseAddrPort(text)
	if err != nil {
		addr, err := netip.ParseAddr(unbracket(text))
		if err != nil {
			return socket, faultf(fmt.Sprintf("write an address and a port, such as \"10.0.0.4:%d\" or \":%[1]d\"", usual),
				"%q is no address to listen on", text)
		}
		socket = netip.AddrPortFrom(addr, usual)
	}
	if f := spellingFault(socket.Addr()); f != nil {
		plain := netip.AddrPortFrom(socket.Addr().Unmap().WithZone(""), socket.Port())
		return socket, &fault{f.text, fmt.Sprintf("write %q", plain)}
	}
	if kind := unusable(socket.Addr()); kind != "" && !socket.Addr().IsUnspecified() {
		return socket, faultf("write an address of this machine", "%q is %s", text, kind)
	}
	return socket, nil
}
