package azureimport

import (
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// readDnsmasq reads the addresses of a dnsmasq.conf. address=/name/ also answers for
// the names below: only the name itself is taken, and that is noted.
func (e *Export) readDnsmasq(file string, r io.Reader) error {
	return lines(r, func(number int, text string) error {
		text = strings.TrimSpace(text)
		key, value, _ := strings.Cut(text, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch key {
		case "address":
			return e.readDnsmasqAddress(file, number, value)
		case "host-record":
			return e.readDnsmasqHost(file, number, value)
		case "cname":
			return e.readDnsmasqAlias(file, value)
		case "conf-file", "conf-dir", "addn-hosts":
			e.lackFile(file, value)
		}
		return nil
	})
}

// lackFile notes a file that another one names: only what is given is read.
func (e *Export) lackFile(file, other string) {
	e.lack(Gap{Reason: Unknown, Resource: other, File: file},
		"%s: it names another file, which is not read: give %s too", plain(file), plain(other))
}

// readDnsmasqAddress reads /name/name/address.
func (e *Export) readDnsmasqAddress(file string, number int, value string) error {
	value, _, _ = strings.Cut(value, " #")
	parts := strings.Split(strings.TrimSpace(value), "/")
	if len(parts) < 3 || parts[0] != "" {
		return fmt.Errorf("line %d: address= is not of the form /name/address: correct the line", number)
	}
	addr, err := netip.ParseAddr(parts[len(parts)-1])
	if err != nil || isMachines(addr) {
		return nil // "#" or nothing: names that are denied
	}
	e.notes.add("%s: address= answers for every name below, too: only the name itself is taken", plain(file))
	for _, name := range parts[1 : len(parts)-1] {
		e.takeHost(file, strings.TrimPrefix(name, "."), addr)
	}
	return nil
}

// takeHost adds a name and its address, unless it is a name of the local network.
func (e *Export) takeHost(file, name string, addrs ...netip.Addr) {
	name = strings.TrimSuffix(name, ".")
	if !strings.Contains(name, ".") || len(addrs) == 0 {
		return
	}
	read := Record{Name: name, File: file}
	for _, addr := range addrs {
		if addr = addr.Unmap().WithZone(""); !isMachines(addr) {
			read.Addresses = addTo(read.Addresses, addr)
		}
	}
	if len(read.Addresses) == 0 {
		return
	}
	e.addRecord(read)
	e.progress(file)
}

// readDnsmasqHost reads name,name,address,address,TTL.
func (e *Export) readDnsmasqHost(file string, number int, value string) error {
	var names []string
	var addrs []netip.Addr
	for field := range strings.SplitSeq(value, ",") {
		field, _, _ = strings.Cut(strings.TrimSpace(field), " ")
		switch addr, err := netip.ParseAddr(field); {
		case err == nil:
			addrs = append(addrs, addr)
		case strings.Trim(field, "0123456789") == "": // a TTL
		default:
			names = append(names, field)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("line %d: host-record= has no name: correct the line", number)
	}
	for _, name := range names {
		e.takeHost(file, name, addrs...)
	}
	return nil
}

// readDnsmasqAlias reads alias,alias,target,TTL.
func (e *Export) readDnsmasqAlias(file, value string) error {
	fields := strings.Split(value, ",")
	if last := len(fields) - 1; last > 1 && strings.Trim(strings.TrimSpace(fields[last]), "0123456789") == "" {
		fields = fields[:last]
	}
	for _, name := range fields[:len(fields)-1] {
		e.takeRecord(Record{Name: strings.TrimSpace(name), Target: strings.TrimSpace(fields[len(fields)-1]), File: file})
		e.progress(file)
	}
	return nil
}

// readUnbound reads the local-data of an unbound.conf: each is a record as a master
// file has it. A local-zone that redirects answers for every name below: only the
// name itself is taken, and that is noted.
func (e *Export) readUnbound(file string, r io.Reader) error {
	return lines(r, func(number int, text string) error {
		key, value, found := strings.Cut(strings.TrimSpace(text), ":")
		if !found {
			return nil
		}
		value = strings.TrimSpace(value)
		switch key {
		case "local-zone":
			if fields := strings.Fields(value); len(fields) > 1 && strings.EqualFold(fields[1], "redirect") {
				e.notes.add("%s: a local-zone that redirects answers for every name below, too: only the name itself is taken", plain(file))
			}
		case "include", "include-toplevel":
			e.lackFile(file, value)
		case "local-data":
			return e.readLocalData(file, number, value)
		}
		return nil
	})
}

// readLocalData reads a quoted record.
func (e *Export) readLocalData(file string, number int, value string) error {
	text := value
	if len(value) > 1 && (value[0] == '"' || value[0] == '\'') {
		end := strings.IndexByte(value[1:], value[0])
		if end < 0 {
			return fmt.Errorf("line %d: the quotes of local-data do not end: correct the line", number)
		}
		text = value[1 : 1+end]
	}
	rr, err := dns.NewRR(text)
	if err != nil || rr == nil {
		return fmt.Errorf("line %d: local-data is no record: correct the line", number)
	}
	name := rr.Header().Name
	switch rr := rr.(type) {
	case *dns.A:
		e.takeHost(file, name, addressOf(rr.A)...)
	case *dns.AAAA:
		e.takeHost(file, name, addressOf(rr.AAAA)...)
	case *dns.CNAME:
		e.takeRecord(Record{Name: strings.TrimSuffix(name, "."), Target: strings.TrimSuffix(rr.Target, "."), File: file})
		e.progress(file)
	}
	return nil
}

// readCoreDNS reads the hosts blocks of a Corefile: an address and its names on each
// line.
func (e *Export) readCoreDNS(file string, r io.Reader) error {
	h := hostsFile{export: e, file: file, seen: make(map[hostsKey]netip.Addr), several: true}
	within := false
	return lines(r, func(number int, text string) error {
		text, _, _ = strings.Cut(text, "#")
		fields := strings.Fields(text)
		switch {
		case len(fields) == 0:
		case !within && fields[0] == "hosts":
			within = fields[len(fields)-1] == "{"
			if len(fields) > 1 && fields[1] != "{" {
				e.lack(Gap{Reason: Unknown, Resource: fields[1], File: file},
					"%s: its hosts block reads %s, which is not read: import that as hosts too", plain(file), plain(fields[1]))
			}
		case !within && fields[0] == "import":
			e.lackFile(file, fields[len(fields)-1])
		case within && fields[0] == "}":
			within = false
		case within:
			if _, err := netip.ParseAddr(fields[0]); err == nil {
				return h.line(number, fields)
			}
		}
		return nil
	})
}
