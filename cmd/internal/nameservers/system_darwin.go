package nameservers

import (
	"context"
	"net/netip"
	"os/exec"
	"time"
)

// scutilTime is how long scutil may take, which asks a service of the system.
const scutilTime = 5 * time.Second

// System are the servers that the operating system names, in its order. It fails
// where it does not say them.
func System() ([]netip.AddrPort, error) { return For("") }

// For are the servers that macOS asks about a name: those of the longest domain that
// it has servers for, else the ones of the system. /etc/resolv.conf, which macOS
// itself does not read, counts only where scutil says nothing. It fails where neither
// names a server.
func For(name string) ([]netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(context.Background(), scutilTime)
	defer cancel()
	if text, err := exec.CommandContext(ctx, "/usr/sbin/scutil", "--dns").Output(); err == nil {
		if servers := ofScutil(string(text), name); len(servers) > 0 {
			return servers, nil
		}
	}
	return FromFile(resolvConf)
}
