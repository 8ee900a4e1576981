package content

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// Copy is what is held of a zone now.
type Copy struct {
	Zone *Zone // nil: there is none yet
	// Expired says that no primary has confirmed the zone for the time that its SOA record
	// gives (RFC 1035 section 3.3.13): it is not to be answered from.
	Expired bool
	// From is the primary that it is of, or those that it may be of, for people; empty where
	// that is not known.
	From string
}

// Zone is the whole content of a zone. It is immutable: any number of goroutines may use it.
type Zone struct {
	apex zones.Name
	wire []byte // the apex in wire form
	soa  *dns.SOA
	// nodes are the names that have records, sorted by key. Hashed are the names of NSEC3
	// records, which are no names of the zone.
	nodes, hashed []node
	count         int
	nsec          []int32  // the nodes with an NSEC record
	hashing       *hashing // nil without a chain of NSEC3 records
}

// What is wrong with a zone.
var (
	errNoSOA       = errors.New("there is no SOA record at the apex")
	errSOAs        = errors.New("there is more than one SOA record")
	errNoNS        = errors.New("there is no NS record at the apex")
	errCNAMEBeside = errors.New("a CNAME stands beside other data")
	errCNAMEs      = errors.New("there is more than one CNAME")
	errDNAMEs      = errors.New("there is more than one DNAME")
)

// New makes a zone of its records, in any order; what is there twice counts once. It is an
// error if they are not one zone: one SOA record, and NS records, at the apex, all records
// of class IN and at the apex or below it, and no CNAME beside other data.
func New(apex zones.Name, records iter.Seq[dns.RR]) (*Zone, error) {
	z := &Zone{apex: apex, wire: wireOf(apex, make([]byte, maxName))}
	var plain, hashed []entry
	buffer := make([]byte, dns.MaxMsgSize)
	for rr := range records {
		e, err := z.entryOf(rr, buffer)
		switch {
		case err != nil:
			return nil, fmt.Errorf("zone %s: %w", apex, err)
		case e.data().isHashed():
			hashed = append(hashed, e)
		default:
			plain = append(plain, e)
		}
	}
	var err error
	if z.nodes, err = z.collect(plain); err != nil {
		return nil, err
	}
	if z.hashed, err = z.collect(hashed); err != nil {
		return nil, err
	}
	return z, z.finish()
}

// collect makes nodes of entries.
func (z *Zone) collect(entries []entry) ([]node, error) {
	slices.SortFunc(entries, compareEntries)
	var nodes []node
	var records []record
	for start, end := 0, 0; start < len(entries); start = end {
		key := entries[start].name()
		records = records[:0]
		for end = start; end < len(entries) && entries[end].name() == key; end++ {
			records = append(records, entries[end].data())
		}
		n, err := node{text: entries[start].text, key: entries[start].key}, error(nil)
		if len(records) == 1 {
			n.mark() // the entry is the node
		} else if n, err = newNode(key, records); err != nil {
			return nil, fmt.Errorf("%s: %w", z.nameOf(key), err)
		}
		nodes = append(nodes, n)
	}
	return slices.Clip(nodes), nil
}

// finish finds what follows from the nodes. The error says why they are no zone.
func (z *Zone) finish() error {
	var soa *dns.SOA
	if len(z.nodes) > 0 && z.nodes[0].key == 0 {
		for r := range z.nodes[0].records().all {
			if r.rrtype() == dns.TypeSOA {
				if soa != nil {
					return fmt.Errorf("zone %s: %w", z.apex, errSOAs)
				}
				soa, _ = r.unpack(z.apex.FQDN()).(*dns.SOA)
			}
		}
	}
	switch {
	case soa == nil:
		return fmt.Errorf("zone %s: %w", z.apex, errNoSOA)
	case z.nodes[0].has&hasNS == 0:
		return fmt.Errorf("zone %s: %w", z.apex, errNoNS)
	}
	z.soa, z.count, z.nsec = soa, 0, nil
	for i := range z.nodes {
		n := &z.nodes[i]
		z.count += int(n.size)
		if n.has&hasSOA != 0 && n.key > 0 {
			return fmt.Errorf("zone %s: %s: %w", z.apex, z.nameOf(n.name()), errSOAs)
		}
		if n.has&hasNSEC != 0 {
			z.nsec = append(z.nsec, int32(i))
		}
	}
	for i := range z.hashed {
		z.count += int(z.hashed[i].size)
	}
	z.hashing = z.findHashing()
	return nil
}

// Apex is the name of the zone.
func (z *Zone) Apex() zones.Name { return z.apex }

// SOA is the SOA record of the zone. It must not be changed.
func (z *Zone) SOA() *dns.SOA { return z.soa }

// Serial is the version of the zone.
func (z *Zone) Serial() uint32 { return z.soa.Serial }

// Len is the number of records.
func (z *Zone) Len() int { return z.count }

// isSigned tells whether the zone can prove what is not there.
func (z *Zone) isSigned() bool { return len(z.nsec) > 0 || z.hashing != nil }

// Records ranges over all records: the SOA record first, then those of each name in
// canonical order (RFC 4034 section 6.1). Names of owners are in lower case. The records are
// made for each who asks.
func (z *Zone) Records() iter.Seq[dns.RR] {
	return func(yield func(dns.RR) bool) {
		if !yield(dns.Copy(z.soa)) {
			return
		}
		plain, hashed := z.nodes, z.hashed
		for len(plain)+len(hashed) > 0 {
			var next *node
			if len(hashed) == 0 || len(plain) > 0 && plain[0].name() <= hashed[0].name() {
				next, plain = &plain[0], plain[1:]
			} else {
				next, hashed = &hashed[0], hashed[1:]
			}
			owner := z.nameOf(next.name()).FQDN()
			for r := range next.records().all {
				if r.rrtype() != dns.TypeSOA && !yield(r.unpack(owner)) {
					return
				}
			}
		}
	}
}

// find is where the first node with a key that is not less stands.
func find(nodes []node, key string) int {
	at, _ := slices.BinarySearchFunc(nodes, key, func(n node, key string) int { return strings.Compare(n.name(), key) })
	return at
}

// at is the node of a key; nil for none.
func at(nodes []node, key string) *node {
	if i := find(nodes, key); i < len(nodes) && nodes[i].name() == key {
		return &nodes[i]
	}
	return nil
}
