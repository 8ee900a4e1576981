package clientnames

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxNames is how many names one file may give, and maxFile how many octets it may have.
const (
	maxNames = 1_000_000
	maxFile  = 256 << 20
)

// seen is what a file was when it was read.
type seen struct {
	modified time.Time
	size     int64
	fault    string // why it could not be; told once
	names    map[netip.Addr]string
}

// read reads the files that have changed.
func (n *Names) read() {
	all := make(map[string]map[netip.Addr]string)
	for network, files := range n.config.Files {
		names := make(map[netip.Addr]string)
		for _, file := range files {
			for addr, name := range n.file(file).names {
				names[addr] = name
			}
		}
		all[network] = names
	}
	n.files.Store(&all)
}

// file is what a file says now. Where it cannot be read, what it said before still
// holds.
func (n *Names) file(name string) seen {
	before := n.seen[name]
	info, err := os.Stat(name)
	if err == nil && before.fault == "" && before.names != nil && info.ModTime().Equal(before.modified) && info.Size() == before.size {
		return before
	}
	now := before
	if err == nil {
		now.modified, now.size = info.ModTime(), info.Size()
		var names map[netip.Addr]string
		if names, err = n.readFile(name); err == nil {
			now.names = names
		}
	}
	now.fault = ""
	if err != nil {
		now.fault = err.Error()
	}
	if now.fault != "" && now.fault != before.fault {
		n.config.Log.Warn("names of clients cannot be read: what was read before still holds", "file", name, "error", err)
	}
	n.seen[name] = now
	return now
}

// readFile reads a file in whatever of the forms it has.
func (n *Names) readFile(name string) (map[netip.Addr]string, error) {
	file, size, err := n.config.Open(name, maxFile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parse(io.LimitReader(file, size), time.Now())
}

// parse reads names in the form of hosts(5), or of the leases of dnsmasq, ISC DHCP or Kea,
// which its first lines tell. Leases that have ended by now say nothing.
func parse(r io.Reader, now time.Time) (map[netip.Addr]string, error) {
	names := names{now: now, all: make(map[netip.Addr]string)}
	buffered := bufio.NewReaderSize(r, 64<<10)
	if head, _ := buffered.Peek(len(keaHead)); string(head) == keaHead {
		return names.all, names.kea(buffered)
	}
	scanner := bufio.NewScanner(buffered)
	scanner.Buffer(nil, 64<<10)
	for scanner.Scan() {
		if err := names.line(strings.TrimPrefix(scanner.Text(), "\ufeff")); err != nil {
			return nil, err
		}
	}
	return names.all, scanner.Err()
}

// names are those of one file while it is read.
type names struct {
	all   map[netip.Addr]string
	now   time.Time
	lease lease
}

// lease is one block of ISC DHCP that has been begun.
type lease struct {
	addr netip.Addr
	name string
	over bool // it has ended, or is not given to anybody
}

// add takes a name for an address, the last one of a file.
func (n *names) add(addr netip.Addr, name string, over bool) error {
	if len(n.all) >= maxNames {
		return fmt.Errorf("has more than %d names", maxNames)
	}
	addr = addr.Unmap()
	if name = fit(name); name == "" || over || !addr.IsValid() {
		delete(n.all, addr) // a later lease of the address, whose client has no name
		return nil
	}
	n.all[addr] = name
	return nil
}

// line takes a line of hosts(5), dnsmasq or ISC DHCP. What is none of these is passed over:
// the files are those of other programs, whose next version may write more.
func (n *names) line(text string) error {
	text, _, _ = strings.Cut(text, "#")
	words := strings.Fields(text)
	if n.lease.addr.IsValid() || len(words) == 3 && words[0] == "lease" && words[2] == "{" {
		return n.block(words)
	}
	if len(words) < 2 {
		return nil
	}
	if addr, err := netip.ParseAddr(words[0]); err == nil { // hosts(5): the address, its name, others
		if _, twice := n.all[addr.Unmap()]; twice {
			return nil
		}
		return n.add(addr, words[1], false)
	}
	// dnsmasq: when it ends, 0 for never; hardware address or IAID; address; name; client id.
	ends, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil || len(words) < 4 {
		return nil
	}
	addr, err := netip.ParseAddr(words[2])
	if err != nil {
		return nil
	}
	return n.add(addr, words[3], ends != 0 && time.Unix(ends, 0).Before(n.now))
}

// block takes a line of a lease of ISC DHCP (dhcpd.leases(5)).
func (n *names) block(words []string) error {
	switch {
	case len(words) == 3 && words[0] == "lease":
		n.lease = lease{}
		n.lease.addr, _ = netip.ParseAddr(words[1])
	case len(words) > 0 && words[0] == "}":
		ended := n.lease
		n.lease = lease{}
		return n.add(ended.addr, ended.name, ended.over)
	case len(words) == 2 && words[0] == "client-hostname":
		n.lease.name = strings.Trim(words[1], `";`)
	case len(words) == 3 && words[0] == "binding":
		n.lease.over = n.lease.over || words[2] != "active;"
	case len(words) == 4 && words[0] == "ends":
		ends, err := time.Parse("2006/01/02 15:04:05;", words[2]+" "+words[3])
		n.lease.over = n.lease.over || err == nil && ends.Before(n.now)
	}
	return nil
}

// keaHead is how the lease files of Kea begin.
const keaHead = "address,"

// kea reads a lease file of Kea, in which the last row of an address holds.
func (n *names) kea(r io.Reader) error {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord, rows.ReuseRecord = -1, true
	head, err := rows.Read()
	if err != nil {
		return err
	}
	at := make(map[string]int)
	for i, column := range head {
		at[column] = i
	}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		value := func(column string) string {
			if i, has := at[column]; has && i < len(row) {
				return row[i]
			}
			return ""
		}
		addr, err := netip.ParseAddr(value("address"))
		if err != nil {
			continue
		}
		ends, _ := strconv.ParseInt(value("expire"), 10, 64)
		over := ends != 0 && time.Unix(ends, 0).Before(n.now) || cmp.Or(value("state"), "0") != "0"
		if err := n.add(addr, value("hostname"), over); err != nil {
			return err
		}
	}
}

// fit is a name as it is shown: without the final dot, and empty unless all of it may stand
// in the name of a host. Clients choose what they are called in their leases.
func fit(name string) string {
	name = strings.TrimSuffix(name, ".")
	if len(name) > 253 {
		return ""
	}
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return ""
		}
	}
	return strings.Clone(name)
}
