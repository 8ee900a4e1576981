package primary

import (
	"iter"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/content"
)

// Request is what another server asks about a zone.
type Request struct {
	Zone    zones.Name
	Network string     // whose client it is
	From    netip.Addr // it
	Key     zones.Name // that it has signed with; zero for none
	Type    uint16     // SOA, AXFR or IXFR
	Serial  uint32     // of what it has, for IXFR
}

// Verdict is what becomes of a request.
type Verdict uint8

// The verdicts.
const (
	Stranger Verdict = iota // who asks may take no zone: it is answered like anybody
	Denied                  // it may not take this one, or has not signed with the key of it (REFUSED)
	NotHeld                 // the network has no such zone (NOTAUTH)
	NotReady                // there is no content of it yet (SERVFAIL)
	Expired                 // the copy is too old to be told (SERVFAIL)
	Given
)

// Outcome is what a server gets that has asked about a zone.
type Outcome struct {
	Verdict Verdict
	Why     string // for people, where it is not Given
	// SOA is that of the zone, which must not be changed; nil unless it is Given.
	SOA *dns.SOA
	// Records are what is to be sent, from SOA to SOA (RFC 5936 section 2.2, RFC 1995 section 4): the
	// whole zone, its changes, or its SOA alone where there is nothing new. They are made for who
	// ranges over them, of content that does not change; nil where an SOA was asked for.
	Records iter.Seq[dns.RR]
	Whole   bool // it is the whole zone
}

// Transfer decides about a request. It does not wait for anything.
func (s *Server) Transfer(q Request) Outcome {
	s.mu.RLock()
	defer s.mu.RUnlock()
	in := s.networks[q.Network]
	if in == nil || !listed(in.peers, q.From) {
		return Outcome{}
	}
	h := s.zones[id{q.Network, q.Zone}]
	switch {
	case h == nil && !in.has[q.Zone]:
		return Outcome{Verdict: NotHeld, Why: "there is no such zone here"}
	case h == nil || !listed(h.Peers, q.From):
		return Outcome{Verdict: Denied, Why: "this server may not take the zone"}
	case h.Key != nil && q.Key != h.Key.Name:
		return Outcome{Verdict: Denied, Why: "the request is not signed with the key of the zone"}
	case h.content == nil || h.Copy != "" && s.copies[h.Copy].Zone == nil:
		return Outcome{Verdict: NotReady, Why: "there is no content of the zone yet"}
	case h.Copy != "" && s.copies[h.Copy].Expired:
		return Outcome{Verdict: Expired, Why: "the copy of the zone has expired"}
	}
	out := Outcome{Verdict: Given, SOA: h.content.SOA()}
	switch q.Type {
	case dns.TypeIXFR:
		out.Records, out.Whole = h.since(q.Serial)
	case dns.TypeAXFR:
		out.Records, out.Whole = whole(h.content), true
	}
	return out
}

// Took counts a transfer of what [Server.Transfer] has given, when it begins.
func (s *Server) Took(q Request, whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.zones[id{q.Network, q.Zone}]; h != nil && whole {
		h.whole++
	} else if h != nil {
		h.changes++
	}
}

func listed(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// whole are all records of a zone, and its SOA again.
func whole(zone *content.Zone) iter.Seq[dns.RR] {
	return func(yield func(dns.RR) bool) {
		for rr := range zone.Records() {
			if !yield(rr) {
				return
			}
		}
		yield(dns.Copy(zone.SOA()))
	}
}

// since is what has changed since a serial; all, where that is not known.
func (h *held) since(serial uint32) (records iter.Seq[dns.RR], all bool) {
	zone := h.content
	if !content.IsNewer(zone.Serial(), serial) {
		return func(yield func(dns.RR) bool) { yield(dns.Copy(zone.SOA())) }, false
	}
	changes, known := h.journal.since(serial)
	if !known {
		return whole(zone), true
	}
	return func(yield func(dns.RR) bool) {
		if !yield(dns.Copy(zone.SOA())) {
			return
		}
		for i := range changes {
			if !each(&changes[i], yield) {
				return
			}
		}
		yield(dns.Copy(zone.SOA()))
	}, false
}

// each yields one change: what is removed behind the SOA before it, what is added behind the
// SOA after it.
func each(c *content.Change, yield func(dns.RR) bool) bool {
	if !yield(dns.Copy(c.From)) {
		return false
	}
	for _, rr := range c.Removed {
		if !yield(dns.Copy(rr)) { // who packs a record writes into it
			return false
		}
	}
	if !yield(dns.Copy(c.To)) {
		return false
	}
	for _, rr := range c.Added {
		if !yield(dns.Copy(rr)) { // who packs a record writes into it
			return false
		}
	}
	return true
}

// What of changes is kept: so many of one zone, with so many records, and never much more than the
// zone itself has, which would be the shorter way to say them.
const (
	maxChanges     = 100
	maxRecords     = 250_000
	alwaysKept     = 1000 // records
	recordsOfDelta = 2    // its two SOA records
)

// journal are the last changes of a zone, each beginning where the one before ends. What it gives
// never changes.
type journal struct {
	changes []content.Change
	records int
}

// add adds the change that led to a zone; nil forgets all, because it is not known.
func (j *journal) add(c *content.Change, to *content.Zone) {
	if c == nil || len(j.changes) > 0 && j.changes[len(j.changes)-1].To.Serial != c.From.Serial {
		*j = journal{}
	}
	if c == nil {
		return
	}
	changes, records := append(slices.Clone(j.changes), *c), j.records+size(c)
	for len(changes) > maxChanges || records > min(maxRecords, max(alwaysKept, to.Len())) {
		records -= size(&changes[0])
		if changes = changes[1:]; len(changes) == 0 {
			break
		}
	}
	*j = journal{changes, records}
}

func size(c *content.Change) int { return len(c.Removed) + len(c.Added) + recordsOfDelta }

// since are the changes from a serial on; false if it is none that is known.
func (j *journal) since(serial uint32) ([]content.Change, bool) {
	at := slices.IndexFunc(j.changes, func(c content.Change) bool { return c.From.Serial == serial })
	if at < 0 {
		return nil, false
	}
	return j.changes[at:], true
}
