package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/azure"
)

// Report is all that there is to say of a configuration.
type Report struct {
	// Config is nil where there are faults.
	Config *Config
	// Catalogue has the rows of the file, also where there are faults elsewhere.
	Catalogue *azure.Catalogue
	// Faults keep it from being served, Warnings do not: they are what is probably
	// not meant. Both are in the order of files and lines.
	Faults, Warnings Problems
}

// Check reads a configuration as [Load] does, and tells all of its faults and
// warnings. The error says why the file cannot be read.
func Check(path string) (Report, error) { return CheckWith(path, nil) }

// CheckWith is [Check] of a file together with the release of its store; nil for the file
// alone. The error is that of Check.
func CheckWith(path string, releases Releases) (Report, error) {
	return checkWith(path, nil, releases, false)
}

func checkWith(path string, kept *Memory, releases Releases, own bool) (Report, error) {
	data, err := readMain(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Report{}, fmt.Errorf("read the configuration: %w: write the file, or name another one", err)
	case errors.Is(err, fs.ErrPermission):
		return Report{}, fmt.Errorf("read the configuration: %w: let this user read the file", err)
	case err != nil:
		return Report{}, fmt.Errorf("read the configuration: %w: name a file that can be read", err)
	}
	l := newLoader(path, diskFiles{filepath.Dir(path)}, azure.New(), time.Now())
	l.kept, l.releases, l.own = kept, releases, own
	return l.examine(data), nil
}

// Load reads the configuration in a file and in those that it names with the key
// files. The error is [Problems] when something in them is wrong, and otherwise
// says why the file cannot be read. What is no regular file, or has more than 64
// MiB, is refused; a share that does not answer holds Load up for as long as the
// system waits for it.
func Load(path string) (*Config, error) { return LoadWith(path, nil) }

// LoadWith is [Load] of a file together with the release of its store; nil for the file
// alone. The error is that of Load.
func LoadWith(path string, releases Releases) (*Config, error) {
	report, err := CheckWith(path, releases)
	if err != nil {
		return nil, err
	}
	return report.result()
}

// result is the configuration, or its faults.
func (r Report) result() (*Config, error) {
	if len(r.Faults) > 0 {
		return nil, r.Faults
	}
	return r.Config, nil
}

// Parse reads a configuration that is in memory. The name stands for it in
// messages. The patterns of the key files are relative to the root of fsys; a nil
// fsys holds no file. The error is [Problems].
func Parse(name string, data []byte, fsys fs.FS) (*Config, error) {
	return load(name, data, memoryFiles{fsys}, azure.New())
}

// ParseWith is [Parse] with a catalogue that has rows of other files. The error is
// [Problems].
func ParseWith(catalogue *azure.Catalogue, name string, data []byte, fsys fs.FS) (*Config, error) {
	return load(name, data, memoryFiles{fsys}, catalogue)
}

func load(name string, data []byte, files files, catalogue *azure.Catalogue) (*Config, error) {
	return newLoader(name, files, catalogue, time.Now()).examine(data).result()
}

// loader reads the files of one configuration. What a file says goes into drafts,
// because tables of several files add up; when all are read, the drafts are
// finished: held against each other and made into what Config holds.
type loader struct {
	rep       *report
	catalogue *azure.Catalogue
	config    *Config
	guesser   *azure.Guesser // nil until it is needed
	now       time.Time
	main      string // name of the main file
	files     files
	releases  Releases      // nil for none
	kept      *Memory       // nil for none
	own       bool          // whether of the main file only what belongs to the machine counts
	anywhere  bool          // whether nothing is known of the machine
	released  releasedFiles // of the release, if there is one
	inTOML    int           // how many mappings files in TOML have

	listenKnown  bool // whether every address of listen is in order
	opened       opened
	groups       map[string]*groupDraft
	top          routes
	undefined    map[Place]bool // routes whose group is reported to be undefined
	endpointSets map[string]*mappings
	included     map[string]bool // sets that a network has
	recordPlaces map[dns.RR]Place
	shared       zoneDrafts
	keys         map[zones.Name]*keyDraft
	// sharedCatalogs are those of all networks.
	sharedCatalogs catalogDrafts
	copies         map[string]*Copy // by id
	copyPlaces     map[string]Place // where each is written first
	policyDrafts   map[string]*policyDraft
	drafts         map[string]*networkDraft
	shadowed       Place // where Config.Shadow names its group
	// shadowedNetworks are the networks that Config.Shadow names.
	shadowedNetworks []entry
	loggedNetworks   []entry // that Config.QueryLog names
	azurePlaces      []Place // of the tables of Config.Azure
	hasNetworks      bool    // whether a file says anything about networks, faulty or not
	odd              []oddName
	oddMore          int      // how many there are besides
	oddMoreAt        Place    // and the first of them
	called           []string // networks that clients have names in, and where that is written
	calledPlaces     []Place
	egress           []uint16 // ports that probes may use; nil where the file does not say
}

// newLoader makes what reads a configuration, as of a time.
func newLoader(name string, files files, catalogue *azure.Catalogue, now time.Time) *loader {
	return &loader{
		rep: newReport(), catalogue: catalogue, now: now, config: &Config{Files: []string{name}}, main: name, files: files,
		groups: make(map[string]*groupDraft), undefined: make(map[Place]bool),
		endpointSets: make(map[string]*mappings), included: make(map[string]bool),
		recordPlaces: make(map[dns.RR]Place), shared: make(zoneDrafts), sharedCatalogs: make(catalogDrafts),
		keys: make(map[zones.Name]*keyDraft), copies: make(map[string]*Copy), copyPlaces: make(map[string]Place),
		policyDrafts: make(map[string]*policyDraft), drafts: make(map[string]*networkDraft),
	}
}

