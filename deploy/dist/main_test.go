package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An archive made again has the same bytes, whenever and with whatever times and modes
// its files were written; the program in it can be run, and nothing else.
func TestArchivesAreReproducible(t *testing.T) {
	when := time.Date(2026, 11, 27, 5, 15, 52, 0, time.UTC)
	write := map[string]func(string, string, map[string]string, time.Time) error{"a.tar.gz": writeTar, "a.zip": writeZip}
	for name, archive := range write {
		var made [][]byte
		for i, mode := range []os.FileMode{0o600, 0o755} {
			folder := t.TempDir()
			program, page := filepath.Join(folder, "program"), filepath.Join(folder, "page")
			for _, file := range []string{program, page} {
				err := errors.Join(os.WriteFile(file, []byte("what is in "+filepath.Base(file)), mode), os.Chmod(file, mode),
					os.Chtimes(file, when, when.Add(time.Duration(i)*time.Hour)))
				if err != nil {
					t.Fatal(err)
				}
			}
			out := filepath.Join(folder, name)
			if err := archive(out, "pldns_1.0.0", map[string]string{"pldns": program, "man/pldns.1": page}, when); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, data)
		}
		if !bytes.Equal(made[0], made[1]) {
			t.Errorf("%s: two archives of the same files differ", name)
		}
		if name == "a.zip" {
			checkZip(t, made[0])
		} else {
			checkTar(t, made[0], when)
		}
	}
}

func checkTar(t *testing.T, data []byte, when time.Time) {
	compressed, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	modes := make(map[string]int64)
	for archive := tar.NewReader(compressed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(when) || header.Uid != 0 || header.Gid != 0 {
			t.Errorf("%s is of %v and belongs to %d:%d", header.Name, header.ModTime, header.Uid, header.Gid)
		}
		modes[header.Name] = header.Mode
	}
	if modes["pldns_1.0.0/pldns"] != 0o755 || modes["pldns_1.0.0/man/pldns.1"] != 0o644 || len(modes) != 2 {
		t.Errorf("the archive holds %v", modes)
	}
}

func checkZip(t *testing.T, data []byte) {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.File) != 2 || archive.File[0].Name != "pldns_1.0.0/man/pldns.1" || archive.File[1].Name != "pldns_1.0.0/pldns" {
		t.Errorf("the archive holds %v", archive.File)
	}
}

// Debian sorts versions as they came: a build between two releases lies between them.
func TestDebianVersions(t *testing.T) {
	for version, want := range map[string]string{
		"1.2.3":                              "1.2.3",
		"1.3.0-rc.1":                         "1.3.0~rc.1",
		"0.0.0-20261127051552-c9250113a1b2":  "0.0.0~20261127051552.c9250113a1b2",
		"1.2.4-0.20261127051552-c9250113a1b": "1.2.4~0.20261127051552.c9250113a1b",
		"1.2.3+dirty":                        "1.2.3+dirty",
		"devel":                              "0~devel",
		"":                                   "0~",
	} {
		if got := debVersion(version); got != want {
			t.Errorf("%q becomes %q, want %q", version, got, want)
		}
	}
}

// The time of files is what SOURCE_DATE_EPOCH says.
func TestSourceDate(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1795756552")
	if got, err := sourceDate(); err != nil || got.Unix() != 1795756552 {
		t.Errorf("got %v, %v", got, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := sourceDate(); err == nil {
		t.Error("a word is a time")
	}
}
