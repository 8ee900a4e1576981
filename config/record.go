package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// recordTypes are the types that an operator's zone may hold: those of Azure's
// private zones, and CAA. SOA and NS are made by the server.
func recordTypes() []uint16 {
	return []uint16{
		dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeTXT, dns.TypeSRV, dns.TypeMX, dns.TypePTR, dns.TypeCAA,
	}
}

// parseRecord reads one line of a zone file (RFC 1035 section 5.1), with names
// relative to the zone.
func parseRecord(text string, zone zones.Name) (dns.RR, *fault) {
	const example = `write it as in "db 300 IN A 10.0.1.4"`
	switch {
	case strings.TrimSpace(text) == "":
		return nil, &fault{"the record is empty", example}
	case strings.ContainsAny(text, "\n\r"):
		return nil, faultf("write each record as a string of its own", "%q has more than one line", text)
	case strings.HasPrefix(text, "$"):
		return nil, faultf("write the records themselves", "%q is a directive, not a record", text)
	case text[0] == ' ' || text[0] == '\t':
		return nil, faultf("write @ for the zone itself, or a name in front", "%q has no owner name", text)
	}
	parser := dns.NewZoneParser(strings.NewReader(text), zone.FQDN(), "")
	parser.SetDefaultTTL(defaultRecordTTL)
	rr, ok := parser.Next()
	if !ok || rr == nil {
		return nil, faultf(example, "%q is no record%s", text, parserReason(parser.Err()))
	}
	if rr, ok = throughWire(rr); !ok {
		return nil, faultf(example, "%q is no complete record", text)
	}
	return rr, recordFault(rr, zone)
}

// throughWire gives a record as it arrives at a client, with one spelling for every
// escape. It is not ok for a record without data: the DNS library reads such, but
// they mean something in dynamic updates only.
func throughWire(rr dns.RR) (dns.RR, bool) {
	wire := make([]byte, dns.Len(rr)+64)
	end, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		return nil, false
	}
	read, _, err := dns.UnpackRR(wire[:end], 0)
	return read, err == nil && read.Header().Rdlength > 0
}

// parserReason is what the DNS library has to say about a record.
func parserReason(err error) string {
	var parseError *dns.ParseError
	if !errors.As(err, &parseError) {
		return ""
	}
	reason := strings.TrimPrefix(parseError.Error(), "dns: ")
	if end := strings.Index(reason, " at line:"); end >= 0 {
		reason = reason[:end]
	}
	return ", " + reason
}

// recordFault refuses a record that no zone of an operator holds, and brings its
// owner into canonical form.
func recordFault(rr dns.RR, zone zones.Name) *fault {
	header := rr.Header()
	owner := zones.NameOf(header.Name)
	header.Name = owner.FQDN()
	switch {
	case header.Class != dns.ClassINET:
		return faultf("write IN, or leave the class out", "class %s is not served", dns.Class(header.Class))
	case !slices.Contains(recordTypes(), header.Rrtype):
		return faultf("remove it; the types here are "+typeListing(), "type %s is not served", dns.Type(header.Rrtype))
	case !owner.Within(zone):
		return faultf("leave out the final dot, or move the record to its own zone",
			"%s is outside the zone %s", owner, zone)
	case strings.Contains(strings.TrimPrefix(owner.FQDN(), "*."), "*"):
		return faultf("put * in front as a label alone", "%s has a * that is not its first label", owner)
	case header.Ttl > maxRecordTTL:
		return faultf(fmt.Sprintf("write a TTL of up to %d seconds", maxRecordTTL), "TTL %d is more than a week", header.Ttl)
	case header.Rrtype == dns.TypeCNAME && owner == zone:
		return faultf("give the zone itself addresses, or move the CNAME below it",
			"a CNAME cannot stand at the zone itself, which has an SOA record (RFC 1034 section 3.6.2)")
	case header.Rrtype == dns.TypeCNAME && zones.NameOf(targetOf(rr)) == owner:
		return faultf("write another target", "%s is an alias of itself", owner)
	}
	return nil
}

// typeListing names the types as people write them.
func typeListing() string {
	var names []string
	for _, rrtype := range recordTypes() {
		names = append(names, dns.TypeToString[rrtype])
	}
	return listing(names)
}

// targetOf is the name a record points to, empty when it points to none.
func targetOf(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.CNAME:
		return rr.Target
	case *dns.SRV:
		return rr.Target
	case *dns.MX:
		return rr.Mx
	case *dns.PTR:
		return rr.Ptr
	}
	return ""
}

// consistent reports what cannot stand beside each other in a zone, and gives the
// rest.
func (l *loader) consistent(draft *zoneDraft) []record {
	byOwner := make(map[zones.Name][]record)
	var kept []record
	for _, r := range draft.records {
		if other, f := clashing(r, byOwner[r.owner]); f != nil {
			l.rep.clash(r.place, other.place, f)
			continue
		}
		byOwner[r.owner] = append(byOwner[r.owner], r)
		kept = append(kept, r)
	}
	return kept
}

// clashing finds a record of the same owner that one cannot stand beside.
func clashing(r record, others []record) (record, *fault) {
	for _, other := range others {
		a, b := r.rr.Header(), other.rr.Header()
		switch {
		case dns.IsDuplicate(r.rr, other.rr):
			return other, faultf("keep one of the two", "the record is given twice")
		case a.Rrtype == dns.TypeCNAME || b.Rrtype == dns.TypeCNAME:
			return other, faultf("keep the CNAME or the other record",
				"a CNAME stands beside other data of %s (RFC 1034 section 3.6.2)", r.owner)
		case a.Rrtype == b.Rrtype && a.Ttl != b.Ttl:
			return other, faultf("give both the same TTL", "the TTL differs from that of another %s record of %s (RFC 2181 section 5.2)",
				dns.Type(a.Rrtype), r.owner)
		}
	}
	return record{}, nil
}
