package content

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// node is what stands at a name: its key, and after it its records, one after the other,
// ordered by type and then by data. So a zone of a million records is a million pieces of
// memory, and not ten.
type node struct {
	text string
	key  uint16 // length of the key in text
	has  types
	size uint32 // number of records
}

// types are those types of which it matters for other names whether a node has them.
type types uint8

const (
	hasNS types = 1 << iota
	hasDNAME
	hasCNAME
	hasNSEC
	hasSOA
)

func (n *node) name() string    { return n.text[:n.key] }
func (n *node) records() packed { return packed(n.text[n.key:]) }

// packed are records of one name: for each its type, the length of its data, its TTL, and
// its data in wire form, uncompressed.
type packed string

// record is one of them.
type record string

const recordHead = 8 // octets before the data

func (r record) rrtype() uint16 { return uint16(r[0])<<8 | uint16(r[1]) }
func (r record) data() string   { return string(r[recordHead:]) }
func (r record) ttl() uint32 {
	return uint32(r[4])<<24 | uint32(r[5])<<16 | uint32(r[6])<<8 | uint32(r[7])
}

// covered is the type that a signature is for; 0 for other records. Signatures of
// different types are different RRsets.
func (r record) covered() uint16 {
	if r.rrtype() != dns.TypeRRSIG || len(r) < recordHead+2 {
		return 0
	}
	return uint16(r[recordHead])<<8 | uint16(r[recordHead+1])
}

// compare orders records of one name; those that differ only in their TTL are the same.
func (r record) compare(other record) int {
	return cmp.Or(cmp.Compare(r.rrtype(), other.rrtype()), strings.Compare(r.data(), other.data()))
}

// sameSet tells whether two records belong to one RRset.
func (r record) sameSet(other record) bool {
	return r.rrtype() == other.rrtype() && r.covered() == other.covered()
}

// withTTL is the record with another TTL.
func (r record) withTTL(ttl uint32) record {
	if r.ttl() == ttl {
		return r
	}
	made := []byte(r)
	binary.BigEndian.PutUint32(made[4:], ttl)
	return record(made)
}

// all ranges over the records.
func (p packed) all(yield func(record) bool) {
	for len(p) > 0 {
		end := recordHead + int(p[2])<<8 + int(p[3])
		if !yield(record(p[:end])) {
			return
		}
		p = p[end:]
	}
}

// unpack makes a record of the library of one, at a name. No record is kept that cannot be
// read: it was written by the same library.
func (r record) unpack(owner string) dns.RR {
	header := dns.RR_Header{
		Name: owner, Rrtype: r.rrtype(), Class: dns.ClassINET, Ttl: r.ttl(), Rdlength: uint16(len(r) - recordHead),
	}
	rr, _, err := dns.UnpackRRWithHeader(header, []byte(r.data()), 0)
	if err != nil {
		return nil
	}
	return rr
}

// entry is one record on its way into a zone: a node of its own.
type entry struct {
	text string
	key  uint16
}

func (e entry) name() string { return e.text[:e.key] }
func (e entry) data() record { return record(e.text[e.key:]) }

func compareEntries(a, b entry) int {
	return cmp.Or(strings.Compare(a.name(), b.name()), a.data().compare(b.data()))
}

// entryOf packs a record. It refuses what cannot be in a zone.
func (z *Zone) entryOf(rr dns.RR, buffer []byte) (entry, error) {
	header := rr.Header()
	switch {
	case header.Class != dns.ClassINET:
		return entry{}, fmt.Errorf("%s is of class %s, not IN", header.Name, dns.Class(header.Class))
	case isMeta(header.Rrtype):
		return entry{}, fmt.Errorf("%s has a record of type %s, which is for messages only", header.Name, dns.Type(header.Rrtype))
	}
	end, err := dns.PackRR(rr, buffer, 0, nil, false)
	if err != nil {
		return entry{}, fmt.Errorf("%s %s: %w", header.Name, dns.Type(header.Rrtype), err)
	}
	owner := 0
	for buffer[owner] != 0 {
		owner += int(buffer[owner]) + 1
	}
	owner++
	var key [2 * maxName]byte
	made, in := z.appendKey(key[:0], buffer[:owner])
	if !in {
		return entry{}, fmt.Errorf("%s is outside the zone", header.Name)
	}
	// On the wire: type, class, TTL, length, data. One piece of memory for both parts.
	wire := buffer[owner:end]
	text := make([]byte, 0, len(made)+len(wire))
	text = append(text, made...)
	text = append(text, wire[0], wire[1], wire[8], wire[9], wire[4], wire[5], wire[6], wire[7])
	text = append(text, wire[10:]...)
	e := entry{string(text), uint16(len(made))}
	if len(e.data()) == recordHead && !maybeEmpty(header.Rrtype) || !isWhole(e.data().unpack(".")) {
		return entry{}, fmt.Errorf("%s %s: the data cannot be read", header.Name, dns.Type(header.Rrtype))
	}
	return e, nil
}

