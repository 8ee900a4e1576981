package azureimport

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxTypesTold is how many types of resources a message names.
const maxTypesTold = 4

// strangeResource counts a resource that is of no use in itself. Where it names a
// private endpoint, or holds the template of one, that is told.
func (e *Export) strangeResource(file, kind, what string, n node) {
	e.strange++
	if len(e.types) < 1000 {
		e.types[strings.ToLower(plain(kind))]++
	}
	s := seeker{export: e, file: file, from: what}
	s.value(n.value)
	if s.template {
		e.lack(Gap{Reason: Unknown, Resource: what, File: file},
			"%s: it deploys a template with private endpoints, which is not read: export the endpoints themselves", what)
	}
}

// strangeTypes are the types that a message names, the most frequent first.
func (e *Export) strangeTypes() string {
	kinds := slices.DeleteFunc(slices.Sorted(maps.Keys(e.types)), func(kind string) bool { return kind == "" })
	if len(kinds) == 0 {
		return ""
	}
	slices.SortStableFunc(kinds, func(a, b string) int { return e.types[b] - e.types[a] })
	more := ""
	if len(kinds) > maxTypesTold {
		more = fmt.Sprintf(" and %d more", len(kinds)-maxTypesTold)
	}
	return ": " + strings.Join(kinds[:min(len(kinds), maxTypesTold)], ", ") + more
}

// unknownShape notes a resource that does not say its type and looks like none.
func (e *Export) unknownShape(file string, n node) {
	e.strange++
	e.lack(Gap{Reason: Unknown, Resource: n.path.String(), File: file},
		"%s: %s is of no shape that is known: export it again, without a query that reshapes it", plain(file), n.path)
}

// seeker looks for private endpoints in a resource of another type.
type seeker struct {
	export     *Export
	file, from string
	template   bool
	depth      int
}

const (
	endpointPath = "/providers/microsoft.network/privateendpoints/"
	endpointType = "microsoft.network/privateendpoints"
)

// value looks at a value and those inside it.
func (s *seeker) value(value any) {
	switch value := value.(type) {
	case string:
		s.text(value)
	case []any:
		for _, element := range value {
			s.value(element)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			s.value(value[key])
		}
	}
}

// text looks at a string, which may be an id, or a document in JSON.
func (s *seeker) text(text string) {
	lower := strings.ToLower(text)
	if !strings.Contains(lower, endpointType) {
		return
	}
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		var inner any
		if s.depth < 2 && json.Unmarshal([]byte(trimmed), &inner) == nil {
			s.depth++
			s.value(inner)
			s.depth--
		}
		s.template = s.template || strings.Contains(strings.ToLower(s.from), "deployment")
		return
	}
	at := strings.Index(lower, endpointPath)
	if !strings.HasPrefix(lower, "/subscriptions/") || at < 0 {
		s.template = s.template || strings.Contains(strings.ToLower(s.from), "deployment")
		return
	}
	name, _, _ := strings.Cut(text[at+len(endpointPath):], "/")
	if name != "" && len(s.export.references) < maxReferences {
		s.export.references = append(s.export.references, reference{text[:at+len(endpointPath)] + name, s.from, s.file})
	}
}

// maxReferences bounds what a hostile export may make of memory.
const maxReferences = 100_000
