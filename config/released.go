package config

import (
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pldns/zones/azure"
)

// Release is the files of a fleet's store that belong to a configuration: what is
// written in the machine's own files wins over them.
type Release struct {
	ID   string // names it, in messages, too
	Main string // the path of its main file in Files
	// Files are read with [fs.ReadFile] and [fs.Glob].
	Files fs.FS
}

// Releases gives the release of a store; nil where there is none yet.
type Releases func(Store) (*Release, error)

// ownKeys are the tables of the main file that belong to one machine. They are no part of
// a release, and one that has them all the same is read without them.
func ownKeys() []string {
	return []string{"listen", "tls", "store", "azure", "log", "otlp", "clients", "tsig"}
}

// notReleased are the tables and keys that are left out of a release: [ownKeys], and
// where the machine keeps what it counted and transferred.
func notReleased() []string {
	return append(ownKeys(), "traffic.state", "secondary.state", "secondary.ca")
}

// releasedPrefix begins the name of a release's file in messages.
const releasedPrefix = "release "

// Released tells whether a place is in a file of a release.
func (p Place) Released() bool { return strings.HasPrefix(p.File(), releasedPrefix) }

// CheckRelease is [CheckWith] where of the file only the tables that belong to one machine
// count, and everything else is as the release says. The error is that of Check.
func CheckRelease(path string, releases Releases) (Report, error) {
	return checkWith(path, nil, releases, true)
}

// ParseRelease reads a release by itself, whatever machine it is for: nothing is missing
// that a machine would have in its own file. The error is [Problems], or that of the files.
func ParseRelease(r *Release) (*Config, error) {
	files := newReleasedFiles(r, memoryFiles{})
	name := files.path(r.Main)
	data, err := files.read(name)
	if err != nil {
		return nil, err
	}
	l := newLoader(name, files, azure.New(), time.Now())
	l.anywhere = true
	return l.examine(data).result()
}

// keep removes all keys but some.
func (t table) keep(keys ...string) {
	for _, key := range t.keys() {
		if !slices.Contains(keys, key) {
			delete(t.values, key)
		}
	}
}

// releasedFiles are the files of a release. What is written as an absolute path is on the
// machine.
type releasedFiles struct {
	machine files
	prefix  string
	fsys    fs.FS
}

func newReleasedFiles(r *Release, machine files) releasedFiles {
	return releasedFiles{machine, releasedPrefix + r.ID[:min(len(r.ID), 12)] + "/", r.Files}
}

func (r releasedFiles) match(pattern string) ([]string, error) {
	if filepath.IsAbs(pattern) {
		return r.machine.match(pattern)
	}
	names, err := fs.Glob(r.fsys, path.Clean(filepath.ToSlash(pattern)))
	for i := range names {
		names[i] = r.prefix + names[i]
	}
	return names, err
}

func (r releasedFiles) absolute(pattern string) string {
	if filepath.IsAbs(pattern) {
		return pattern
	}
	return ""
}

func (r releasedFiles) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return r.prefix + path.Clean(filepath.ToSlash(name))
}

func (r releasedFiles) read(name string) ([]byte, error) {
	if inside, is := strings.CutPrefix(name, r.prefix); is {
		return fs.ReadFile(r.fsys, inside)
	}
	return r.machine.read(name)
}

func (r releasedFiles) open(name string) (io.ReadCloser, error) {
	if inside, is := strings.CutPrefix(name, r.prefix); is {
		return r.fsys.Open(inside)
	}
	return r.machine.open(name)
}

func (r releasedFiles) readSmall(name string) ([]byte, error) {
	if inside, is := strings.CutPrefix(name, r.prefix); is {
		return fs.ReadFile(r.fsys, inside)
	}
	return r.machine.readSmall(name)
}

func (r releasedFiles) public(name string) bool {
	return !strings.HasPrefix(name, r.prefix) && r.machine.public(name)
}

