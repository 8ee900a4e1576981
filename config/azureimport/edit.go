package azureimport

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"pldns/config"
	"pldns/config/internal/tomlfile"
	"pldns/zones"
	"pldns/zones/azure"
)

// File is an operator's file while it is edited. Every change concerns whole lines;
// all others stay byte for byte as they are.
type File struct {
	name       string
	data       []byte
	text       string // the same
	values     map[string]any
	statements []tomlfile.Statement
	changes    []change
	tables     []Table
	catalogue  *azure.Catalogue
	notes      []string
	prune      *Pruning // nil when names that no mapping has stay
	held       heldNames
	mapped     map[netip.Addr]bool // every address of the file, where it is pruned
	removed    int
	refused    *RemovalError
}

// change puts text in place of whole lines.
type change struct {
	tomlfile.Span
	text string
}

// newFile reads a file that is to be edited. The name stands for it in messages.
// With prune, names that no mapping has are removed, but for those that something
// may have that the export left out; without it, all stay, and a note counts them.
// The error is an [*IncompleteError] where nothing is known to be gone.
func newFile(name string, data []byte, prune *Pruning, catalogue *azure.Catalogue) (*File, error) {
	f := &File{name: name, data: data, catalogue: catalogue, prune: prune}
	var err error
	if f.values, err = config.Tables(name, data); err != nil {
		return nil, fmt.Errorf("edit %s: it is no TOML: check it with \"pldns check\"", name)
	}
	f.text = string(data)
	f.statements = tomlfile.Statements(f.text)
	if prune != nil {
		f.mapped = make(map[netip.Addr]bool)
		f.learnAddresses(f.values)
		if blocking := prune.Result.blocking(f.mapped); len(blocking) > 0 {
			return nil, &IncompleteError{blocking}
		}
		f.held = heldBy(catalogue, prune.Result.Gaps)
	}
	return f, nil
}

// learnAddresses notes every address that a value holds.
func (f *File) learnAddresses(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, member := range value {
			f.learnAddresses(member)
		}
	case []any:
		for _, element := range value {
			f.learnAddresses(element)
		}
	case string:
		if addr, err := netip.ParseAddr(value); err == nil {
			f.mapped[addr.Unmap()] = true
		}
	}
}

// Notes are what the operator should know of the edit.
func (f *File) Notes() []string { return f.notes }

// entry is a mapping that the file has already.
type entry struct {
	key   string
	id    identity
	addrs []netip.Addr
	// probed says that the addresses are a list to choose from, of which the
	// operator may have added some.
	probed  bool
	pair    *tomlfile.Statement
	inline  bool // whether the pair is an inline table, of which the addresses are a part
	whole   bool // whether the pair is the mapping, and not a part of it
	touched bool
}

// Edit enters the mappings of a table. It is an error if the table stands in a form that
// cannot be edited without touching what is not its own.
func (f *File) Edit(table Table) error {
	target, err := f.find(table)
	if err != nil {
		return fmt.Errorf("edit %s: %w", f.name, err)
	}
	var added []string
	for _, m := range table.Mappings {
		old := target.match(m)
		if old == nil {
			added = append(added, line(m))
			continue
		}
		old.touched = true
		if err := f.update(table, old, m); err != nil {
			return fmt.Errorf("edit %s: %w", f.name, err)
		}
	}
	if err := f.leave(table, target); err != nil {
		return fmt.Errorf("edit %s: %w", f.name, err)
	}
	if len(added) > 0 && target.dotted {
		return fmt.Errorf("edit %s: the mappings of [%s] are written as keys of a table above it: write them under [%[2]s]",
			f.name, table.Key())
	}
	f.insert(table, added)
	f.tables = append(f.tables, table)
	return nil
}

// target is what a file has of a table.
type target struct {
	entries map[string]*entry
	order   []*entry
	// spellings are the entries by what they come down to.
	spellings map[identity][]*entry
	dotted    bool // whether it is defined by keys of a table above it
}

// match finds the mapping of a name: by the name, or by another spelling of it.
func (t *target) match(m Mapping) *entry {
	if at := t.entries[m.Name.String()]; at != nil {
		return at
	}
	for _, at := range t.spellings[m.id] {
		if !at.touched {
			return at
		}
	}
	return nil
}

// find finds the mappings of a table, and refuses forms that cannot be edited.
func (f *File) find(table Table) (*target, error) {
	t := &target{entries: make(map[string]*entry), spellings: make(map[identity][]*entry)}
	depth := len(table.Path)
	for i := range f.statements {
		s := &f.statements[i]
		common := min(depth, len(s.Path))
		if !slices.Equal(s.Path[:common], table.Path[:common]) {
			continue
		}
		if s.List || !s.Header && len(s.Path) <= depth {
			return nil, fmt.Errorf("%s is an inline table or a list of tables, which cannot be edited: write it under [%s]",
				strings.Join(s.Path, "."), table.Key())
		}
		if s.Header || len(s.Path) <= depth {
			continue
		}
		t.dotted = t.dotted || s.Table < depth
		f.enter(t, table, s)
	}
	return t, nil
}

