package azureaudit_test

import "net/netip"

// addressOf is a private address for each of some thousand numbers.
func addressOf(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

func addresses(i int) []netip.Addr { return []netip.Addr{addressOf(i)} }
