package content

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// WriteTo writes the zone as a file (RFC 1035 section 5) that [Read] and any server reads. The
// error is that of w.
func (z *Zone) WriteTo(w io.Writer) (int64, error) {
	out := bufio.NewWriterSize(w, 1<<16)
	var written int64
	for rr := range z.Records() {
		n, err := out.WriteString(line(rr))
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, out.Flush()
}

// line is a record in presentation format; in that of unknown types (RFC 3597 section 5) where
// the library does not read what it writes. For the types that zones are made of it does.
func line(rr dns.RR) string {
	text := rr.String()
	switch rr.Header().Rrtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeCNAME, dns.TypePTR, dns.TypeMX, dns.TypeSRV, dns.TypeSOA, dns.TypeRRSIG, dns.TypeNSEC:
		return text + "\n"
	}
	unknown, is := rr.(*dns.RFC3597)
	if !is {
		if again, err := dns.NewRR(text); err == nil && again != nil && dns.IsDuplicate(rr, again) {
			return text + "\n"
		}
		unknown = new(dns.RFC3597)
		if err := unknown.ToRFC3597(rr); err != nil {
			return "; " + strings.ReplaceAll(err.Error(), "\n", " ") + "\n"
		}
	}
	// The class has its usual name, because Knot reads no other.
	return strings.Replace(unknown.String(), "\tCLASS1\t", "\tIN\t", 1) + "\n"
}

// Read reads a zone from a file. It refuses what is no zone file, and what is no zone: see
// [New].
func Read(r io.Reader, apex zones.Name) (*Zone, error) {
	parser := dns.NewZoneParser(r, apex.FQDN(), "")
	z, err := New(apex, func(yield func(dns.RR) bool) {
		for rr, more := parser.Next(); more; rr, more = parser.Next() {
			if !yield(rr) {
				return
			}
		}
	})
	if wrong := parser.Err(); wrong != nil {
		return nil, fmt.Errorf("read zone %s: %w", apex, wrong)
	}
	return z, err
}
