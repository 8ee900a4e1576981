package zones

import "net/netip"

// IsPrivate tells whether an address is of a range that is not used on the Internet: RFC
// 1918, RFC 4193, the shared address space (RFC 6598), which Azure networks may use, too,
// loopback and link-local.
func IsPrivate(addr netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || shared.Contains(addr)
}
