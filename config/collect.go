package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"pldns/config/internal/tomlfile"
	"pldns/zones/azure"
)

// Collected is a configuration, and the files that a release of it has.
type Collected struct {
	Report
	Main string // the path of the main file in Files
	// Files are what was read and checked, by their paths below the folder of the main
	// file, with slashes. The main file is without the tables of this machine.
	Files map[string][]byte
}

// Collect checks a configuration as [Check] does, as of the files of this machine alone,
// and gives the files for a release of it. The error says why the file cannot be read, or
// which file cannot be in a release. What is faulty has no files.
func Collect(path string) (Collected, error) {
	data, err := readMain(path)
	if err != nil {
		return Collected{}, fmt.Errorf("read the configuration: %w: name a file that can be read", err)
	}
	dir := filepath.Dir(path)
	keeper := &keptFiles{diskFiles: diskFiles{dir}, kept: make(map[string][]byte), relative: make(map[string]bool)}
	c := Collected{Report: newLoader(path, keeper, azure.New(), time.Now()).examine(data), Main: filepath.Base(path)}
	if c.Config == nil {
		return c, nil
	}
	c.Files = map[string][]byte{c.Main: []byte(tomlfile.Without(string(data), notReleased()...))}
	var faults []error
	for _, name := range append(c.Config.Files[1:], c.Config.Probe.Files()...) {
		if name == c.Config.Probe.CA && !keeper.relative[name] {
			continue // a file that each machine has
		}
		inside, err := filepath.Rel(dir, name)
		if err != nil || !filepath.IsLocal(inside) || keeper.outside(name) {
			faults = append(faults, fmt.Errorf("%s cannot be in a release: move it below %s, and name it relative to that", name, dir))
			continue
		}
		c.Files[filepath.ToSlash(inside)] = keeper.kept[name]
	}
	return c, errors.Join(faults...)
}

// keptFiles are files of which everything is kept that is read.
type keptFiles struct {
	diskFiles
	kept     map[string][]byte
	relative map[string]bool // what [keptFiles.path] was asked for by a relative path
	patterns []string        // that are absolute
}

func (k *keptFiles) match(pattern string) ([]string, error) {
	if filepath.IsAbs(pattern) {
		k.patterns = append(k.patterns, pattern)
	}
	return k.diskFiles.match(pattern)
}

// outside tells whether a file was found by an absolute pattern, which leads to the same
// place on every machine.
func (k *keptFiles) outside(name string) bool {
	for _, pattern := range k.patterns {
		if is, _ := filepath.Match(pattern, name); is {
			return true
		}
	}
	return false
}

func (k *keptFiles) path(name string) string {
	found := k.diskFiles.path(name)
	k.relative[found] = k.relative[found] || !filepath.IsAbs(name)
	return found
}

func (k *keptFiles) read(name string) ([]byte, error) {
	return k.keep(name, k.diskFiles.read)
}

func (k *keptFiles) readSmall(name string) ([]byte, error) {
	return k.keep(name, k.diskFiles.readSmall)
}

// open gives what was read before, so that a file is the same each time.
func (k *keptFiles) open(name string) (io.ReadCloser, error) {
	data, err := k.keep(name, func(name string) ([]byte, error) { return ReadFile(name, largestHosts) })
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (k *keptFiles) keep(name string, read func(string) ([]byte, error)) ([]byte, error) {
	if data, is := k.kept[name]; is {
		return data, nil
	}
	data, err := read(name)
	if err == nil {
		k.kept[name] = data
	}
	return data, err
}
