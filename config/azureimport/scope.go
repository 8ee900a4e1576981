package azureimport

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"pldns/zones"
	"pldns/zones/azure"
)

// scope is what an export speaks of: a name outside it is not known to be gone.
type scope struct {
	zones  []string        // of an export of nothing but zones: their names
	groups map[string]bool // resource groups of endpoints, in lower case
}

// scope of the export.
func (e *Export) scope() scope {
	s := scope{groups: make(map[string]bool)}
	all := len(e.inventory.Interfaces)+len(e.inventory.Groups)+len(e.inventory.Endpoints) > 0
	for i := range e.inventory.Endpoints {
		if group := strings.ToLower(part(e.inventory.Endpoints[i].ID, "resourceGroups")); group != "" {
			s.groups[group] = true
		}
	}
	for i := range e.inventory.Interfaces {
		if group := strings.ToLower(part(e.inventory.Interfaces[i].EndpointID, "resourceGroups")); group != "" {
			s.groups[group] = true
		}
	}
	for i := range e.inventory.Records {
		zone := e.inventory.Records[i].Zone
		all = all || zone == ""
		s.zones = addTo(s.zones, strings.ToLower(zone))
	}
	if all {
		s.zones = nil
	}
	return s
}

// holds reports whether the export speaks of a name, by all of its spellings.
func (s scope) holds(names ...zones.Name) bool {
	return s.zones == nil || slices.ContainsFunc(names, func(name zones.Name) bool {
		return slices.ContainsFunc(s.zones, func(zone string) bool { return strings.HasSuffix("."+name.String(), "."+zone) })
	})
}

// importedComment is what import writes behind a mapping, and people hardly do: a
// resource group and a resource, in one word, or several of them.
var importedComment = regexp.MustCompile(`( # )[^\s/#]+/[^\s/#]+( [^\s/#]+/[^\s/#]+)*(\r?\n?)$`)

// holdsComment reports whether the export speaks of the resource that import once
// wrote behind a mapping: it has endpoints of that resource group. Anything else
// may be of a subscription that is not exported.
func (s scope) holdsComment(line string) bool {
	comment := importedComment.FindString(line)
	if comment == "" || len(s.groups) == 0 {
		return true
	}
	return slices.ContainsFunc(strings.Fields(comment)[1:], func(word string) bool {
		group, _, _ := strings.Cut(word, "/")
		return s.groups[strings.ToLower(group)]
	})
}

// blocking are the gaps for which any name may be meant: while there is one, nothing
// is known to be gone.
func (r *Result) blocking(mapped map[netip.Addr]bool) []Gap {
	blocking := slices.DeleteFunc(slices.Clone(r.Gaps), func(g Gap) bool { return !g.blocks(mapped) })
	if r.Taken() == 0 {
		blocking = append(blocking, Gap{Reason: Empty, Text: "no endpoint of the export is taken"})
	}
	return blocking
}

// heldNames finds gaps by name and by zone, of an export that has many.
type heldNames struct {
	catalogue *azure.Catalogue
	names     map[zones.Name]int
	zones     map[string]int
}

func heldBy(catalogue *azure.Catalogue, gaps []Gap) heldNames {
	h := heldNames{catalogue, make(map[zones.Name]int), make(map[string]int)}
	for i, g := range gaps {
		for _, name := range g.Names {
			if _, known := h.names[name]; !known {
				h.names[name] = i
			}
		}
		for _, zone := range g.Zones {
			if _, known := h.zones[zone]; !known {
				h.zones[zone] = i
			}
		}
	}
	return h
}

// of is the number of the gap that one of the names may be part of.
func (h heldNames) of(names ...zones.Name) (int, bool) {
	for _, name := range names {
		if i, known := h.names[name]; known {
			return i, true
		}
		if match, private := h.catalogue.ZoneOf(name); private && len(h.zones) > 0 {
			if i, known := h.zones[match.Entry.PrivateZone]; known {
				return i, true
			}
		}
	}
	return 0, false
}

// Pruning says how names that no mapping has are removed from a file.
type Pruning struct {
	Result *Result // what the export came to, which must be complete
	Accept int     // how many names may go, where that is more than usual
}

// The number of mappings, and the part of a table, that may go without being
// accepted.
const (
	usualRemovals = 20
	usualPart     = 10 // one in ten
)

// IncompleteError says that an export is not complete, so that nothing can be
// removed.
type IncompleteError struct{ Gaps []Gap }

// Error has one line for each gap.
func (e *IncompleteError) Error() string {
	lines := []string{"nothing is pruned and nothing is written, because the export is not complete:"}
	for _, g := range e.Gaps {
		lines = append(lines, g.Text)
	}
	return strings.Join(lines, "\n")
}

// RemovalError says that more names would be removed than was accepted.
type RemovalError struct {
	Removed, Of int // of one table, or of all
	Total       int // of all tables
	Table       string
}

// Error implements error.
func (e *RemovalError) Error() string {
	return fmt.Sprintf("--prune would remove %d of %d mappings of [%s], and nothing is written: look at them with --dry-run, "+
		"and give --accept-removals %d if they are meant", e.Removed, e.Of, e.Table, e.Total)
}