// enter notes what a pair says of a mapping.
func (f *File) enter(t *target, table Table, s *tomlfile.Statement) {
	key := s.Path[len(table.Path)]
	name := strings.ToLower(strings.TrimSuffix(key, "."))
	at := t.entries[name]
	if at == nil {
		at = f.entry(table, key)
		t.entries[name] = at
		t.order = append(t.order, at)
		if !at.id.IsZero() {
			t.spellings[at.id] = append(t.spellings[at.id], at)
		}
	}
	switch rest := s.Path[len(table.Path)+1:]; {
	case len(rest) == 0:
		at.pair, at.whole = s, true
		_, at.inline = lookup(f.values, s.Path).(map[string]any)
	case len(rest) == 1 && rest[0] == "addresses":
		at.pair = s
	}
}

// entry reads the value of a mapping.
func (f *File) entry(table Table, key string) *entry {
	at := &entry{key: key}
	value := lookup(f.values, append(slices.Clone(table.Path), key))
	private := ""
	if settings, is := value.(map[string]any); is {
		value = settings["addresses"]
		private, _ = settings["private_name"].(string)
		_, at.probed = settings["probe"]
	}
	for _, text := range texts(value) {
		if addr, err := netip.ParseAddr(text); err == nil {
			at.addrs = union(at.addrs, addr)
		}
	}
	name, ok := hostName(key)
	if !ok {
		return at
	}
	n, derived := nameFrom(f.catalogue, name)
	if given, ok := hostName(private); ok {
		at.id = given
	} else if derived {
		at.id = n.id
	}
	return at
}

// lookup finds the value at a path of a decoded document; nil when there is none.
func lookup(values any, path []string) any {
	for _, key := range path {
		inner, is := values.(map[string]any)
		if !is {
			return nil
		}
		values = inner[key]
	}
	return values
}

// texts are the strings of a value that is one, or a list.
func texts(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		var all []string
		for _, element := range value {
			if text, is := element.(string); is {
				all = append(all, text)
			}
		}
		return all
	}
	return nil
}

// update puts the addresses of a mapping into the file, if they are others.
func (f *File) update(table Table, old *entry, m Mapping) error {
	given := func(addr netip.Addr) bool { return slices.Contains(old.addrs, addr) }
	if slices.Equal(old.addrs, union(nil, m.Addresses...)) {
		return nil // in the order of the file, which is the operator's choice
	}
	if old.probed && !slices.ContainsFunc(m.Addresses, func(a netip.Addr) bool { return !given(a) }) {
		return nil
	}
	if old.probed && len(old.addrs) > 1 {
		f.notes = append(f.notes, fmt.Sprintf("%s in [%s] is a list to choose from, and the export has %s: change it by hand",
			old.key, table.Key(), spell(m.Addresses)))
		return nil
	}
	at, ok := old.span(f.text)
	if !ok {
		return fmt.Errorf("%s in [%s] has a form that cannot be edited: write it as %s", old.key, table.Key(), line(m))
	}
	if bytes.ContainsRune(f.data[at.Start:at.End], '#') {
		return fmt.Errorf("%s in [%s] has comments inside its list, which would be lost: change it to %s by hand",
			old.key, table.Key(), spell(m.Addresses))
	}
	lines := tomlfile.Span{Start: old.pair.Start, End: old.pair.End}
	text := f.text[lines.Start:at.Start] + addressValue(m.Addresses)
	f.changes = append(f.changes, change{lines, text + renewComment(f.text[at.End:lines.End], m)})
	return nil
}

// span is where the addresses of a mapping stand.
func (e *entry) span(text string) (at tomlfile.Span, ok bool) {
	switch {
	case e.pair == nil:
		return at, false
	case e.inline:
		return e.pair.Member(text, "addresses")
	}
	return e.pair.Value(text)
}

// renewComment names the new resource where the old comment was import's own.
func renewComment(behind string, m Mapping) string {
	if m.Source == "" || !importedComment.MatchString(behind) {
		return behind
	}
	return importedComment.ReplaceAllString(behind, "${1}"+strings.ReplaceAll(m.Source, "$", "$$")+"${3}")
}

