package content

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Change is how one version of a zone becomes another, as an incremental transfer has it (RFC
// 1995 section 4). The SOA records are in From and To, and not among the others.
type Change struct {
	From, To       *dns.SOA
	Removed, Added []dns.RR
}

var (
	errSerial     = errors.New("the change is not of this version")
	errNotNewer   = errors.New("the change does not lead to a newer version")
	errNotThere   = errors.New("a record that is to be removed is not there")
	errSOAChanged = errors.New("a SOA record stands among the changed ones")
)

// IsNewer tells whether a serial is later than another (RFC 1982 section 3.2). Of two that are
// half of all serials apart, neither is.
func IsNewer(serial, than uint32) bool { return serial != than && serial-than < 1<<31 }

// Apply makes the version of the zone that changes lead to, one after the other. Removals come
// first in each; what is added and there already stays. It is an error if the first change
// begins at another serial, or one at another than that before leads to; if one does not lead
// to a newer serial (RFC 1982); if what is to be removed is not there, but for its TTL; and if
// what results is no zone: see [New].
func (z *Zone) Apply(changes ...Change) (*Zone, error) {
	serial := z.Serial()
	var edits edits
	buffer := make([]byte, dns.MaxMsgSize)
	for i := range changes {
		c := &changes[i]
		if c.From == nil || c.To == nil || c.From.Serial != serial {
			return nil, fmt.Errorf("zone %s, serial %d: %w", z.apex, serial, errSerial)
		}
		if !IsNewer(c.To.Serial, serial) {
			return nil, fmt.Errorf("zone %s, serial %d to %d: %w", z.apex, serial, c.To.Serial, errNotNewer)
		}
		if err := edits.add(z, c, buffer); err != nil {
			return nil, fmt.Errorf("zone %s, serial %d to %d: %w", z.apex, serial, c.To.Serial, err)
		}
		serial = c.To.Serial
	}
	made := &Zone{apex: z.apex, wire: z.wire}
	var err error
	if made.nodes, err = z.merge(z.nodes, edits.plain); err != nil {
		return nil, err
	}
	if made.hashed, err = z.merge(z.hashed, edits.hashed); err != nil {
		return nil, err
	}
	return made, made.finish()
}

// edit is one record that is removed or added.
type edit struct {
	entry
	removed bool
	soa     bool // the SOA record of another version goes, whatever is in it
}

// edits are those of names, and those of the chain of hashed names, in the order in which
// they are made.
type edits struct{ plain, hashed []edit }

// add adds a change of a zone.
func (e *edits) add(z *Zone, c *Change, buffer []byte) error {
	soa, err := z.entryOf(c.To, buffer)
	switch {
	case err != nil:
		return err
	case soa.key != 0:
		return errSOAs
	}
	e.plain = append(e.plain, edit{entry: soa, removed: true, soa: true}, edit{entry: soa})
	for i, list := range [...][]dns.RR{c.Removed, c.Added} {
		for _, rr := range list {
			entry, err := z.entryOf(rr, buffer)
			switch {
			case err != nil:
				return err
			case rr.Header().Rrtype == dns.TypeSOA:
				return errSOAChanged
			case entry.data().isHashed():
				e.hashed = append(e.hashed, edit{entry: entry, removed: i == 0})
			default:
				e.plain = append(e.plain, edit{entry: entry, removed: i == 0})
			}
		}
	}
	return nil
}

// merge makes the nodes that edits lead to.
func (z *Zone) merge(nodes []node, edits []edit) ([]node, error) {
	if len(edits) == 0 {
		return nodes, nil
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return strings.Compare(a.name(), b.name()) })
	merged := make([]node, 0, len(nodes)+len(edits)/2)
	var records []record
	for start, end := 0, 0; start < len(edits); start = end {
		key := edits[start].name()
		for end = start; end < len(edits) && edits[end].name() == key; {
			end++
		}
		i := find(nodes, key)
		merged, nodes = append(merged, nodes[:i]...), nodes[i:]
		records = records[:0]
		if len(nodes) > 0 && nodes[0].name() == key {
			records = slices.AppendSeq(records, nodes[0].records().all)
			nodes = nodes[1:]
		}
		var err error
		if records, err = edited(records, edits[start:end]); err != nil {
			return nil, fmt.Errorf("zone %s: %s: %w", z.apex, z.nameOf(key), err)
		}
		if len(records) == 0 {
			continue
		}
		n, err := newNode(key, records)
		if err != nil {
			return nil, fmt.Errorf("zone %s: %s: %w", z.apex, z.nameOf(key), err)
		}
		merged = append(merged, n)
	}
	return append(merged, nodes...), nil
}

