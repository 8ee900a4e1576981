package azureimport

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// The most that a file of lines may hold: letters of a line, and lines. What is
// compressed may be far larger than it looks.
const (
	maxLine  = 1 << 20
	maxLines = 4_000_000
)

// lines walks the lines of a file, which are counted from 1.
func lines(r io.Reader, do func(number int, text string) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	for number := 1; scanner.Scan(); number++ {
		if number > maxLines {
			return fmt.Errorf("it has more than %d lines: split it", maxLines)
		}
		if err := do(number, scanner.Text()); err != nil {
			return err
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("it has a line that is too long, or cannot be read: %w", err)
	}
	return nil
}

// hostsKey is a name and an address family: a hosts file gives each one address.
type hostsKey struct {
	name string
	isV6 bool
}

// hostsFile is a hosts file while it is read.
type hostsFile struct {
	export *Export
	file   string
	seen   map[hostsKey]netip.Addr
	// several says that a name may have several addresses of a family.
	several bool
}

// readHosts reads a hosts file: an address and its names on each line. The names of
// the machine itself are left out.
func (e *Export) readHosts(file string, r io.Reader) error {
	h := hostsFile{export: e, file: file, seen: make(map[hostsKey]netip.Addr)}
	return lines(r, func(number int, text string) error {
		text, _, _ = strings.Cut(text, "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			return nil
		}
		return h.line(number, fields)
	})
}

// line reads the fields of a line.
func (h *hostsFile) line(number int, fields []string) error {
	addr, err := netip.ParseAddr(fields[0])
	if err != nil {
		return fmt.Errorf("line %d: it does not begin with an IP address: correct the line", number)
	}
	if addr = addr.Unmap().WithZone(""); isMachines(addr) {
		return nil
	}
	for _, name := range fields[1:] {
		h.host(number, name, addr)
	}
	return nil
}

// isMachines reports whether an address is one that a file has for the machine itself.
func isMachines(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast()
}

// host reads one name. One that has another address already is a conflict, so that
// the line tells the two apart.
func (h *hostsFile) host(number int, name string, addr netip.Addr) {
	name = strings.TrimSuffix(name, ".")
	if !strings.Contains(name, ".") {
		return // a name of the local network
	}
	key := hostsKey{strings.ToLower(name), addr.Is6()}
	read := Record{Name: name, Addresses: []netip.Addr{addr}, File: h.file}
	if other, twice := h.seen[key]; twice && other != addr && !h.several {
		read.Line = number
	} else {
		h.seen[key] = addr
	}
	h.export.addRecord(read)
	h.export.progress(h.file)
}