// isMeta tells whether records of the type are never data (RFC 6895 section 3.1).
func isMeta(rrtype uint16) bool {
	return rrtype == dns.TypeNone || rrtype == dns.TypeOPT || rrtype >= 128 && rrtype <= 255
}

// maybeEmpty tells whether a record of the type may have no data. The library takes a record
// of any type without data for what a dynamic update would delete (RFC 2136 section 2.5).
func maybeEmpty(rrtype uint16) bool {
	_, known := dns.TypeToRR[rrtype]
	return !known || rrtype == dns.TypeAPL || rrtype == dns.TypeNULL
}

// isWhole tells whether a record was read, and no name in it is missing. The library reads data
// that ends early, and leaves empty what would come: a client would get a broken message.
func isWhole(rr dns.RR) bool {
	switch rr := rr.(type) {
	case nil:
		return false
	case *dns.NS:
		return rr.Ns != ""
	case *dns.CNAME:
		return rr.Target != ""
	case *dns.DNAME:
		return rr.Target != ""
	case *dns.PTR:
		return rr.Ptr != ""
	case *dns.MX:
		return rr.Mx != ""
	case *dns.SRV:
		return rr.Target != ""
	case *dns.SOA:
		return rr.Ns != "" && rr.Mbox != ""
	case *dns.RRSIG:
		return rr.SignerName != "" && rr.Signature != ""
	case *dns.NSEC:
		return rr.NextDomain != ""
	}
	return true
}

// isHashed tells whether a record belongs to the chain of hashed names, whose owners are no
// names of the zone (RFC 5155 section 7.2.8).
func (r record) isHashed() bool {
	return r.rrtype() == dns.TypeNSEC3 || r.covered() == dns.TypeNSEC3
}

// newNode puts the records of one name together, which are sorted, and of which there is at
// least one. All of an RRset get the shortest of their TTLs (RFC 2181 section 5.2).
func newNode(key string, records []record) (node, error) {
	evenTTLs(records)
	records = slices.Compact(records)
	size := len(key)
	for _, r := range records {
		size += len(r)
	}
	var text strings.Builder
	text.Grow(size)
	text.WriteString(key)
	for _, r := range records {
		text.WriteString(string(r))
	}
	n := node{text: text.String(), key: uint16(len(key))}
	n.mark()
	return n, n.fault()
}

// mark notes how many records the node has, and which of the types.
func (n *node) mark() {
	for r := range n.records().all {
		n.size++
		switch r.rrtype() {
		case dns.TypeSOA:
			n.has |= hasSOA
		case dns.TypeNS:
			n.has |= hasNS
		case dns.TypeDNAME:
			n.has |= hasDNAME
		case dns.TypeCNAME:
			n.has |= hasCNAME
		case dns.TypeNSEC:
			n.has |= hasNSEC
		}
	}
}

// evenTTLs gives all records of an RRset the shortest TTL.
func evenTTLs(records []record) {
	for start := 0; start < len(records); {
		end, ttl := start, records[start].ttl()
		for end < len(records) && records[end].sameSet(records[start]) {
			ttl = min(ttl, records[end].ttl())
			end++
		}
		for i := start; i < end; i++ {
			records[i] = records[i].withTTL(ttl)
		}
		start = end
	}
}

// fault says what is wrong with the records of a name together (RFC 1034 section 3.6.2, RFC
// 2181 section 10.1, RFC 4034 section 2.5 and 4, RFC 6672 section 2.4).
func (n *node) fault() error {
	if n.has&(hasCNAME|hasDNAME) == 0 {
		return nil
	}
	cnames, dnames, others := 0, 0, 0
	for r := range n.records().all {
		switch r.rrtype() {
		case dns.TypeCNAME:
			cnames++
		case dns.TypeDNAME:
			dnames++
			others++
		case dns.TypeRRSIG, dns.TypeNSEC:
		default:
			others++
		}
	}
	switch {
	case cnames > 0 && others > 0:
		return errCNAMEBeside
	case cnames > 1:
		return errCNAMEs
	case dnames > 1:
		return errDNAMEs
	}
	return nil
}
