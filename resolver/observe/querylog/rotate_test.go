package querylog_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pldns/resolver/observe/querylog"
	"pldns/resolver/resolvertest"
)

// rotated are the lines of the files that were put aside beside a path, the oldest first,
// and how many of the files are compressed.
func rotated(t *testing.T, path string) (lines []string, files, packed int) {
	t.Helper()
	names, err := filepath.Glob(path + ".*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names { // in the order of their times
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".gz") {
			reader, err := gzip.NewReader(bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			if content, err = io.ReadAll(reader); err != nil {
				t.Fatal(err)
			}
			packed++
		}
		files++
		lines = append(lines, strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")...)
	}
	return lines, files, packed
}

// A file that is full is put aside and compressed; so many are kept, nothing is lost or
// cut at an edge, and what another program called alike stays.
func TestRotationBySize(t *testing.T) {
	const total = 400
	path := filepath.Join(t.TempDir(), "queries.json")
	foreign := path + ".1"
	for _, name := range []string{foreign, path + ".20200101T000000.000Z.gz.part"} {
		if err := os.WriteFile(name, []byte("other\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := new(counts)
	log, stop := run(t, querylog.Config{
		Mode: querylog.All, File: path, Observer: seen, Rotation: querylog.Rotation{Size: 8000, Keep: 100, Compress: true},
	})
	for i := range total {
		log.Exchanged(asked(fmt.Sprintf("n%d.", i)))
		resolvertest.Until(t, "a line is written", func() bool { return seen.of(querylog.Written) > i })
		if info, err := os.Stat(path); err == nil && info.Size() > 8000 {
			t.Fatalf("the file has %d octets", info.Size())
		}
	}
	resolvertest.Until(t, "all is compressed", func() bool {
		names, _ := filepath.Glob(path + ".2*")
		for _, name := range names {
			if !strings.HasSuffix(name, "Z.gz") {
				return false
			}
		}
		return len(names) > 2
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := os.Remove(foreign); err != nil {
		t.Error("the file of another program is gone")
	}
	old, files, packed := rotated(t, path)
	all := append(old, lines(t, path)...)
	if len(all) != total || files < 3 || packed != files {
		t.Errorf("%d lines of %d, in %d files, %d compressed", len(all), total, files, packed)
	}
	for i, line := range all {
		if !strings.Contains(line, fmt.Sprintf(`"n%d"`, i)) {
			t.Fatalf("line %d is %s", i, line)
		}
	}
}

// The oldest files go when there are more than are kept, those of earlier runs among them.
func TestRotationKeeps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries.json")
	for day := range 5 {
		if err := os.WriteFile(fmt.Sprintf("%s.2026010%dT000000.000Z", path, day+1), []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := new(counts)
	log, stop := run(t, querylog.Config{Mode: querylog.All, File: path, Observer: seen, Rotation: querylog.Rotation{Size: 100, Keep: 2}})
	log.Exchanged(asked("a."))
	resolvertest.Until(t, "the line is written", func() bool { return seen.of(querylog.Written) == 1 })
	log.Exchanged(asked("b."))
	resolvertest.Until(t, "the oldest go", func() bool { names, _ := filepath.Glob(path + ".*"); return len(names) == 2 })
	_ = stop()
	if old, _, packed := rotated(t, path); len(old) != 2 || old[0] != "{}" || !strings.Contains(old[1], `"a"`) || packed != 0 {
		t.Errorf("what stays is %q", old)
	}
}

// The age of a file is that of its first line, whoever wrote it: a restart does not make
// it younger. A last line that is not whole is ended first.
func TestRotationByAge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries.json")
	before := `{"time":"2026-11-22T00:00:00.000000Z","network":"europe"}` + "\n" + `{"time":"2026-11-2`
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	var now atomic.Pointer[time.Time]
	set := func(at string) {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		now.Store(&moment)
	}
	set("2026-11-22T23:59:00Z")
	seen := new(counts)
	log, stop := run(t, querylog.Config{
		Mode: querylog.All, File: path, Observer: seen, Rotation: querylog.Rotation{Age: 24 * time.Hour, Keep: 9, Compress: true},
		Now: func() time.Time { return *now.Load() },
	})
	log.Exchanged(asked("before."))
	resolvertest.Until(t, "the line is written", func() bool { return seen.of(querylog.Written) == 1 })
	if _, files, _ := rotated(t, path); files != 0 {
		t.Error("it was put aside too early")
	}
	set("2026-11-23T00:00:01Z")
	log.Exchanged(asked("after."))
	resolvertest.Until(t, "it is put aside", func() bool { names, _ := filepath.Glob(path + ".20261123T000001.000Z.gz"); return len(names) == 1 })
	_ = stop()
	old, _, _ := rotated(t, path)
	if now := lines(t, path); len(old) != 3 || !strings.Contains(old[2], `"before"`) || len(now) != 1 || !strings.Contains(now[0], `"after"`) {
		t.Errorf("put aside is %q, and there is %q", old, now)
	}
}

// A file that cannot be put aside is written to as before.
func TestRotationImpossible(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "queries.json")
	var said lockedBuffer
	seen := new(counts)
	start := time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC)
	log, stop := run(t, querylog.Config{
		Mode: querylog.All, File: path, Observer: seen, Rotation: querylog.Rotation{Size: 100, Keep: 2}, Log: textLog(&said),
		Now: func() time.Time { return start },
	})
	for i := range 1000 { // whatever its name would be
		if err := os.Mkdir(path+"."+start.Add(time.Duration(i)*time.Millisecond).Format("20060102T150405.000Z"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		log.Exchanged(asked("a."))
		resolvertest.Until(t, "the line is written", func() bool { return seen.of(querylog.Written) == i+1 })
	}
	_ = stop()
	if got := lines(t, path); len(got) != 3 || !strings.Contains(said.String(), "stays in the file") {
		t.Errorf("%q; said: %s", got, said.String())
	}
}

// A disk that is full costs lines, which are counted; nobody waits, and when there is room
// again the next line is whole.
func TestFullDisk(t *testing.T) {
	dir := fullDisk(t, 64<<10)
	path := filepath.Join(dir, "queries.json")
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 48<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	seen := new(counts)
	var slowest time.Duration
	log, stop := run(t, querylog.Config{Mode: querylog.All, File: path, Observer: seen, Rotation: querylog.Rotation{Size: 8 << 10, Keep: 9, Compress: true}})
	given := 0
	put := func(lines int) {
		for range lines {
			began := time.Now()
			log.Exchanged(asked("n."))
			slowest = max(slowest, time.Since(began))
		}
		given += lines
	}
	resolvertest.Until(t, "the disk is full", func() bool { put(100); return seen.of(querylog.Failed) > 0 })
	if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	before := seen.of(querylog.Written)
	resolvertest.Until(t, "a line is written after that", func() bool { put(1); return seen.of(querylog.Written) > before })
	_ = stop()
	if sum := seen.of(querylog.Written) + seen.of(querylog.Failed) + seen.of(querylog.Dropped); sum != given {
		t.Errorf("%d lines are counted of %d: %v", sum, given, seen.kind)
	}
	if slowest > time.Second {
		t.Errorf("somebody waited for %s", slowest)
	}
	whole := 0
	old, _, _ := rotated(t, path)
	for _, line := range append(old, lines(t, path)...) {
		if strings.HasPrefix(line, "{") && strings.HasSuffix(line, "}") {
			whole++
		}
	}
	if whole < seen.of(querylog.Written) {
		t.Errorf("%d whole lines, %d were written", whole, seen.of(querylog.Written))
	}
}
