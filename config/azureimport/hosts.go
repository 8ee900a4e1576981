package azureimport

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// maxLine bounds a line of a hosts file.
const maxLine = 1 << 20

// hostsKey is a name and an address family: a hosts file gives each one address.
type hostsKey struct {
	name string
	isV6 bool
}

// hostsLine is an address and where it is written.
type hostsLine struct {
	addr netip.Addr
	line int
}

// readHosts reads a hosts file: an address and its names on each line. The names of
// the machine itself are left out.
func (e *Export) readHosts(file string, r io.Reader) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	seen := make(map[hostsKey]hostsLine)
	for line := 1; scanner.Scan(); line++ {
		text, _, _ := strings.Cut(scanner.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			return fmt.Errorf("line %d: it does not begin with an IP address: correct the line", line)
		}
		addr = addr.Unmap().WithZone("")
		if addr.IsLoopback() || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() {
			continue
		}
		for _, name := range fields[1:] {
			if err := e.readHost(file, name, hostsLine{addr, line}, seen); err != nil {
				return err
			}
		}
	}
	if scanner.Err() != nil {
		return fmt.Errorf("it has a line that is too long, or cannot be read: %w", scanner.Err())
	}
	return nil
}

// readHost reads one name.
func (e *Export) readHost(file, name string, at hostsLine, seen map[hostsKey]hostsLine) error {
	if !strings.Contains(strings.TrimSuffix(name, "."), ".") {
		return nil // a name of the local network
	}
	key := hostsKey{strings.ToLower(strings.TrimSuffix(name, ".")), at.addr.Is6()}
	if other, twice := seen[key]; twice && other.addr != at.addr {
		return fmt.Errorf("%s has two addresses: %s in line %d and %s in line %d: keep one of the two",
			plain(name), other.addr, other.line, at.addr, at.line)
	}
	seen[key] = at
	p := e.endpoint("hosts "+file+" "+key.name, file)
	p.label = plain(file)
	e.say(p, byGroup, name, at.addr)
	e.progress(file)
	return nil
}