// leave deals with mappings of the file that the export does not have.
func (f *File) leave(table Table, t *target) error {
	left, removed := 0, 0
	stays := make(map[string][]string) // keys by the reason
	for _, at := range t.order {
		switch {
		case at.touched:
		case f.prune == nil:
			left++
		case f.stays(at, stays):
		case !at.whole:
			return fmt.Errorf("%s in [%s] is a table of its own: remove it by hand", at.key, table.Key())
		default:
			f.changes = append(f.changes, change{tomlfile.Span{Start: at.pair.Start, End: at.pair.End}, ""})
			removed++
		}
	}
	f.removed += removed
	if f.refused == nil && (removed > usualRemovals || removed*usualPart > len(t.order)) {
		f.refused = &RemovalError{Removed: removed, Of: len(t.order), Table: table.Key()}
	}
	for _, why := range slices.Sorted(maps.Keys(stays)) {
		f.notes = append(f.notes, fmt.Sprintf("%d of the names in [%s] are not in the export and stay: %s: %s",
			len(stays[why]), table.Key(), why, strings.Join(stays[why], ", ")))
	}
	if left > 0 {
		f.notes = append(f.notes, fmt.Sprintf("%d of the names in [%s] are not in "+
			"the export and stay: --prune removes them", left, table.Key()))
	}
	return nil
}

// stays reports whether a mapping is kept though no mapping of the export has its
// name: something that was left out may have it, or the export does not speak of it.
// It enters the key under the reason.
func (f *File) stays(at *entry, reasons map[string][]string) bool {
	names := at.names()
	if f.hasAddressOfGap(at) {
		return true
	}
	if gap, is := f.held.of(names...); is {
		why := "because of what is left out (" + f.prune.Result.Gaps[gap].Text + ")"
		reasons[why] = append(reasons[why], plain(at.key))
		return true
	}
	why := ""
	switch scope := f.prune.Result.scope; {
	case !scope.holds(names...):
		why = "the export has nothing of their zone"
	case !scope.holdsComment(f.lineOf(at)):
		why = "the export has nothing of the resource group behind them"
	case !f.isOfAzure(at):
		why = "they are outside the catalogue and not written by an import"
	default:
		return false
	}
	why += "; remove by hand what is gone"
	reasons[why] = append(reasons[why], plain(at.key))
	return true
}

// hasAddressOfGap reports whether a mapping has an address of an endpoint of which
// nothing tells the name: somebody mapped it by hand.
func (f *File) hasAddressOfGap(at *entry) bool {
	return slices.ContainsFunc(f.prune.Result.Gaps, func(g Gap) bool {
		return slices.ContainsFunc(g.Addresses, func(addr netip.Addr) bool { return slices.Contains(at.addrs, addr) })
	})
}

// isOfAzure reports whether the mapping is of a privatelink zone, or import wrote it.
func (f *File) isOfAzure(at *entry) bool {
	_, private := f.catalogue.ZoneOf(at.id)
	return private || importedComment.MatchString(f.lineOf(at))
}

// lineOf is the text of a mapping.
func (f *File) lineOf(at *entry) string {
	if at.pair == nil {
		return ""
	}
	return string(f.data[at.pair.Start:at.pair.End])
}

// names are the spellings of a mapping's name.
func (e *entry) names() []zones.Name {
	var names []zones.Name
	if name, ok := hostName(e.key); ok {
		names = append(names, name)
	}
	if !e.id.IsZero() {
		names = addTo(names, e.id)
	}
	return names
}

// Refused is why the edit must not be written; nil when it may.
func (f *File) Refused() error {
	if f.refused == nil || f.removed <= f.prune.Accept {
		return nil
	}
	f.refused.Total = f.removed
	return f.refused
}

// insert adds lines behind the last pair of a table, or a new table.
func (f *File) insert(table Table, lines []string) {
	if len(lines) == 0 {
		return
	}
	at, has := f.placeFor(table)
	eol := "\n"
	if bytes.Contains(f.data, []byte("\r\n")) {
		eol = "\r\n"
	}
	if !has {
		lines = append([]string{"[" + table.Key() + "]"}, lines...)
		if at > 0 {
			lines = append([]string{""}, lines...)
		}
		if at < len(f.data) && f.data[at] != '\n' && f.data[at] != '\r' {
			lines = append(lines, "")
		}
	}
	text := strings.Join(lines, eol) + eol
	if at > 0 && f.data[at-1] != '\n' {
		text = eol + text
	}
	f.changes = append(f.changes, change{tomlfile.Span{Start: at, End: at}, text})
}

// placeFor is where lines of a table go, and whether it has a header. A new table
// of a network goes behind what the file has of the network.
func (f *File) placeFor(table Table) (at int, has bool) {
	family := table.Path[:len(table.Path)-1]
	at = len(f.data)
	for _, s := range f.statements {
		own := slices.Equal(s.Path[:s.Table], table.Path)
		switch {
		case own:
			at, has = s.End, true
		case !has && len(family) > 1 && len(s.Path) >= len(family) && slices.Equal(s.Path[:len(family)], family):
			at = s.End
		}
	}
	return at, has
}
