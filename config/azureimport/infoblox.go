package azureimport

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// isSeparator reports whether a letter stands between the addresses of a host record.
func isSeparator(r rune) bool { return r == ',' || r == ';' || r == ' ' }

// readInfoblox reads a CSV export of Infoblox: rows of several types of objects, each
// type with a header row that names its columns.
func (e *Export) readInfoblox(file string, r io.Reader) error {
	columns := make(map[string]map[string]int) // by type
	return rowsOf(r, e.limits.total, func(line int, row []string) error {
		kind := strings.ToLower(strings.TrimSpace(row[0]))
		if name, is := strings.CutPrefix(kind, "header-"); is {
			columns[name] = columnsOf(row)
			return nil
		}
		switch kind {
		case "arecord", "aaaarecord", "hostrecord", "hostaddress", "cnamerecord":
		default:
			e.strange++
			return nil
		}
		of := columns[kind]
		if of == nil {
			return fmt.Errorf("line %d: no header row names the columns of %s: export it with its headers", line, kind)
		}
		read := Record{
			File: file, Name: strings.TrimSuffix(cellOf(row, of, "fqdn", "parent"), "."),
			Target: strings.TrimSuffix(cellOf(row, of, "canonical_name"), "."),
		}
		for _, text := range strings.FieldsFunc(cellOf(row, of, "address", "addresses"), isSeparator) {
			addr, err := netip.ParseAddr(text)
			if err != nil || addr.Zone() != "" {
				return fmt.Errorf("line %d: it has no address where one must be: export it again", line)
			}
			read.Addresses = addTo(read.Addresses, addr.Unmap())
		}
		e.takeRecord(read)
		e.progress(file)
		return nil
	})
}
