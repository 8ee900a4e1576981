package content

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// Kind is what a zone has for a name and type.
type Kind uint8

// The outcomes of a look-up.
const (
	Outside    Kind = iota // the name is not in the zone
	Records                // the records asked for
	Alias                  // a CNAME, or a DNAME and the CNAME that follows from it
	NoData                 // the name exists, and has nothing of this type
	NoName                 // there is no such name
	Delegation             // the name is at or below a zone cut: it is for other servers
)

// String is the word used in explanations.
func (k Kind) String() string {
	return [...]string{"outside", "records", "alias", "no data", "no name", "delegation"}[k]
}

// Result is the outcome of a look-up.
type Result struct {
	Kind Kind
	// Records are what was asked for, or lead to it: of Records and Alias.
	Records []dns.RR
	// Target is where an Alias leads; zero if the name that follows from a DNAME would be
	// too long (RFC 6672 section 2.2, YXDOMAIN).
	Target zones.Name
	// Authority is the SOA record of NoData and NoName, its TTL for how long that holds (RFC
	// 2308 section 5); the NS records of a Delegation; and with signatures the proof of what
	// is not there.
	Authority []dns.RR
	Glue      []dns.RR   // addresses of the servers of a Delegation
	Owner     zones.Name // that matched: the asked name, a wildcard, that of a DNAME, or the zone cut
}

// Lookup finds what the zone has for a name and a type, as RFC 1034 section 4.3.2 says, with
// what RFC 4592 and RFC 6672 make of wildcards and DNAME. With dnssec, signatures come with
// the records, and proofs with what is not there, as far as the zone has them. ANY is
// answered with one RRset (RFC 8482). Owners are in lower case.
//
// DS records at the apex belong to the zone above, and are not found here.
func (z *Zone) Lookup(name zones.Name, qtype uint16, dnssec bool) Result {
	key, in := z.keyOf(name)
	if !in {
		return Result{}
	}
	l := look{Zone: z, name: name, key: key, qtype: qtype, dnssec: dnssec}
	return l.result()
}

// look is one look-up.
type look struct {
	*Zone
	name   zones.Name
	key    string
	qtype  uint16
	dnssec bool
}

// result goes down from the apex, label by label, to the name or to where it stops to exist.
func (l *look) result() Result {
	encloser := ""
	for rest := l.nodes; ; {
		i := find(rest, encloser)
		if i == len(rest) || !strings.HasPrefix(rest[i].name(), encloser) {
			above, _ := parentKey(encloser)
			return l.wildcard(above, encloser)
		}
		rest = rest[i:]
		n := &rest[0]
		if n.name() != encloser {
			n = nil // only names below it have records
		}
		last := len(encloser) == len(l.key)
		switch {
		case n == nil:
		case encloser != "" && n.has&hasNS != 0 && !(last && l.isOfParent(n)):
			return l.delegation(n)
		case !last && n.has&hasDNAME != 0:
			return l.renamed(n)
		}
		if last {
			return l.answer(n, l.key)
		}
		encloser = l.key[:len(encloser)+strings.IndexByte(l.key[len(encloser):], 0)+1]
	}
}

// isOfParent tells whether what is asked for at a zone cut belongs to this side of it (RFC
// 4035 section 2.3 and 2.4).
func (l *look) isOfParent(n *node) bool {
	return l.qtype == dns.TypeDS || l.qtype == dns.TypeNSEC && n.has&hasNSEC != 0
}

// set is the RRset of a type, with its signatures where these are wanted.
func (l *look) set(n *node, rrtype uint16, owner string) []dns.RR {
	var records, signatures []dns.RR
	for r := range n.records().all {
		switch {
		case r.rrtype() == rrtype:
			records = append(records, r.unpack(owner))
		case l.dnssec && r.covered() == rrtype && rrtype != 0:
			signatures = append(signatures, r.unpack(owner))
		}
	}
	if len(records) == 0 {
		return nil
	}
	return append(records, signatures...)
}

// answer is what a node has for the type; nil is a name at which nothing stands. The source
// is its key: that of the asked name, or a wildcard's.
func (l *look) answer(n *node, source string) Result {
	result := Result{Owner: l.name}
	if source != l.key {
		result.Owner = l.nameOf(source)
		result.Authority = l.noCloser(source)
	}
	if n == nil {
		return l.noData(result, source, n)
	}
	qtype := l.qtype
	if qtype == dns.TypeANY {
		qtype = n.first()
	}
	if result.Records = l.set(n, qtype, l.name.FQDN()); result.Records != nil {
		result.Kind = Records
		return result
	}
	if n.has&hasCNAME == 0 || l.qtype == dns.TypeRRSIG || l.qtype == dns.TypeNSEC { // which may stand beside a CNAME
		return l.noData(result, source, n)
	}
	result.Kind, result.Records = Alias, l.set(n, dns.TypeCNAME, l.name.FQDN())
	result.Target = zones.NameOf(result.Records[0].(*dns.CNAME).Target)
	return result
}

