package routes

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// strongSwanTable is the routing table in which strongSwan keeps what its policies
// carry: those routes name an ordinary interface, and what leaves is encrypted.
const strongSwanTable = 220

// lookup asks the kernel twice, by all of its policy rules: how a packet leaves, and
// which entry of which table decides, because either answer lacks a part.
func lookup(to netip.Addr) (Route, error) {
	packets, err := netlink.RouteGet(to.AsSlice())
	if err != nil {
		return Route{}, noRoute(err)
	}
	if len(packets) == 0 {
		return Route{}, ErrNoRoute
	}
	found := packets[0]
	link, err := netlink.LinkByIndex(found.LinkIndex)
	if err != nil {
		return Route{}, err
	}
	r := Route{Interface: link.Attrs().Name, Kind: kindOf(link), Local: found.Type == unix.RTN_LOCAL}
	r.Source, r.Gateway = addrOf(found.Src), addrOf(found.Gw)
	if via, is := found.Via.(*netlink.Via); is {
		r.Gateway = addrOf(via.Addr) // a gateway of the other family (RFC 5549)
	}
	entries, err := netlink.RouteGetWithOptions(to.AsSlice(), &netlink.RouteGetOptions{FIBMatch: true})
	if err != nil || len(entries) == 0 {
		return r, nil // an old kernel: the way itself is known
	}
	r.Prefix = destination(entries[0], to)
	if entries[0].Table == strongSwanTable {
		r.Kind = IPsec
	}
	return r, nil
}

// noRoute is what the kernel says of an address that it sends nothing to: besides
// that there is no route, that one refuses (prohibit) or drops it (blackhole).
func noRoute(err error) error {
	for _, one := range []error{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL} {
		if errors.Is(err, one) {
			return ErrNoRoute
		}
	}
	return err
}

func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}

// destination is the prefix of a route; the one for everything may go without.
func destination(route netlink.Route, like netip.Addr) netip.Prefix {
	if route.Dst == nil {
		return netip.PrefixFrom(like, 0).Masked()
	}
	prefix, _ := prefixOf(route.Dst)
	return prefix.Masked()
}

func kindOf(link netlink.Link) Kind {
	attributes := link.Attrs()
	_, err := os.Stat(filepath.Join("/sys/class/net", attributes.Name, "wireless"))
	return ofLinux(link.Type(), attributes.Flags&net.FlagLoopback != 0, attributes.EncapType == "ether", err == nil)
}

// describe says what an interface is.
func describe(one net.Interface) (Kind, string) {
	link, err := netlink.LinkByIndex(one.Index)
	if err != nil {
		return Other, "" // it has just gone
	}
	return kindOf(link), ""
}

// table lists the routes of all tables.
func table() ([]entry, error) {
	var all []entry
	for _, family := range []struct {
		number int
		any    netip.Addr
	}{{netlink.FAMILY_V4, netip.IPv4Unspecified()}, {netlink.FAMILY_V6, netip.IPv6Unspecified()}} {
		routes, err := netlink.RouteListFiltered(family.number, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, err
		}
		for _, route := range routes {
			if route.Type != unix.RTN_UNICAST {
				continue
			}
			prefix := destination(route, family.any)
			if !prefix.IsValid() {
				continue
			}
			all = append(all, entry{prefix, route.LinkIndex})
			for _, hop := range route.MultiPath {
				all = append(all, entry{prefix, hop.LinkIndex})
			}
		}
	}
	return all, nil
}
