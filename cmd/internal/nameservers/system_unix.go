//go:build !darwin && !windows

package nameservers

import "net/netip"

// System are the servers that the operating system names, in its order. It fails
// where it does not say them.
func System() ([]netip.AddrPort, error) { return FromFile(resolvConf) }

// For are the servers that are asked about a name in the end: those of the system,
// or those that the stub of systemd-resolved asks. It fails as [System] does.
func For(string) ([]netip.AddrPort, error) { return behindStub(resolvConf, resolvedConf) }
