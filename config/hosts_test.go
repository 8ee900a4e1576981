package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pldns/config"
	"pldns/zones"
)

const hostsMain = "[networks.europe]\nclients = [\"10.0.0.0/16\"]\nhosts = [\"*.hosts\"]\n"

// TestHostsLimits shows that what is no hosts file is told in a few lines, and that
// a line has a limit.
func TestHostsLimits(t *testing.T) {
	for name, text := range map[string]string{
		"has a line of more than 64 KiB":                         "10.0.1.4 a.contoso.com\n10.0.1.5 " + strings.Repeat("x", 70_000),
		"has more than 1000 faults, and is not read any further": strings.Repeat("no address\n", 100_000),
	} {
		_, err := config.Parse("main.toml", []byte(hostsMain), fstest.MapFS{"a.hosts": {Data: []byte(text)}})
		var problems config.Problems
		if !errors.As(err, &problems) || len(problems) > 1001 {
			t.Fatalf("Parse gives %d problems", len(problems))
		}
		if last := problems[len(problems)-1]; last.Text != name || last.File != "a.hosts" || last.Line < 2 {
			t.Errorf("the last problem is %v, want %s", last, name)
		}
	}
}

// TestHostsAreWatched shows that hosts files are among the files of a configuration,
// and so are those that match later.
func TestHostsAreWatched(t *testing.T) {
	dir := t.TempDir()
	main := filepath.Join(dir, "pldns.toml")
	hosts := filepath.Join(dir, "a.hosts")
	for file, text := range map[string]string{main: hostsMain, hosts: "10.0.1.4 a.contoso.com\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(main)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Files, []string{main, hosts}) || !slices.Equal(c.Patterns, []string{filepath.Join(dir, "*.hosts")}) {
		t.Errorf("files %v, patterns %v", c.Files, c.Patterns)
	}
}

// TestManyInTOML shows that hosts files are suggested for what is large.
func TestManyInTOML(t *testing.T) {
	for count, want := range map[int]int{50_000: 0, 50_001: 1} {
		c, err := config.Parse("many.toml", manyEndpoints(1, count), nil)
		if err != nil || len(c.Warnings) != want {
			t.Fatalf("%d names: %v, warnings %v", count, err, c.Warnings)
		}
		if want > 0 && !strings.Contains(c.Warnings[0].Remedy, "hosts = [") {
			t.Errorf("the warning is %v", c.Warnings[0])
		}
	}
}

// TestHostsTakeLittle shows that all that is ever allocated for an endpoint in a hosts
// file, and so the peak too, is below 400 octets, and what stays is below 150.
func TestHostsTakeLittle(t *testing.T) {
	const count = 300_000
	dir := t.TempDir()
	load := func(count int) (*zones.Table, uint64) {
		t.Helper()
		var text strings.Builder
		for i := range count {
			fmt.Fprintf(&text, "10.%d.%d.%d db-%07d.database.windows.net\n", i>>16&255, i>>8&255, i&255, i)
		}
		for file, text := range map[string]string{"pldns.toml": hostsMain, "a.hosts": text.String()} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before := memory()
		c, err := config.Load(filepath.Join(dir, "pldns.toml"))
		if err != nil {
			t.Fatal(err)
		}
		return c.Table, memory().TotalAlloc - before.TotalAlloc
	}
	_, without := load(1)
	before := memory().HeapAlloc
	table, allocated := load(count)
	after := memory().HeapAlloc
	if each := (allocated - without) / count; each > 400 {
		t.Errorf("%d octets are allocated for an endpoint", each)
	}
	if each := (after - before) / count; each > 150 {
		t.Errorf("%d octets stay of an endpoint", each)
	}
	runtime.KeepAlive(table)
}

// memory is what the heap holds once garbage is collected.
func memory() (stats runtime.MemStats) {
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats
}

// BenchmarkHosts reads a hosts file of a million names and builds what answers for
// them. It tells how many octets of the heap each of them takes, at the end and at
// most.
func BenchmarkHosts(b *testing.B) {
	const count = 1_000_000
	dir := b.TempDir()
	main := filepath.Join(dir, "pldns.toml")
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "10.%d.%d.%d db-%07d.database.windows.net\n", i>>16&255, i>>8&255, i&255, i)
	}
	for file, text := range map[string]string{main: hostsMain, filepath.Join(dir, "a.hosts"): text.String()} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	text.Reset()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var table *zones.Table
	for b.Loop() {
		table = nil
		c, err := config.Load(main)
		if err != nil {
			b.Fatal(err)
		}
		table = c.Table
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/count, "B/endpoint")
	runtime.KeepAlive(table)
}
