package secondary_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pldns/config"
	"pldns/resolver/resolvertest"
	"pldns/resolver/secondary"
	"pldns/zones"
)

// files are those of a folder.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// only is the one file of a folder.
func only(t *testing.T, dir string) string {
	t.Helper()
	names := files(t, dir)
	if len(names) != 1 {
		t.Fatalf("there are %v", names)
	}
	return filepath.Join(dir, names[0])
}

// kept has a folder keep a version of the zone, as a server left it that was stopped at once.
func kept(t *testing.T, w *world, dir string, serial uint32, records ...string) *primary {
	t.Helper()
	p := w.primary(t, "10.0.0.1:53", zone(t, serial, records...))
	k := keep(t, secondary.Options{Dial: w.dial, Dir: dir}, from(at(p)))
	later(0)
	k.until(serial)
	k.stop()
	return p
}

// What was held is served after a restart, before any primary is asked, with every primary dead, until
// the time to expire is over, which goes on while nobody runs.
func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dir := filepath.Join(t.TempDir(), "made", "by", "the", "server")
		p := kept(t, w, dir, 1, hosts(0, 300)...)
		w.set(p.addr, true)
		time.Sleep(20 * time.Hour)
		k := secondary.New(secondary.Options{Dial: w.dial, Dir: dir})
		k.Hold([]secondary.Source{from(at(p))})
		c := k.Copies()["corp"]
		equal(t, c.Zone, zone(t, 1, hosts(0, 300)...))
		if s := k.States()[0]; c.Expired || time.Until(s.Expires) > 4*time.Hour || s.Primary != "" || !s.Changed.IsZero() {
			t.Errorf("%+v", s)
		}
		again := keep(t, secondary.Options{Dial: w.dial, Dir: dir}, from(at(p)))
		later(3 * time.Hour)
		if again.copy().Expired {
			t.Error("expired before its time")
		}
		later(time.Hour)
		if !again.copy().Expired {
			t.Error("not expired")
		}
		again.stop()
		again = keep(t, secondary.Options{Dial: w.dial, Dir: dir}, from(at(p)))
		if c := again.copy(); !c.Expired || c.Zone == nil {
			t.Error("what has expired is good after a restart")
		}
		w.set(p.addr, false)
		later(11 * time.Minute)
		if again.copy().Expired || p.count(252) != 1 {
			t.Errorf("%+v %v", again.state(), p.asked)
		}
	})
}

// When a copy was confirmed is on disk, too, though nothing else has changed.
func TestConfirmedOnDisk(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dir := t.TempDir()
		p := w.primary(t, "10.0.0.1:53", zone(t, 1))
		var written atomic.Int32
		replace := func(path string, mode os.FileMode, write func(*os.File) error) error {
			written.Add(1)
			return config.ReplaceFile(path, mode, write)
		}
		k := keep(t, secondary.Options{Dial: w.dial, Dir: dir, Replace: replace}, from(at(p)))
		later(20 * time.Hour)
		if n := written.Load(); n != 1 {
			t.Errorf("a zone that has not changed is written %d times", n)
		}
		k.stop()
		w.set(p.addr, true)
		time.Sleep(20 * time.Hour)
		again := keep(t, secondary.Options{Dial: w.dial, Dir: dir, Replace: replace}, from(at(p)))
		if again.copy().Expired {
			t.Errorf("%+v", again.state())
		}
		again.stop()
		// Somebody else's file in its place is not written into.
		path := only(t, dir)
		if err := os.WriteFile(path, []byte(strings.Repeat("mine\n", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
		w.set(p.addr, false)
		last := keep(t, secondary.Options{Dial: w.dial, Dir: dir, Replace: replace}, from(at(p)))
		later(time.Hour)
		last.until(1)
		if octets, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(octets), "; pldns-copy 1 confirmed ") {
			t.Errorf("%q %v", octets, err)
		}
	})
}