// first is the type that is answered to ANY: what the name is for, rather than what signs it.
func (n *node) first() uint16 {
	first := uint16(dns.TypeANY)
	for r := range n.records().all {
		switch r.rrtype() {
		case dns.TypeCNAME:
			return dns.TypeCNAME
		case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeDNSKEY, dns.TypeNSEC3PARAM:
			if first == dns.TypeANY {
				first = r.rrtype()
			}
		default:
			return r.rrtype()
		}
	}
	return first
}

// wildcard is what the wildcard below the closest encloser has for a name that does not
// exist; else there is no such name. The next closer name is the one below the encloser.
func (l *look) wildcard(encloser, nextCloser string) Result {
	source := under(encloser, "*")
	i := find(l.nodes, source)
	switch {
	case i < len(l.nodes) && l.nodes[i].name() == source:
		return l.answer(&l.nodes[i], source)
	case i < len(l.nodes) && strings.HasPrefix(l.nodes[i].name(), source):
		return l.answer(nil, source)
	}
	result := Result{Kind: NoName, Authority: l.negative()}
	if l.dnssec {
		result.Authority = append(result.Authority, l.noSuchName(encloser, nextCloser, source)...)
	}
	return result
}

// noData completes the result for a name that has nothing of the type.
func (l *look) noData(result Result, source string, n *node) Result {
	result.Kind = NoData
	proof := result.Authority
	result.Authority = l.negative()
	if l.dnssec {
		result.Authority = append(result.Authority, distinct(append(proof, l.nothingOf(source, n)...))...)
	}
	return result
}

// negative is the SOA record that goes with what is not there.
func (l *look) negative() []dns.RR {
	records := l.set(&l.nodes[0], dns.TypeSOA, l.apex.FQDN())
	ttl := min(l.soa.Hdr.Ttl, l.soa.Minttl)
	for _, rr := range records {
		rr.Header().Ttl = min(rr.Header().Ttl, ttl)
	}
	return records
}

// delegation refers to the servers of the zone that begins at a node.
func (l *look) delegation(n *node) Result {
	cut := l.nameOf(n.name())
	servers := l.set(n, dns.TypeNS, cut.FQDN())
	result := Result{Kind: Delegation, Authority: servers, Owner: cut}
	for _, rr := range servers {
		if ns, is := rr.(*dns.NS); is {
			result.Glue = append(result.Glue, l.addresses(ns.Ns)...)
		}
	}
	if l.dnssec && l.isSigned() {
		if ds := l.set(n, dns.TypeDS, cut.FQDN()); ds != nil {
			result.Authority = append(result.Authority, ds...)
		} else {
			result.Authority = append(result.Authority, l.nothingOf(n.name(), n)...)
		}
	}
	return result
}

// addresses are those that the zone has of a server.
func (l *look) addresses(server string) (records []dns.RR) {
	name := zones.NameOf(server)
	key, in := l.keyOf(name)
	if !in {
		return nil
	}
	n := at(l.nodes, key)
	if n == nil {
		return nil
	}
	return slices.Concat(l.set(n, dns.TypeA, name.FQDN()), l.set(n, dns.TypeAAAA, name.FQDN()))
}

// renamed is what follows from the DNAME of a name above (RFC 6672 section 3.2).
func (l *look) renamed(n *node) Result {
	owner := l.nameOf(n.name())
	records := l.set(n, dns.TypeDNAME, owner.FQDN())
	result := Result{Kind: Alias, Records: records, Owner: owner}
	dname, is := records[0].(*dns.DNAME)
	if !is {
		return result
	}
	stem := l.name.FQDN()
	if !owner.IsRoot() {
		stem = strings.TrimSuffix(stem, owner.FQDN())
	}
	target := stem + strings.TrimPrefix(dname.Target, ".")
	var buffer [maxName]byte
	if _, err := dns.PackDomainName(target, buffer[:], 0, nil, false); err != nil {
		return result
	}
	header := dns.RR_Header{Name: l.name.FQDN(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: dname.Hdr.Ttl}
	result.Target = zones.NameOf(target)
	result.Records = append(result.Records, &dns.CNAME{Hdr: header, Target: target})
	if l.qtype == dns.TypeCNAME || l.qtype == dns.TypeANY {
		result.Kind, result.Target = Records, zones.Name{}
	}
	return result
}
