package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"pldns/zones/azure"
)

// Load reads the configuration in a file and in those that it names with the key
// files. The error is [Problems] when something in them is wrong, and otherwise
// says why the file cannot be read. What is no regular file, or has more than 256
// MiB, is refused; a share that does not answer holds Load up for as long as the
// system waits for it.
func Load(path string) (*Config, error) {
	data, err := readMain(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the configuration: %w: write the file, or name another one", err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("read the configuration: %w: let this user read the file", err)
	case err != nil:
		return nil, fmt.Errorf("read the configuration: %w: name a file that can be read", err)
	}
	return load(path, data, diskFiles{filepath.Dir(path)}, azure.New())
}

// Parse reads a configuration that is in memory. The name stands for it in
// messages. The patterns of the key files are relative to the root of fsys; a nil
// fsys holds no file. The error is [Problems].
func Parse(name string, data []byte, fsys fs.FS) (*Config, error) {
	return load(name, data, memoryFiles{fsys}, azure.New())
}

// loader reads the files of one configuration. What a file says goes into drafts,
// because tables of several files add up; when all are read, the drafts are
// finished: held against each other and made into what Config holds.
type loader struct {
	rep       *report
	catalogue *azure.Catalogue
	config    *Config
	main      string // name of the main file

	listenKnown  bool // whether every address of listen is in order
	opened       opened
	groups       map[string]*groupDraft
	top          routes
	undefined    map[Place]bool // routes whose group is reported to be undefined
	endpointSets map[string][]Endpoint
	shared       zoneDrafts
	drafts       map[string]*networkDraft
	hasNetworks  bool // whether a file says anything about networks, faulty or not
}

func load(name string, data []byte, files files, catalogue *azure.Catalogue) (*Config, error) {
	l := &loader{
		rep: newReport(), catalogue: catalogue, config: &Config{Files: []string{name}}, main: name,
		groups: make(map[string]*groupDraft), undefined: make(map[Place]bool),
		endpointSets: make(map[string][]Endpoint), shared: make(zoneDrafts), drafts: make(map[string]*networkDraft),
	}
	root, ok := l.rep.open(name, data)
	if !ok {
		return nil, l.rep.err()
	}
	root.only(append(mainKeys(), sharedKeys()...)...)
	l.listen(root, files)
	l.secure(root, files)
	l.trust(root)
	l.limit(root)
	l.open(root)
	l.probes(root, files)
	l.settings(root)
	l.signals(root, files)
	l.catalogued(root)
	l.tables(root)
	l.more(root, files)
	l.finish()
	if err := l.rep.err(); err != nil {
		return nil, err
	}
	l.config.Catalogue = l.catalogue
	return l.config, nil
}

// mainKeys are the top-level keys of the main file alone.
func mainKeys() []string {
	return []string{"listen", "tls", "trust", "limit", "cache", "probe", "query_log", "dnstap", "deadline", "files", "catalogue"}
}

// sharedKeys are the top-level keys that every file may hold.
func sharedKeys() []string { return []string{"upstreams", "forward", "endpoints", "networks", "zones"} }

// tables reads what every file may hold.
func (l *loader) tables(root table) {
	l.upstreams(root)
	l.top = l.forward(root, l.top)
	l.sets(root)
	l.zones(root, l.shared)
	l.networks(root)
}

// finish makes the configuration of the drafts. The groups come last, when all that
// is forwarded to them is known.
func (l *loader) finish() {
	l.finishForward()
	l.finishZones()
	l.finishNetworks()
	l.finishUpstreams()
}

// settings reads what stands alone: the deadline and the cache.
func (l *loader) settings(root table) {
	l.config.Deadline = root.duration("deadline", defaultDeadline, minDeadline, maxDeadline)
	t, _ := root.sub("cache")
	t.only("entries", "bytes", "stale", "late", "min_ttl", "max_ttl", "prefetch")
	l.config.Cache = Cache{
		Entries:  t.integer("entries", defaultEntries, 0, maxEntries),
		Bytes:    t.size("bytes", defaultBytes, minBytes, maxBytes),
		Stale:    t.duration("stale", defaultStale, 0, maxAge),
		Late:     t.duration("late", max(defaultLate, l.config.Deadline), minDeadline, maxLate),
		MinTTL:   t.duration("min_ttl", defaultMinTTL, 0, maxMinTTL),
		MaxTTL:   t.duration("max_ttl", defaultMaxTTL, 1e9, maxAge),
		Prefetch: t.boolean("prefetch", defaultPrefetch),
	}
	cache := l.config.Cache
	if cache.MinTTL > cache.MaxTTL {
		l.rep.add(t.place("min_ttl"), faultf("write a shorter time, or a longer max_ttl",
			"%s is more than max_ttl, which is %s", spell(cache.MinTTL), spell(cache.MaxTTL)))
	}
	if cache.Late < l.config.Deadline {
		l.rep.add(t.place("late"), faultf("write a longer time, or a shorter deadline",
			"%s is less than deadline, which is %s", spell(cache.Late), spell(l.config.Deadline)))
	}
}

// more reads the files that the main file names.
func (l *loader) more(root table, files files) {
	patterns, _ := root.texts("files", "endpoints.d/*.toml")
	for _, pattern := range patterns {
		if full := files.absolute(pattern.text); full != "" {
			l.config.Patterns = append(l.config.Patterns, full)
		}
		names, err := files.match(pattern.text)
		switch {
		case err != nil:
			l.rep.add(pattern.place, faultf(`write a path such as "endpoints.d/*.toml"`, "%q is no pattern: %s", pattern.text, err))
		case len(names) == 0 && !strings.ContainsAny(pattern.text, "*?["):
			l.rep.add(pattern.place, faultf("write the path of a file, relative to the directory of this one",
				"%q does not exist", pattern.text))
		}
		for _, name := range names {
			l.file(pattern, name, files)
		}
	}
}

// file reads one further file, unless it is read already.
func (l *loader) file(pattern entry, name string, files files) {
	if _, read := l.rep.documents[name]; read || filepath.Clean(name) == filepath.Clean(l.main) {
		return
	}
	data, err := files.read(name)
	if err != nil {
		l.rep.add(pattern.place, faultf("write a pattern that matches only files this user can read", "%s", err))
		return
	}
	l.config.Files = append(l.config.Files, name)
	root, ok := l.rep.open(name, data)
	if !ok {
		return
	}
	for _, key := range mainKeys() {
		if root.has(key) {
			l.rep.add(root.place(key), faultf("move it to "+l.main, "stands in the main file only"))
			root.values.remove(key)
		}
	}
	root.only(sharedKeys()...)
	l.tables(root)
}
