package config

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// files is where the patterns of the key files are looked up.
type files interface {
	// match gives the names of the files that a pattern matches, in a stable order.
	match(pattern string) ([]string, error)
	// absolute is a pattern as anybody else can look it up; empty if nobody can.
	absolute(pattern string) string
	// path is where one file is, for read.
	path(name string) string
	// read reads a file, and refuses what has no end or too much of everything.
	read(name string) ([]byte, error)
	// open opens a file, and refuses the same.
	open(name string) (io.ReadCloser, error)
	// readSmall is read for what has a few kilobytes.
	readSmall(name string) ([]byte, error)
	// public tells whether every user of the machine may read a file.
	public(name string) bool
}

// diskFiles are files of the operating system, relative to a directory.
type diskFiles struct{ dir string }

func (d diskFiles) match(pattern string) ([]string, error) {
	return filepath.Glob(d.absolute(pattern))
}

func (d diskFiles) absolute(pattern string) string {
	if filepath.IsAbs(pattern) {
		return pattern
	}
	return filepath.Join(d.literal(), pattern)
}

// literal is the directory as a pattern that matches it alone.
func (d diskFiles) literal() string {
	if filepath.Separator == '\\' {
		return d.dir // such systems have no way to take a character literally
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(d.dir)
}

func (d diskFiles) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.dir, name)
}

func (d diskFiles) read(name string) ([]byte, error) { return ReadFile(name, largestFile) }

func (d diskFiles) open(name string) (io.ReadCloser, error) {
	file, _, err := OpenFile(name, largestHosts)
	if err != nil {
		return nil, err
	}
	return &boundedFile{file: file, path: name, left: largestHosts}, nil
}

func (d diskFiles) readSmall(name string) ([]byte, error) { return ReadFile(name, largestKeyFile) }

func (d diskFiles) public(name string) bool {
	info, err := os.Stat(name)
	return err == nil && filepath.Separator == '/' && info.Mode().Perm()&0o004 != 0
}

// memoryFiles are files of a file system; nil holds none.
type memoryFiles struct{ fsys fs.FS }

func (m memoryFiles) match(pattern string) ([]string, error) {
	if m.fsys == nil {
		return nil, nil
	}
	return fs.Glob(m.fsys, pattern)
}

func (m memoryFiles) absolute(string) string { return "" }

func (m memoryFiles) path(name string) string { return name }

func (m memoryFiles) read(name string) ([]byte, error) {
	if m.fsys == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return fs.ReadFile(m.fsys, name)
}

func (m memoryFiles) open(name string) (io.ReadCloser, error) {
	if m.fsys == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return m.fsys.Open(name)
}

func (m memoryFiles) readSmall(name string) ([]byte, error) { return m.read(name) }

func (m memoryFiles) public(string) bool { return false }