// A file that is not good is told, set aside, and the zone is taken anew.
func TestBadFiles(t *testing.T) {
	for name, spoil := range map[string]func(text string) string{
		"empty":           func(string) string { return "" },
		"cut":             func(text string) string { return text[:len(text)*2/3] },
		"another address": func(text string) string { return strings.Replace(text, "10.0.0.7", "10.0.0.9", 1) },
		"no head":         func(text string) string { _, rest, _ := strings.Cut(text, "\n"); return rest },
		"a head alone":    func(text string) string { head, _, _ := strings.Cut(text, "\n"); return head },
		"a long head":     func(text string) string { return "; pldns-copy 1 " + strings.Repeat("x", 1<<20) + text },
		"garbage":         func(string) string { return strings.Repeat("\x00\xff(\"", 1000) },
		"another zone":    func(text string) string { return strings.Replace(text, "zone corp.example.", "zone other.example.", 1) },
		"a time of nobody": func(text string) string {
			return strings.Replace(text, "confirmed 2000-01-01", "confirmed 2000-13-01", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				dir := t.TempDir()
				p := kept(t, w, dir, 1, hosts(0, 20)...)
				path := only(t, dir)
				octets, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(spoil(string(octets))), 0o600); err != nil {
					t.Fatal(err)
				}
				w.set(p.addr, true)
				k := keep(t, secondary.Options{Dial: w.dial, Dir: dir}, from(at(p)))
				if k.copy().Zone != nil {
					t.Error("it is served")
				}
				w.set(p.addr, false)
				later(time.Minute)
				equal(t, k.until(1), zone(t, 1, hosts(0, 20)...))
				if !strings.Contains(k.log.String(), "is set aside as .bad") || len(files(t, dir)) != 2 {
					t.Error(files(t, dir))
				}
				k.stop()
				again := keep(t, secondary.Options{Dial: w.dial, Dir: dir}, from(at(p)))
				equal(t, again.copy().Zone, zone(t, 1, hosts(0, 20)...))
			})
		})
	}
}

// A disk that is full does not stop serving; it is told, and the copy is written when there is room.
func TestFullDisk(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dir := t.TempDir()
		var full atomic.Bool
		full.Store(true)
		replace := func(path string, mode os.FileMode, write func(*os.File) error) error {
			if full.Load() {
				return errors.New("no space left on device")
			}
			return config.ReplaceFile(path, mode, write)
		}
		p := w.primary(t, "10.0.0.1:53", zone(t, 1))
		k := keep(t, secondary.Options{Dial: w.dial, Dir: dir, Replace: replace}, from(at(p)))
		later(20 * time.Minute)
		k.until(1)
		if s := k.state(); s.Unsaved != "no space left on device" || s.Fault != "" {
			t.Errorf("%+v", s)
		}
		if n := strings.Count(k.log.String(), "cannot be written to disk"); n != 1 {
			t.Errorf("told %d times", n)
		}
		full.Store(false)
		later(5 * time.Minute)
		if s := k.state(); s.Unsaved != "" || len(files(t, dir)) != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A zone that changes all the time is written twice a minute, and when the program stops.
func TestWrittenSeldom(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		dir := t.TempDir()
		var written atomic.Int32
		replace := func(path string, mode os.FileMode, write func(*os.File) error) error {
			written.Add(1)
			return config.ReplaceFile(path, mode, write)
		}
		p := w.primary(t, "10.0.0.1:53", zone(t, 1))
		k := keep(t, secondary.Options{Dial: w.dial, Dir: dir, Replace: replace}, from(at(p)))
		const minutes = 5
		for i := range uint32(minutes * 60) {
			p.serves(nil, zone(t, i+1), zone(t, i+2))
			k.Notify(zones.MustName(apex), p.addr.Addr(), zones.Name{})
			later(time.Second)
		}
		if n := written.Load(); n < 2*minutes-1 || n > 2*minutes+1 {
			t.Errorf("written %d times in %d minutes", n, minutes)
		}
		k.stop()
		again := keep(t, secondary.Options{Dial: w.dial, Dir: dir}, from(at(p)))
		if s := again.state(); s.Serial < minutes*60 {
			t.Errorf("what came last is not on disk: %+v", s)
		}
	})
}

// Names of zones cannot lead out of the folder, and two copies of one zone have two files.
func TestFileNames(t *testing.T) {
	dir := t.TempDir()
	odd := []string{`\.\.`, `\.\./\.\./etc.example`, `\.hidden`, "0/25.2.0.10.in-addr.arpa", `a\.b.example`, "UP.example", strings.Repeat(strings.Repeat("/", 60)+".", 4) + "x", "."}
	var sources []secondary.Source
	for i, name := range odd {
		apex := zones.MustName(name)
		z := zoneOf(t, apex.FQDN(), 1, 3600)
		for twice := range 2 {
			sources = append(sources, secondary.Source{ID: fmt.Sprint(i, twice), Zone: apex, Primaries: []secondary.Primary{at(newPrimary(t, nil, z))}})
		}
	}
	k := keep(t, secondary.Options{Dir: filepath.Join(dir, "zones")}, sources...)
	resolvertest.Until(t, "all are there", func() bool {
		for _, c := range k.Copies() {
			if c.Zone == nil {
				return false
			}
		}
		return true
	})
	k.stop()
	if names := files(t, filepath.Join(dir, "zones")); len(names) != len(sources) || len(files(t, dir)) != 1 {
		t.Error(names, files(t, dir))
	}
	again := keep(t, secondary.Options{Dir: filepath.Join(dir, "zones")}, sources...)
	for id, c := range again.Copies() {
		if c.Zone == nil {
			t.Errorf("%s is not read", id)
		}
	}
}
