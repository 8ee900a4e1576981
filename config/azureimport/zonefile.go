package azureimport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// maxRecords bounds what a zone file may generate; a private zone has 25,000 record
// sets at most.
const maxRecords = 200_000

// readZoneFile reads the addresses and aliases of a master file (RFC 1035 section
// 5). It includes no other file.
func (e *Export) readZoneFile(file string, r io.Reader) error {
	parser := dns.NewZoneParser(r, e.options.Origin.FQDN(), "")
	parser.SetIncludeAllowed(false)
	parser.SetDefaultTTL(3600) // the time is of no interest here, and need not be given
	for read := 1; ; read++ {
		rr, ok := parser.Next()
		if !ok {
			break
		}
		if read > maxRecords {
			return fmt.Errorf("it has more than %d records: split it", maxRecords)
		}
		e.readRecord(file, rr)
	}
	var fault *dns.ParseError
	switch err := parser.Err(); {
	case errors.As(err, &fault) && e.options.Origin.IsZero():
		return fmt.Errorf("%s: correct the line, or name the zone with --origin if the file does not say $ORIGIN", plain(err.Error()))
	case err != nil:
		return fmt.Errorf("%s: correct the line", plain(err.Error()))
	}
	return nil
}

// readRecord reads a record, if it is of use.
func (e *Export) readRecord(file string, rr dns.RR) {
	name := rr.Header().Name
	source := func() *endpoint {
		p := e.endpoint("zone file "+file+" "+dns.CanonicalName(name), file)
		p.label = plain(file)
		e.progress(file)
		return p
	}
	switch rr := rr.(type) {
	case *dns.A:
		e.sayIP(source(), name, rr.A)
	case *dns.AAAA:
		e.sayIP(source(), name, rr.AAAA)
	case *dns.CNAME:
		e.addAlias(source(), name, rr.Target)
	}
}

func (e *Export) sayIP(p *endpoint, name string, ip net.IP) {
	if addr, ok := netip.AddrFromSlice(ip); ok {
		e.say(p, byGroup, name, addr.Unmap())
	}
}
