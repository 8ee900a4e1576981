package nameservers

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// System are the servers of the adapters that are up, the preferred adapter first.
// It fails where Windows does not say them.
func System() ([]netip.AddrPort, error) { return For("") }

// For are the servers that Windows asks about a name: those of its name resolution
// policies (NRPT), else those of the adapters. It fails as [System] does.
func For(name string) ([]netip.AddrPort, error) {
	adapters, err := readAdapters()
	if err != nil {
		return nil, fmt.Errorf("GetAdaptersAddresses: %w", err)
	}
	return ofWindows(readRules(), adapters, name), nil
}

// readAdapters asks Windows for its adapters.
func readAdapters() ([]adapter, error) {
	const flags = windows.GAA_FLAG_SKIP_UNICAST | windows.GAA_FLAG_SKIP_ANYCAST | windows.GAA_FLAG_SKIP_MULTICAST
	size := uint32(15_000) // what Microsoft advises to begin with
	for {
		buffer := make([]uint64, (size+7)/8) // aligned for the structures in it
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(&buffer[0]))
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, flags, 0, first, &size)
		switch {
		case errors.Is(err, windows.ERROR_BUFFER_OVERFLOW) && size > uint32(8*len(buffer)):
			continue
		case errors.Is(err, windows.ERROR_NO_DATA):
			return nil, nil
		case err != nil:
			return nil, err
		}
		var all []adapter
		for a := first; a != nil; a = a.Next {
			all = append(all, adapterOf(a))
		}
		return all, nil
	}
}

func adapterOf(a *windows.IpAdapterAddresses) adapter {
	read := adapter{
		up: a.OperStatus == windows.IfOperStatusUp, loopback: a.IfType == windows.IF_TYPE_SOFTWARE_LOOPBACK,
		metric: min(a.Ipv4Metric, a.Ipv6Metric),
	}
	for server := a.FirstDnsServerAddress; server != nil; server = server.Next {
		address, err := server.Address.Sockaddr.Sockaddr()
		if err != nil {
			continue // of another family
		}
		switch socket := address.(type) {
		case *syscall.SockaddrInet4:
			read.servers = append(read.servers, netip.AddrFrom4(socket.Addr))
		case *syscall.SockaddrInet6:
			addr := netip.AddrFrom16(socket.Addr)
			if socket.ZoneId != 0 {
				addr = addr.WithZone(strconv.FormatUint(uint64(socket.ZoneId), 10))
			}
			read.servers = append(read.servers, addr)
		}
	}
	return read
}

// readRules reads the policies: those of the group policy, if there are any, instead
// of those of this machine.
func readRules() []rule {
	for _, path := range []string{
		`SOFTWARE\Policies\Microsoft\Windows NT\DNSClient\DnsPolicyConfig`,
		`SYSTEM\CurrentControlSet\Services\Dnscache\Parameters\DnsPolicyConfig`,
	} {
		if rules := rulesBelow(path); len(rules) > 0 {
			return rules
		}
	}
	return nil
}

func rulesBelow(path string) (rules []rule) {
	folder, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.ENUMERATE_SUB_KEYS)
	if err != nil {
		return nil // there are none
	}
	defer folder.Close()
	names, err := folder.ReadSubKeyNames(-1)
	if err != nil {
		return nil
	}
	for _, name := range names {
		key, err := registry.OpenKey(folder, name, registry.QUERY_VALUE)
		if err != nil {
			continue
		}
		var r rule
		if r.names, _, err = key.GetStringsValue("Name"); err == nil {
			r.servers, _, err = key.GetStringValue("GenericDNSServers")
		}
		key.Close()
		if err == nil {
			rules = append(rules, r)
		}
	}
	return rules
}
