package secondary

import (
	"errors"
	"iter"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/content"
)

// errWhole says that an incremental transfer failed in a way in which the whole zone may not.
var errWhole = errors.New("the whole zone is asked for instead")

// transfer reads the answer to AXFR and IXFR.
type transfer struct {
	*stream
	apex    zones.Name
	have    *content.Zone // nil for AXFR
	most    int           // records of the zone
	outside int           // records of other zones, which were left out
	soa     *dns.SOA      // the first record: the version that comes
}

// read gives the zone that comes, and in which way. Without an error, and without a zone, the
// primary has nothing newer. A zone that came incrementally is one that was there, changed.
func (t *transfer) read() (*content.Zone, Kind, error) {
	first, err := t.nextSOA()
	if err != nil {
		return nil, "", err
	}
	t.soa = first
	if t.have == nil {
		zone, err := t.full()
		return zone, Full, err
	}
	// There is nothing newer (RFC 1995 section 4): whatever follows is not wanted.
	if !content.IsNewer(first.Serial, t.have.Serial()) {
		return nil, Incremental, nil
	}
	second, err := t.next()
	if err != nil {
		return nil, "", err
	}
	if from, is := second.(*dns.SOA); is && t.isApex(from) && from.Serial != first.Serial {
		zone, err := t.incremental(from)
		return zone, Incremental, err
	}
	zone, err := t.full(second)
	return zone, Full, err
}

// nextSOA is the next record, which has to be the SOA record of the zone.
func (t *transfer) nextSOA() (*dns.SOA, error) {
	rr, err := t.next()
	if err != nil {
		return nil, err
	}
	soa, is := rr.(*dns.SOA)
	switch {
	case !is || soa.Hdr.Class != dns.ClassINET:
		return nil, fail(Malformed, "its answer does not begin with the SOA record of the zone")
	case !t.isApex(soa):
		return nil, fail(Malformed, "it answers with the SOA record of another zone")
	}
	return soa, nil
}

func (t *transfer) isApex(rr dns.RR) bool { return zones.NameOf(rr.Header().Name) == t.apex }

// belongs tells whether a record is one of the zone. Some servers send addresses of their own
// name servers in other zones, too: those are left out.
func (t *transfer) belongs(rr dns.RR) bool {
	if zones.NameOf(rr.Header().Name).Within(t.apex) {
		return true
	}
	t.outside++
	return false
}

// full reads the rest of a whole zone, which ends with its SOA record (RFC 5936 section 2.2).
// Some of it may have been read.
func (t *transfer) full(read ...dns.RR) (*content.Zone, error) {
	var failed error
	zone, err := content.New(t.apex, func(yield func(dns.RR) bool) {
		if !yield(t.soa) {
			return
		}
		count := 1
		for rr, err := range t.rest(read) {
			if failed = err; err != nil {
				return
			}
			if soa, is := rr.(*dns.SOA); is {
				if failed = t.isEnd(soa); failed == nil {
					failed = t.end()
				}
				return
			}
			if !t.belongs(rr) {
				continue
			}
			if count++; count > t.most {
				failed = t.tooMany()
				return
			}
			if !yield(rr) {
				return
			}
		}
	})
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, fail(Malformed, "what it sends is no zone: %w", err)
	}
	return zone, nil
}

// rest are the records that have been read, and those that still come.
func (t *transfer) rest(read []dns.RR) iter.Seq2[dns.RR, error] {
	return func(yield func(dns.RR, error) bool) {
		for _, rr := range read {
			if !yield(rr, nil) {
				return
			}
		}
		for {
			rr, err := t.next()
			if !yield(rr, err) || err != nil {
				return
			}
		}
	}
}

// isEnd is what is wrong with the SOA record at the end.
func (t *transfer) isEnd(soa *dns.SOA) error {
	switch {
	case !t.isApex(soa):
		return fail(Malformed, "the SOA record of another zone is in it")
	case soa.Serial != t.soa.Serial:
		return fail(Malformed, "it begins with serial %d and ends with %d", t.soa.Serial, soa.Serial)
	}
	return nil
}

func (t *transfer) tooMany() error {
	return fail(TooLarge, "the zone has more than %d records (max_records)", t.most)
}

// incremental reads changes, each of which is the SOA record of one version, what it loses, the
// SOA record of the next version, and what that gains. The version that comes ends it (RFC 1995
// section 4).
func (t *transfer) incremental(from *dns.SOA) (*content.Zone, error) {
	var changes []content.Change
	count := 0
	for {
		change := content.Change{From: from}
		var err error
		if change.Removed, change.To, err = t.section(&count); err != nil {
			return nil, err
		}
		if change.Added, from, err = t.section(&count); err != nil {
			return nil, err
		}
		changes = append(changes, change)
		if change.To.Serial == t.soa.Serial {
			break
		}
	}
	if err := t.isEnd(from); err != nil {
		return nil, err
	}
	if err := t.end(); err != nil {
		return nil, err
	}
	// A change may repeal one before it, so that what is read is not what remains.
	zone, err := t.have.Apply(changes...)
	switch {
	case err != nil:
		return nil, fail(Malformed, "its changes do not fit the copy: %w: %w", err, errWhole)
	case zone.Len() > t.most:
		return nil, t.tooMany()
	}
	return zone, nil
}

// section reads the records up to the next SOA record, and that.
func (t *transfer) section(count *int) (records []dns.RR, next *dns.SOA, err error) {
	for {
		rr, err := t.next()
		if err != nil {
			return nil, nil, err
		}
		if *count++; *count > t.most+1 {
			return nil, nil, fail(TooLarge, "there are more than %d changes: %w", t.most, errWhole)
		}
		if soa, is := rr.(*dns.SOA); is {
			if !t.isApex(soa) {
				return nil, nil, fail(Malformed, "the SOA record of another zone is in it")
			}
			return records, soa, nil
		}
		if t.belongs(rr) {
			records = append(records, rr)
		}
	}
}