// edited makes the edits of one name. What is added gives its TTL to the whole RRset.
func edited(records []record, edits []edit) ([]record, error) {
	for _, e := range edits {
		r := e.data()
		i, found := slices.BinarySearchFunc(records, r, record.compare)
		switch {
		case e.soa:
			records = slices.DeleteFunc(records, func(r record) bool { return r.rrtype() == dns.TypeSOA })
		case e.removed:
			if !found {
				if i = slices.IndexFunc(records, r.isSame); i < 0 {
					return nil, fmt.Errorf("%s: %w", dns.Type(r.rrtype()), errNotThere)
				}
			}
			records = slices.Delete(records, i, i+1)
		default:
			if !found {
				records = slices.Insert(records, i, r)
			}
			for j := i; j >= 0 && records[j].sameSet(r); j-- {
				records[j] = records[j].withTTL(r.ttl())
			}
			for j := i + 1; j < len(records) && records[j].sameSet(r); j++ {
				records[j] = records[j].withTTL(r.ttl())
			}
		}
	}
	return records, nil
}

// isSame tells whether a record differs from another in the letter case of names alone.
func (r record) isSame(other record) bool {
	return r.rrtype() == other.rrtype() && len(r) == len(other) && dns.IsDuplicate(r.unpack("."), other.unpack("."))
}

// Diff is how one version of a zone becomes another.
func Diff(old, new *Zone) Change {
	c := Change{From: old.soa, To: new.soa}
	c.add(old, old.nodes, new.nodes)
	c.add(old, old.hashed, new.hashed)
	return c
}

// add adds what differs between nodes.
func (c *Change) add(z *Zone, old, new []node) {
	for len(old)+len(new) > 0 {
		var before, after packed
		var key string
		order := 0
		switch {
		case len(old) == 0:
			order = 1
		case len(new) == 0:
			order = -1
		default:
			order = strings.Compare(old[0].name(), new[0].name())
		}
		if order <= 0 {
			key, before, old = old[0].name(), old[0].records(), old[1:]
		}
		if order >= 0 {
			key, after, new = new[0].name(), new[0].records(), new[1:]
		}
		if before != after {
			c.addSets(z.nameOf(key).FQDN(), slices.Collect(before.all), slices.Collect(after.all))
		}
	}
}

// addSets adds what differs between the records of a name, RRset by RRset.
func (c *Change) addSets(owner string, before, after []record) {
	for len(before)+len(after) > 0 {
		i, j := setLen(before), setLen(after)
		if i > 0 && j > 0 && !before[0].sameSet(after[0]) {
			if before[0].compare(after[0]) < 0 {
				j = 0
			} else {
				i = 0
			}
		}
		if i > 0 && before[0].rrtype() != dns.TypeSOA || i == 0 && after[0].rrtype() != dns.TypeSOA {
			c.addSet(owner, before[:i], after[:j])
		}
		before, after = before[i:], after[j:]
	}
}

// setLen is how many records the first RRset has.
func setLen(records []record) int {
	n := 0
	for n < len(records) && records[n].sameSet(records[0]) {
		n++
	}
	return n
}

// addSet adds what differs between two versions of an RRset. One with another TTL goes, and
// comes anew.
func (c *Change) addSet(owner string, before, after []record) {
	again := len(before) > 0 && len(after) > 0 && before[0].ttl() != after[0].ttl()
	lacks := func(records []record, r record) bool {
		_, found := slices.BinarySearchFunc(records, r, record.compare)
		return !found || again
	}
	for _, r := range before {
		if lacks(after, r) {
			c.Removed = append(c.Removed, r.unpack(owner))
		}
	}
	for _, r := range after {
		if lacks(before, r) {
			c.Added = append(c.Added, r.unpack(owner))
		}
	}
}
