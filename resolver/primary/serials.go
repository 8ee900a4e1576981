package primary

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"pldns/zones/content"
)

// serialsFile is the file with the serials of made zones.
const serialsFile = "serials.json"

// serials are the last serials of made zones, and of which content they are. It is for one
// goroutine.
type serials struct {
	path    string // empty: they are not kept
	replace func(path string, mode os.FileMode, write func(*os.File) error) error
	log     *slog.Logger
	known   map[string]serialOf // by network and zone
	dirty   bool
}

// serialOf is the serial of a content.
type serialOf struct {
	Serial uint32 `json:"serial"`
	Digest string `json:"digest"`
}

func (of id) String() string { return of.network + " " + of.zone.String() }

// open reads the file. Without it, every start counts as a change.
func (s *serials) open(o Options) {
	s.known, s.log, s.replace = make(map[string]serialOf), o.Log, o.Replace
	if o.Dir == "" {
		return
	}
	s.path = filepath.Join(o.Dir, serialsFile)
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = json.Unmarshal(text, &s.known)
	}
	if err != nil {
		s.known = make(map[string]serialOf)
		s.log.Warn("the serials of zones that other servers take are lost: they take those zones anew", "file", s.path, "error", err)
	}
}

// before is a serial that the first one is later than.
func (s *serials) before(of id, now time.Time) uint32 {
	if last, known := s.known[of.String()]; known {
		return last.Serial - 1
	}
	return Serial(0, now) - 1
}

// first is the serial of content that is made for the first time since the start.
func (s *serials) first(of id, made *content.Zone, now time.Time) uint32 {
	last, sum := s.known[of.String()], digest(made)
	if last.Digest == sum {
		return last.Serial
	}
	last = serialOf{Serial(last.Serial, now), sum}
	s.known[of.String()], s.dirty = last, true
	return last.Serial
}

// put notes the serial of new content.
func (s *serials) put(of id, made *content.Zone) {
	s.known[of.String()], s.dirty = serialOf{made.Serial(), digest(made)}, true
}

// save writes the file, if there is anything new.
func (s *serials) save() {
	if !s.dirty || s.path == "" {
		return
	}
	s.dirty = false
	if err := s.write(); err != nil {
		s.log.Warn("cannot keep the serials of zones that other servers take: after a restart they take those zones anew",
			"file", s.path, "error", err)
	}
}

func (s *serials) write() error {
	text, err := json.MarshalIndent(s.known, "", "  ")
	if err != nil {
		return fmt.Errorf("write serials: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o750); err != nil {
		return err
	}
	return s.replace(s.path, 0o640, func(file *os.File) error {
		_, err := file.Write(append(text, '\n'))
		return err
	})
}
