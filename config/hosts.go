package config

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"pldns/zones"
)

const (
	// longestLine is how many octets a line of a hosts file may have.
	longestLine = 64 << 10
	// mostFaults is how many faults of one hosts file are told: what has more is no
	// hosts file.
	mostFaults = 1000
	// mostLines is for how many lines of a hosts file memory is set aside beforehand.
	mostLines = 2_000_000
	// manyInTOML is from how many mappings in TOML on hosts files are suggested, which
	// take a fraction of the time and memory.
	manyInTOML = 50_000
)

// hosts reads the hosts files that a network or a set names, and adds what they map.
func (l *loader) hosts(t table, into *mappings) {
	patterns, _ := t.texts("hosts", "europe.hosts")
	read := make(map[string]bool)
	for _, pattern := range patterns {
		for _, name := range l.matches(pattern, "europe.hosts") {
			if clean := filepath.Clean(name); !read[clean] {
				read[clean] = true
				l.hostsFile(pattern, name, into)
			}
		}
	}
}

// enterData notes a file that is not in TOML, which the configuration is made of, too. It is
// not ok when that is reported to be at fault.
func (l *loader) enterData(pattern entry, name string) bool {
	known := l.rep.documents[name]
	switch {
	case filepath.Clean(name) == filepath.Clean(l.main), known != nil && !known.isHosts:
		l.rep.add(pattern.place, faultf("name it in files or in hosts, not in both", "%s is a file in TOML", name))
		return false
	case known == nil:
		l.rep.documents[name] = &document{name: name, rank: len(l.rep.documents), isHosts: true}
		l.readFrom(name)
	}
	return true
}

// dataFile notes such a file and opens it. The caller closes it.
func (l *loader) dataFile(pattern entry, name string) (io.ReadCloser, bool) {
	if !l.enterData(pattern, name) {
		return nil, false
	}
	file, err := l.files.open(name)
	if err != nil {
		l.rep.add(pattern.place, faultf("write a pattern that matches only files this user can read", "%s", err))
		return nil, false
	}
	return file, true
}

// hostsFile reads one hosts file.
func (l *loader) hostsFile(pattern entry, name string, into *mappings) {
	file, ok := l.dataFile(pattern, name)
	if !ok {
		return
	}
	defer file.Close()
	into.grow(l.countLines(name))
	reader := hostsReader{loader: l, at: placeOf(name, ""), v4: into, v6: newMappings()}
	from := into.count()
	if err := reader.read(file); err != nil {
		l.rep.add(pattern.place, faultf("write a pattern that matches only files this user can read", "%s", err))
	}
	reader.merge(from)
}

// countLines is about how many lines a file has, so that what they map is not copied
// again and again; 0 where it cannot be told.
func (l *loader) countLines(name string) int {
	file, err := l.files.open(name)
	if err != nil {
		return 0
	}
	defer file.Close()
	octets, lines := 0, 1
	for buffer := make([]byte, longestLine); ; {
		n, err := file.Read(buffer)
		octets += n
		lines += bytes.Count(buffer[:n], []byte("\n"))
		if err != nil {
			return min(lines, octets/len("10.0.0.1 a.example\n"), mostLines)
		}
	}
}

// hostsReader reads a file in the form of hosts(5), of which it never holds more than
// a line.
type hostsReader struct {
	*loader
	at      Place         // the line that is read
	v4, v6  *mappings     // by the family of the address, in the order of the file
	address [1]netip.Addr // of the line
	faults  int
}

// read reads a whole file. The error says why it cannot be read.
func (r *hostsReader) read(file io.Reader) error {
	scanner := bufio.NewScanner(file)
	scanner.Buffer(make([]byte, 0, longestLine), longestLine)
	for r.at.line = 1; scanner.Scan() && r.faults < mostFaults; r.at.line++ {
		text := scanner.Text()
		if r.at.line == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		text, _, _ = strings.Cut(text, "#")
		r.line(text)
	}
	switch err := scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		r.fault(faultf("write its names on several lines", "has a line of more than %d KiB", longestLine>>10))
	case err != nil:
		return err
	}
	if r.faults >= mostFaults {
		const remedy = `write an address and its names on each line, as in "10.0.1.4 mydb.database.windows.net"`
		r.rep.add(r.at, faultf(remedy, "has more than %d faults, and is not read any further", mostFaults))
	}
	return nil
}

// line reads an address and its names. What a system's own file says of the machine
// itself and of groups of machines is left out.
func (r *hostsReader) line(text string) {
	first, names := field(text)
	if first == "" {
		return
	}
	addr, err := netip.ParseAddr(first)
	if err == nil && isOwn(addr, names) {
		return
	}
	addr, f := parseEndpointAddr(first, false)
	if f != nil {
		if err == nil && !addr.IsPrivate() && strings.HasSuffix(f.text, "is a public address") {
			f.remedy = "write the private address, or map the name in TOML with allow_public = true if this is meant"
		}
		r.fault(f)
		return
	}
	if addr.IsLoopback() {
		r.rep.warn(r.at, faultf("write the address of the private endpoint", "%q is a loopback "+
			"address: each client would ask itself", addr))
	}
	r.address[0] = addr
	name, rest := field(names)
	if name == "" {
		r.fault(faultf("write the names behind the address", "%s has no name", addr))
	}
	for ; name != ""; name, rest = field(rest) {
		r.name(name)
	}
}

// name maps one name to the address of the line.
func (r *hostsReader) name(text string) {
	name, f := parseHost(text)
	if f == nil && name.IsWildcard() {
		f = faultf("map the name in TOML", "%q is a wildcard, which a hosts file has not", text)
	}
	if f != nil {
		r.fault(f)
		return
	}
	into, before := r.v4, len(r.rep.problems)
	if r.address[0].Is6() {
		into = r.v6
	}
	r.derived(Endpoint{Endpoint: zones.Endpoint{Name: name, Addresses: r.address[:], TTL: zones.DefaultTTL}, Place: r.at}, true, into)
	r.faults += len(r.rep.problems) - before
}

func (r *hostsReader) fault(f *fault) {
	r.rep.add(r.at, f)
	r.faults++
}

// merge adds the endpoints with IPv6 addresses to the others, of which those of this
// file begin at a number. A name may have one address of each family in a file, on
// lines of their own.
func (r *hostsReader) merge(from int) {
	if r.v6.count() == 0 {
		return
	}
	second := make(map[zones.Name]int, r.v6.count())
	for i, e := range r.v6.all() {
		if _, twice := second[e.Name]; !twice {
			second[e.Name] = i
		}
	}
	taken := make([]bool, r.v6.count())
	merged := newMappings()
	merged.grow(r.v4.count() + len(taken))
	for i, e := range r.v4.all() {
		if other, has := second[e.Name]; has && i >= from && !taken[other] {
			e.Addresses = append(slices.Clip(e.Addresses), r.v6.list.At(other).Addresses()...)
			taken[other] = true
		}
		merged.add(e)
	}
	for i, e := range r.v6.all() {
		if !taken[i] {
			merged.add(e)
		}
	}
	*r.v4 = *merged
}

// isOwn reports whether an address and its names are those of the machine itself.
func isOwn(addr netip.Addr, names string) bool {
	return (addr.IsLoopback() || addr.IsMulticast() || addr.IsLinkLocalUnicast() || addr.IsUnspecified()) &&
		!strings.Contains(names, ".")
}

// field is the first word of a text, and what stands behind it.
func field(text string) (word, rest string) {
	text = strings.TrimLeft(text, " \t\r")
	end := strings.IndexAny(text, " \t\r")
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}
