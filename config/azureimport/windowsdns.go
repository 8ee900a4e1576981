package azureimport

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// readWindows reads what Get-DnsServerResourceRecord gives, as JSON or CSV.
func (e *Export) readWindows(file string, r *bufio.Reader) error {
	head, _ := r.Peek(sniffLength)
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) > 0 && head[0] != '{' && head[0] != '[' {
		return e.readWindowsCSV(file, r)
	}
	j := newJSONReader(r, e.limits)
	read := func(n node) error { return e.readWindowsRecord(file, n) }
	return j.documents(func(token json.Token) error {
		if token == json.Delim('[') {
			return j.elements(nil, token, read)
		}
		value, err := j.value(token)
		if err != nil {
			return err
		}
		return read(newNode(value, nil))
	})
}

// errNoOrigin says that nothing tells the zone of a record.
var errNoOrigin = errors.New("nothing tells the zone of its records: name it with --origin")

// readWindowsRecord reads a record of PowerShell's.
func (e *Export) readWindowsRecord(file string, n node) error {
	kind := strings.ToUpper(n.get("RecordType").anyText())
	data := n.get("RecordData")
	read := Record{File: file}
	switch host := n.get("HostName").text(); {
	case n.err() != nil:
		return n.err()
	case !n.get("RecordType").has() || !n.get("HostName").has():
		e.unknownShape(file, n)
		return nil
	case kind != "A" && kind != "AAAA" && kind != "CNAME":
		e.strange++
		return nil
	default:
		zone := e.windowsZone(n.get("DistinguishedName").anyText())
		if zone == "" {
			return errNoOrigin
		}
		read.Zone, read.Name = zone, windowsOwner(host, zone)
	}
	switch kind {
	case "CNAME":
		read.Target = strings.TrimSuffix(data.get("HostNameAlias").text(), ".")
	default:
		for _, key := range []string{"IPv4Address", "IPv6Address"} {
			address := data.get(key)
			if _, is := address.value.(map[string]any); is {
				address = address.get("IPAddressToString")
			}
			if addr, ok := address.address(); ok {
				read.Addresses = addTo(read.Addresses, addr)
			}
		}
		if len(read.Addresses) == 0 && n.err() == nil {
			data.blame("the data of a record, with its address")
		}
	}
	if n.err() != nil {
		return n.err()
	}
	e.takeRecord(read)
	e.progress(file)
	return nil
}

// windowsZone is the zone that a distinguished name of Active Directory tells, such
// as DC=db,DC=contoso.com,cn=MicrosoftDNS,..., or the one that is given.
func (e *Export) windowsZone(distinguished string) string {
	parts := strings.Split(distinguished, ",")
	if len(parts) > 1 && len(parts[1]) > len("DC=") && strings.EqualFold(parts[1][:len("DC=")], "DC=") {
		return strings.ToLower(strings.TrimSuffix(parts[1][len("DC="):], "."))
	}
	if e.options.Origin.IsZero() {
		return ""
	}
	return e.options.Origin.String()
}

// windowsOwner is the name of a record, which scripts also write in full.
func windowsOwner(host, zone string) string {
	host = strings.TrimSuffix(host, ".")
	if strings.HasSuffix(strings.ToLower(host), "."+zone) {
		return host
	}
	return ownerName(host, zone)
}

// columnsOf are the places of columns by their name, in lower case and without marks.
func columnsOf(header []string) map[string]int {
	columns := make(map[string]int)
	for i, name := range header {
		name = strings.ToLower(strings.Trim(strings.TrimSpace(name), "*"))
		if _, twice := columns[name]; !twice {
			columns[name] = i
		}
	}
	return columns
}

// cellOf is the first of some columns that a row has something in.
func cellOf(row []string, columns map[string]int, names ...string) string {
	for _, name := range names {
		if at, has := columns[name]; has && at < len(row) && strings.TrimSpace(row[at]) != "" {
			return strings.TrimSpace(row[at])
		}
	}
	return ""
}

// rowsOf walks the rows of a CSV file. Fields may have any number, and lines that
// begin with # are none.
func rowsOf(r io.Reader, limit int64, do func(line int, row []string) error) error {
	reader := csv.NewReader(&boundedReader{reader: r, until: limit, total: limit})
	reader.Comment, reader.FieldsPerRecord, reader.LazyQuotes, reader.ReuseRecord = '#', -1, true, true
	for rows := 1; ; rows++ {
		if rows > maxLines {
			return fmt.Errorf("it has more than %d lines: split it", maxLines)
		}
		row, err := reader.Read()
		var fault *csv.ParseError
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &fault):
			return fmt.Errorf("line %d: it is no CSV: export it again", fault.Line)
		case err != nil:
			return err
		}
		line, _ := reader.FieldPos(0)
		if err := do(line, row); err != nil {
			return err
		}
	}
}

// readWindowsCSV reads what Export-Csv makes of the records.
func (e *Export) readWindowsCSV(file string, r io.Reader) error {
	var columns map[string]int
	return rowsOf(r, e.limits.total, func(line int, row []string) error {
		if columns == nil {
			columns = columnsOf(row)
			_, host := columns["hostname"]
			_, kind := columns["recordtype"]
			if !host || !kind {
				return fmt.Errorf("line %d: it has no columns HostName and RecordType: export the records of Get-DnsServerResourceRecord",
					line)
			}
			return nil
		}
		kind := strings.ToUpper(cellOf(row, columns, "recordtype"))
		if kind != "A" && kind != "AAAA" && kind != "CNAME" {
			e.strange++
			return nil
		}
		zone := strings.ToLower(strings.TrimSuffix(cellOf(row, columns, "zonename", "zone"), "."))
		if zone == "" {
			zone = e.windowsZone(cellOf(row, columns, "distinguishedname"))
		}
		if zone == "" {
			return errNoOrigin
		}
		read := Record{File: file, Zone: zone, Name: windowsOwner(cellOf(row, columns, "hostname"), zone)}
		data := cellOf(row, columns, "recorddata", "data", "ipv4address", "ipv6address", "ipaddress", "hostnamealias")
		if kind == "CNAME" {
			read.Target = strings.TrimSuffix(data, ".")
		} else {
			addr, err := netip.ParseAddr(data)
			if err != nil || addr.Zone() != "" {
				return fmt.Errorf("line %d: its data is no address: export the records with "+
					"\"Select-Object HostName, RecordType, @{n='RecordData';e={$_.RecordData.IPv4Address}}\" before Export-Csv", line)
			}
			read.Addresses = append(read.Addresses, addr.Unmap())
		}
		e.takeRecord(read)
		e.progress(file)
		return nil
	})
}