// openRelease opens the main file of the release that belongs to the store, if there is
// one. The table has no values where there is none, or where it is no TOML.
func (l *loader) openRelease() (root table) {
	var settings Store
	switch {
	case l.releases == nil, l.config.Store == nil && !l.own:
		return table{}
	case l.config.Store != nil:
		settings = *l.config.Store
	}
	release, err := l.releases(settings)
	if err != nil {
		l.rep.add(placeOf(l.main, "store"), faultf("correct the store, or name another release", "%s", err))
		return table{}
	}
	if release == nil {
		return table{}
	}
	l.config.Release = release
	l.released = newReleasedFiles(release, l.files)
	name := l.released.path(release.Main)
	data, err := l.released.read(name)
	if err != nil {
		l.rep.add(placeOf(name, ""), faultf("push the configuration again", "%s", err))
		return table{}
	}
	root, ok := l.rep.open(name, data)
	if !ok {
		return table{}
	}
	for _, key := range ownKeys() {
		delete(root.values, key)
	}
	root.only(append(mainKeys(), sharedKeys()...)...)
	return root
}

// over is a main file with those tables of a release's main file that it lacks and that
// stand in main files alone.
func (t table) over(released table) table {
	t.values = maps.Clone(t.values)
	t.elsewhere = make(map[string]string)
	for _, key := range mainKeys() {
		if value, given := released.values[key]; given && !t.has(key) && key != "files" {
			t.values[key], t.elsewhere[key] = value, released.file
		}
	}
	return t
}

// fileOf is the file that a key of the table stands in.
func (t table) fileOf(key string) string {
	if file, is := t.elsewhere[key]; is {
		return file
	}
	return t.file
}

// filesFor are the files that paths in a table of the main file are of.
func (l *loader) filesFor(main table, key string) files {
	if _, is := main.elsewhere[key]; is {
		return l.released
	}
	return l.files
}

// releasedTables reads what a release says, and the machine's own files do not.
func (l *loader) releasedTables(root table) {
	if root.rep == nil {
		return
	}
	for _, set := range l.endpointSets {
		set.claim()
	}
	for _, draft := range l.drafts {
		draft.mapped.claim()
	}
	own := l.files
	l.files = l.released
	l.rep.prune(root)
	l.tables(root)
	l.more(root, l.released)
	l.files = own
}

// prune removes the keys of a released table that the machine's own files give. Lists of
// what is to be read besides do not take the place of each other.
func (r *report) prune(root table) {
	var given []string
	for key, at := range r.given {
		switch {
		case at.Released():
		case key == "files" || strings.HasSuffix(key, ".hosts") || strings.HasSuffix(key, ".include"):
			delete(r.given, key)
		default:
			given = append(given, key)
		}
	}
	slices.Sort(given)
	pruneBelow(root, given)
}

func pruneBelow(t table, given []string) {
	for _, key := range t.keys() {
		path := t.place(key).Key()
		_, found := slices.BinarySearch(given, path)
		at, _ := slices.BinarySearch(given, path+".")
		switch inner, is := t.values[key].(map[string]any); {
		case found:
			delete(t.values, key)
		case is && at < len(given) && strings.HasPrefix(given[at], path+"."):
			pruneBelow(table{rep: t.rep, file: t.file, path: path, values: inner}, given)
		}
	}
}

// claim keeps the names of what is mapped so far from a release.
func (m *mappings) claim() {
	m.claimed = make(map[string]bool, m.count())
	for _, e := range m.all() {
		for _, name := range e.names() {
			m.claimed[name] = true
		}
	}
}

// names are the names that the endpoint answers.
func (e *Endpoint) names() []string {
	if e.Private.IsZero() {
		return []string{e.Name.FQDN()}
	}
	return []string{e.Name.FQDN(), e.Private.FQDN()}
}

// yields tells whether an endpoint of a release gives way to one of the machine's files.
func (m *mappings) yields(e *Endpoint) bool {
	if len(m.claimed) == 0 || !e.Place.Released() {
		return false
	}
	return slices.ContainsFunc(e.names(), func(name string) bool { return m.claimed[name] })
}

// Released tells whether the spot is in a file of a release.
func (s Spot) Released() bool { return strings.HasPrefix(s.File, releasedPrefix) }
