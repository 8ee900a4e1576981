package azureimport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"github.com/miekg/dns"
)

// maxRecords bounds what a zone file may generate; a private zone has 25,000 record
// sets at most.
const maxRecords = 200_000

// readZoneFile reads the addresses and aliases of a master file (RFC 1035 section
// 5), also as "dnscmd /ZoneExport" of Windows writes it. It includes no other file.
func (e *Export) readZoneFile(file string, r io.Reader) error {
	parser := dns.NewZoneParser(&windowsZone{from: bufio.NewReaderSize(r, 64<<10), left: e.limits.total}, e.options.Origin.FQDN(), "")
	parser.SetIncludeAllowed(false)
	parser.SetDefaultTTL(3600) // the time is of no interest here, and need not be given
	z := zoneFile{export: e, file: file}
	if !e.options.Origin.IsZero() {
		z.zone = e.options.Origin.String()
	}
	for read := 1; ; read++ {
		rr, ok := parser.Next()
		if !ok {
			break
		}
		if read > maxRecords {
			return fmt.Errorf("it has more than %d records: split it", maxRecords)
		}
		z.read(rr)
	}
	var fault *dns.ParseError
	switch err := parser.Err(); {
	case errors.Is(err, errTotal), errors.Is(err, errElement):
		return err
	case errors.As(err, &fault) && e.options.Origin.IsZero():
		return fmt.Errorf("%s: correct the line, or name the zone with --origin if the file does not say $ORIGIN", plain(err.Error()))
	case err != nil:
		return fmt.Errorf("%s: correct the line", plain(err.Error()))
	}
	return nil
}

// zoneFile is a master file while it is read.
type zoneFile struct {
	export *Export
	file   string
	zone   string // its name, once the SOA record or an option tells it
}

// read takes a record, if it is of use.
func (z *zoneFile) read(rr dns.RR) {
	read := Record{Name: strings.TrimSuffix(rr.Header().Name, "."), File: z.file}
	switch rr := rr.(type) {
	case *dns.SOA:
		z.zone = dns.CanonicalName(read.Name)
		z.zone = strings.TrimSuffix(z.zone, ".")
		return
	case *dns.A:
		read.Addresses = addressOf(rr.A)
	case *dns.AAAA:
		read.Addresses = addressOf(rr.AAAA)
	case *dns.CNAME:
		read.Target = strings.TrimSuffix(rr.Target, ".")
	default:
		return
	}
	read.Zone = z.zone
	if read.Zone == "" {
		read.Zone = zoneOfName(read.Name)
	}
	z.export.addRecord(read)
	z.export.progress(z.file)
}

// zoneOfName is the zone of a record where the file does not tell it: what begins at
// a privatelink label, else what follows the first label.
func zoneOfName(name string) string {
	name = strings.ToLower(name)
	for rest := name; rest != ""; {
		if strings.HasPrefix(rest, "privatelink") {
			return rest
		}
		_, rest, _ = strings.Cut(rest, ".")
	}
	_, parent, _ := strings.Cut(name, ".")
	return parent
}

func addressOf(ip net.IP) []netip.Addr {
	if addr, ok := netip.AddrFromSlice(ip); ok {
		return []netip.Addr{addr.Unmap()}
	}
	return nil
}

// windowsZone is a master file without what only the DNS server of Windows writes:
// the age of a record, and records of WINS.
type windowsZone struct {
	from *bufio.Reader
	line []byte
	left int64
	done error
}

// aged is the age that stands where a TTL may: [AGE:3712345].
var aged = regexp.MustCompile(`(?i)\[AGE:\d+\]`)

// wins is a record that points to a WINS server.
var wins = regexp.MustCompile(`(?i)^[^;"]*\s(WINS|WINS-R|WINSR)\s`)

// Read implements [io.Reader].
func (w *windowsZone) Read(p []byte) (int, error) {
	for len(w.line) == 0 {
		if w.done != nil {
			return 0, w.done
		}
		line, err := w.from.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			w.done = err
		}
		if w.left -= int64(len(line)); w.left < 0 {
			w.done, line = errTotal, nil
		}
		switch {
		case wins.Match(line):
			line = []byte("\n")
		case bytes.Contains(bytes.ToUpper(line), []byte("[AGE:")):
			line = aged.ReplaceAll(line, nil)
		}
		w.line = line
	}
	n := copy(p, w.line)
	w.line = w.line[n:]
	return n, nil
}
