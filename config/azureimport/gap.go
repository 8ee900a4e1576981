package azureimport

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// Reason says why something of an export is not among the mappings.
type Reason string

// The reasons.
const (
	MorePages     Reason = "more-pages"     // the file is one page of several
	Unknown       Reason = "unknown"        // a resource of a type or a shape that is not known
	NoName        Reason = "no-name"        // nothing tells the name of an endpoint, or of one of its addresses
	Partial       Reason = "partial"        // names of an endpoint in some zones of its service, and not in others
	NoAddress     Reason = "no-address"     // nothing tells its address
	BadName       Reason = "bad-name"       // a name that is no host name
	NoPrivateName Reason = "no-privatename" // a public name whose private name cannot be derived
	NotPrivate    Reason = "not-private"    // an address that is not private
	Pending       Reason = "pending"        // its connection waits for approval
	Rejected      Reason = "rejected"       // its connection was rejected
	Disconnected  Reason = "disconnected"   // its connection was removed at the other end
	Deleting      Reason = "deleting"       // it is on its way out
	Failed        Reason = "failed"         // its provisioning failed
	NotSeen       Reason = "not-seen"       // an interface or a zone group whose endpoint is not in the export
	Planned       Reason = "planned"        // it is planned, and not there yet
	NoNetwork     Reason = "no-network"     // the export does not tell the network that it belongs to
	Registered    Reason = "registered"     // a record that a virtual machine registered
	DeadAlias     Reason = "dead-alias"     // an alias of a name without an address
	Conflicting   Reason = "conflict"       // two addresses from two sources
	Refused       Reason = "refused"        // a configuration does not take the name
	Empty         Reason = "empty"          // the file holds nothing
)

// Gap is something that is left out of the mappings, or that an export lacks. While
// there is one, a name that no mapping has is not known to be gone: it is one of
// Names, or where these are not known, it may be any.
type Gap struct {
	Reason   Reason       `json:"reason"`
	Resource string       `json:"resource"` // its id, or what else names it; empty where File is meant
	File     string       `json:"file"`
	Names    []zones.Name `json:"names,omitempty"` // empty where they are not known
	// Zones are the privatelink zones in which an endpoint may have names that nothing
	// tells, as the catalogue writes them; nothing else is meant then.
	Zones []string `json:"zones,omitempty"`
	// Addresses are those of an endpoint without a name. Where all of them are mapped
	// by hand, nothing else is meant.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Text      string       `json:"text"` // what it is and what to do, on one line
}

// blocks reports whether any name may be meant, given the addresses that are mapped.
func (g Gap) blocks(mapped map[netip.Addr]bool) bool {
	unmapped := func(addr netip.Addr) bool { return !mapped[addr] }
	return len(g.Names) == 0 && len(g.Zones) == 0 && (len(g.Addresses) == 0 || slices.ContainsFunc(g.Addresses, unmapped))
}

// gaps are what is left out, each once.
type gaps struct {
	list []Gap
	seen map[string]bool
}

// add adds a gap, with a text that begins with what is meant.
func (s *gaps) add(g Gap, format string, args ...any) {
	g.Text = fmt.Sprintf(format, args...)
	g.Resource, g.File = plainID(g.Resource), plain(g.File)
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	key := string(g.Reason) + g.Resource + "\x00" + g.Text
	if !s.seen[key] {
		s.seen[key] = true
		s.list = append(s.list, g)
	}
}

// page is one answer of several that may belong together.
type page struct {
	file  string
	kind  Kind
	rows  int
	total int    // how many there are in all pages; negative where the answer does not say
	more  bool   // it says that others follow
	types string // of its rows
	keys  map[uint64]bool
}

// pageSeed makes the keys of rows; they live no longer than the process.
type pageSeed struct{ seed maphash.Seed }

// keyOf tells rows apart: a joined query has several for one resource.
func (s pageSeed) keyOf(n node) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	for _, key := range []string{"id", "peId", "privateIp", "target", "groupIds", "fqdns"} {
		_, _ = fmt.Fprintf(&h, "%v\x00", n.get(key).value)
	}
	return h.Sum64()
}

// row counts a row of an answer.
func (p *page) row(n node, seed pageSeed) {
	p.rows++
	if p.rows == 1 {
		p.types = strings.ToLower(n.get("type").text())
		if n.get("peId").has() {
			p.types = "joined"
		}
	}
	p.keys[seed.keyOf(n)] = true
}

// The sizes at which Resource Graph ends a page: what the command line asks for
// unless it is told, and the most that there is.
const (
	graphDefaultPage = 100
	graphLargestPage = 1000
)

// fault says why a page may not be all; empty when it is.
func (p *page) fault() string {
	switch {
	case p.total >= 0 && p.rows < p.total:
		return fmt.Sprintf("it has %d of %d rows", p.rows, p.total)
	case p.more:
		return "it is one page of several"
	case p.kind == Graph && p.total < 0 && (p.rows == graphDefaultPage || p.rows == graphLargestPage):
		return fmt.Sprintf("it has exactly %d rows, at which Resource Graph ends a page, and does not say how many there are", p.rows)
	}
	return ""
}

// pageGaps are the answers whose other pages are missing. Pages of one query belong
// together by the number of all rows and by the type of theirs; what follows a
// token alone cannot be known to be all.
func (e *Export) pageGaps(s *gaps) {
	type query struct {
		total int
		types string
	}
	rows := make(map[query]map[uint64]bool)
	whole := make(map[query]bool)
	for i := range e.pages {
		p := &e.pages[i]
		q := query{p.total, p.types}
		if rows[q] == nil {
			rows[q] = make(map[uint64]bool)
		}
		for key := range p.keys {
			rows[q][key] = true
		}
		whole[q] = p.total >= 0 && (whole[q] || p.rows >= p.total || len(rows[q]) >= p.total)
	}
	for i := range e.pages {
		p := &e.pages[i]
		if fault := p.fault(); fault != "" && !whole[query{p.total, p.types}] {
			s.add(Gap{Reason: MorePages, File: p.file}, "%s: %s: %s", plain(p.file), fault, pageAdvice(p.kind))
		}
	}
}

// pageAdvice says how to get all of it.
func pageAdvice(kind Kind) string {
	if kind == Graph {
		return "export all pages, of a query that projects id and is ordered by it, and give all files"
	}
	return "export all of it: the lists of the Azure command line follow the pages by themselves"
}

// readGaps are the gaps that the files themselves tell.
func (e *Export) readGaps() []Gap {
	s := gaps{list: slices.Clone(e.lacking.list)}
	e.pageGaps(&s)
	seen := make(map[string]bool, len(e.inventory.Endpoints))
	for i := range e.inventory.Endpoints {
		seen[strings.ToLower(e.inventory.Endpoints[i].ID)] = true
	}
	for _, r := range e.references {
		if !seen[strings.ToLower(r.id)] {
			s.add(Gap{Reason: Unknown, Resource: r.id, File: r.file},
				"%s: %s names this private endpoint, and the export does not hold it: export it too", plainID(r.id), r.from)
		}
	}
	slices.SortStableFunc(s.list, func(a, b Gap) int { return cmp.Compare(a.Text, b.Text) })
	return s.list
}

// reference is where another resource names a private endpoint.
type reference struct {
	id, from, file string
}

// lack notes what a file does not tell.
func (e *Export) lack(g Gap, format string, args ...any) { e.lacking.add(g, format, args...) }