// examine reads a configuration.
func (l *loader) examine(data []byte) Report {
	files := l.files
	root, ok := l.rep.open(l.main, data)
	if !ok {
		return l.report()
	}
	root.only(append(mainKeys(), sharedKeys()...)...)
	if l.own {
		root.keep(append(ownKeys(), "traffic", "secondary")...)
	}
	l.store(root, files)
	released := l.openRelease()
	main := root.over(released)
	l.open(main)
	l.listen(main, files)
	l.secure(main, files)
	l.trust(main)
	l.limit(main)
	if l.anywhere {
		l.listenKnown, l.opened = false, opened{names: true, certificates: true, paths: true, links: true}
	}
	l.probes(main, l.filesFor(main, "probe"))
	l.settings(main)
	l.log(main)
	l.otlp(main, files)
	l.signals(main, files)
	l.shadow(main)
	l.catalogued(main)
	l.azures(main, files)
	l.traffic(root, released, files)
	l.tsig(root, files)
	l.secondary(root, released, files)
	l.clientNames(root, files)
	l.tables(root)
	l.more(root, files)
	l.releasedTables(released)
	l.finish()
	return l.report()
}

// report is what has been found out.
func (l *loader) report() Report {
	r := Report{Catalogue: l.catalogue, Faults: l.rep.sorted(l.rep.problems), Warnings: l.rep.sorted(l.rep.warnings)}
	if len(r.Faults) == 0 {
		r.Config = l.config
		r.Config.Catalogue, r.Config.Warnings, r.Config.lines = l.catalogue, r.Warnings, newLines(l.rep.documents)
	}
	return r
}

// mainKeys are the top-level keys of the main file alone.
func mainKeys() []string {
	return []string{
		"listen", "tls", "trust", "limit", "cache", "probe", "query_log", "dnstap", "shadow", "deadline", "files", "catalogue", "azure",
		"store", "traffic", "log", "otlp", "clients", "secondary", "tsig",
	}
}

// sharedKeys are the top-level keys that every file may hold.
func sharedKeys() []string {
	return []string{"upstreams", "forward", "endpoints", "networks", "zones", "catalogs", "policy"}
}

// tables reads what every file may hold.
func (l *loader) tables(root table) {
	l.upstreams(root)
	l.top = l.forward(root, l.top)
	l.sets(root)
	l.zones(root, l.shared)
	l.catalogs(root, l.sharedCatalogs)
	l.policies(root)
	l.networks(root)
}

// finish makes the configuration of the drafts. The groups come last, when all that
// is forwarded to them is known.
func (l *loader) finish() {
	l.finishForward()
	l.finishClients()
	l.finishZones()
	l.finishCatalogs()
	l.finishAzure()
	l.finishNetworks()
	l.finishShadow()
	l.finishQueryLog()
	l.finishUpstreams()
	l.warnOfNames()
	l.warnOfNetworks()
	l.warnOfUncovered()
	l.warnOfPolicies()
	l.keepPolicies()
	l.finishPolicyZones()
	l.warnOfTransfers()
	l.finishCopies()
	l.finishKeys()
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
		for _, name := range l.matches(pattern, "endpoints.d/*.toml") {
			l.file(pattern, name, files)
		}
	}
}

// matches are the files that a pattern matches, which belong to the configuration,
// also those that it matches later.
func (l *loader) matches(pattern entry, example string) []string {
	if full := l.files.absolute(pattern.text); full != "" {
		l.config.Patterns = append(l.config.Patterns, full)
	}
	names, err := l.files.match(pattern.text)
	switch wild := strings.ContainsAny(pattern.text, "*?["); {
	case err != nil:
		l.rep.add(pattern.place, faultf(fmt.Sprintf("write a path such as %q", example), "%q is no pattern: %s", pattern.text, err))
	case len(names) == 0 && wild:
		l.rep.warn(pattern.place, faultf("correct the pattern, which is relative to the directory of this file, or remove it",
			"%q matches no file", pattern.text))
	case len(names) == 0:
		l.rep.add(pattern.place, faultf("write the path of a file, relative to the directory of this one",
			"%q does not exist", pattern.text))
	}
	return names
}

// file reads one further file, unless it is read already.
func (l *loader) file(pattern entry, name string, files files) {
	known := l.rep.documents[name]
	if known != nil && known.isHosts {
		l.rep.add(pattern.place, faultf("name it in files or in hosts, not in both", "%s is a hosts file", name))
		return
	}
	if known != nil || filepath.Clean(name) == filepath.Clean(l.main) {
		return
	}
	data, err := files.read(name)
	if err != nil {
		l.rep.add(pattern.place, faultf("write a pattern that matches only files this user can read", "%s", err))
		return
	}
	l.readFrom(name)
	root, ok := l.rep.open(name, data)
	if !ok {
		return
	}
	for _, key := range mainKeys() {
		if root.has(key) {
			l.rep.add(root.place(key), faultf("move it to "+l.main, "stands in the main file only"))
			delete(root.values, key)
		}
	}
	root.only(sharedKeys()...)
	if root.here().Released() {
		l.rep.prune(root)
	}
	l.tables(root)
}

// readFrom notes a file of the machine that was read.
func (l *loader) readFrom(name string) {
	if !placeOf(name, "").Released() {
		l.config.Files = append(l.config.Files, name)
	}
}
