package azureimport

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pldns/config"
	"pldns/zones/azure"
)

// Target is a file of a configuration that an import is written into.
type Target struct {
	// Path is the file. It need not exist.
	Path string
	// Config is the main file of the configuration that Path is a part of; empty
	// when Path is that itself.
	Config string
	// Prune removes the names of the tables that the import does not have; nil for
	// none.
	Prune *Pruning
}

// Edited is a file with an import in it, not written yet.
type Edited struct {
	Data  []byte
	Diff  string // in the unified format; empty when nothing changes
	Notes []string
	// Refused is why it must not be written; nil when it may. It is a
	// [*RemovalError].
	Refused error

	path string // the file itself, behind symbolic links
	old  []byte
	mode fs.FileMode
}

// defaultMode is the mode of a file that did not exist: the configuration of a
// server is no secret, and others may have to read it.
const defaultMode = 0o644

// Edit makes the edited file, and checks that the configuration loads with it. What
// a network has elsewhere, in a set or in another file, with the same addresses,
// is not entered again. It is an error if it does not load, or what is there cannot be
// read or edited. Faults that the configuration had before do not count.
func (t Target) Edit(tables []Table) (*Edited, error) {
	path, err := filepath.EvalSymlinks(t.Path)
	if err != nil {
		path = t.Path
	}
	e := &Edited{path: path, mode: defaultMode}
	old, err := os.ReadFile(path)
	switch {
	case err == nil:
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("edit %s: %w", t.Path, err)
		}
		e.old, e.mode = old, info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("edit %s: %w: name a file that can be read", t.Path, err)
	}
	before, faults := t.load(old)
	f, err := newFile(t.Path, old, t.Prune, t.catalogue(before))
	if err != nil {
		return nil, err
	}
	for _, table := range tables {
		if err := f.Edit(t.without(before, table)); err != nil {
			return nil, err
		}
	}
	if e.Data, err = f.Result(); err != nil {
		return nil, err
	}
	e.Diff, e.Notes, e.Refused = f.Diff(), f.Notes(), f.Refused()
	return e, t.check(e, faults)
}

// check refuses a file with which the configuration would not load.
func (t Target) check(e *Edited, faults error) error {
	after, err := t.load(e.Data)
	if err == nil {
		if t.Config != "" && !slices.ContainsFunc(after.Files, t.is) {
			return fmt.Errorf("%s does not read %s: add it to files there", t.Config, t.Path)
		}
		return nil
	}
	var known, found config.Problems
	if !errors.As(err, &found) {
		return err
	}
	errors.As(faults, &known)
	fresh := slices.DeleteFunc(slices.Clone(found), func(p config.Problem) bool {
		return slices.ContainsFunc(known, func(q config.Problem) bool {
			return p.File == q.File && p.Key == q.Key && p.Text == q.Text
		})
	})
	if len(fresh) > 0 {
		return fmt.Errorf("with the import, the configuration would not load:\n%w\nnothing is written; "+
			"where %s is one of several files, name the main one with --config", fresh, t.Path)
	}
	e.Notes = append(e.Notes, fmt.Sprintf("the configuration does not load, and did not before: %s", found[0]))
	return nil
}

// load loads the configuration as if the file held the data.
func (t Target) load(data []byte) (*config.Config, error) {
	main := t.Config
	if main == "" {
		return config.Parse(t.Path, data, overlay{filepath.Dir(t.Path), "", nil})
	}
	text, err := os.ReadFile(main)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return config.Parse(main, text, overlay{filepath.Dir(main), t.Path, data})
}

// catalogue is that of the configuration as it was; where it did not load, the one
// that is part of the program.
func (t Target) catalogue(before *config.Config) *azure.Catalogue {
	if before == nil {
		return azure.New()
	}
	return before.Catalogue
}

// is reports whether a file of the configuration is the edited one.
func (t Target) is(file string) bool { return samePath(file, t.Path) }

func samePath(a, b string) bool {
	x, errX := filepath.Abs(a)
	y, errY := filepath.Abs(b)
	return errX == nil && errY == nil && x == y
}

// without leaves out of a network's table what the network has elsewhere already.
// Where the addresses differ, it stays, and the check finds both places.
func (t Target) without(before *config.Config, table Table) Table {
	if before == nil || table.Path[0] != "networks" {
		return table
	}
	elsewhere := make(map[identity]config.Endpoint)
	for _, network := range before.Networks {
		if network.Name != table.Path[1] {
			continue
		}
		for endpoint := range network.Endpoints() {
			if !t.is(endpoint.Place.File()) || !strings.HasPrefix(endpoint.Place.Key(), table.Key()+".") {
				elsewhere[identityOf(endpoint)] = endpoint
			}
		}
	}
	table.Mappings = slices.DeleteFunc(slices.Clone(table.Mappings), func(m Mapping) bool {
		other, has := elsewhere[m.id]
		return has && slices.Equal(union(nil, other.Addresses...), union(nil, m.Addresses...))
	})
	return table
}

// identityOf is the identity of an endpoint of a configuration.
func identityOf(endpoint config.Endpoint) identity {
	if endpoint.Private.IsZero() {
		return endpoint.Name
	}
	return endpoint.Private
}

// Write puts the edited file in the place of the old one, at once and with its
// mode. It refuses where somebody else changed the file meanwhile.
func (e *Edited) Write() error {
	if e.Refused != nil {
		return e.Refused
	}
	if e.Diff == "" {
		return nil
	}
	now, err := os.ReadFile(e.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", e.path, err)
	}
	if !bytes.Equal(now, e.old) {
		return fmt.Errorf("write %s: somebody changed it meanwhile: import again", e.path)
	}
	if err := config.ReplaceFile(e.path, e.mode, func(file *os.File) error {
		_, err := file.Write(e.Data)
		return err
	}); err != nil {
		return fmt.Errorf("write %s: %w", e.path, err)
	}
	return nil
}
