package release

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Objects gives objects as they are stored. What it gives is not trusted.
type Objects interface {
	Stored(Digest) ([]byte, error)
}

// Release is the files of a release: an [fs.FS], whose files are read object by object,
// each of which is held against its digest. It may be used by any number of goroutines,
// if the objects may.
type Release struct {
	ID       Digest
	Manifest *Manifest
	objects  Objects
}

// Open reads the manifest of a release. The error says that it is damaged, or is that of
// the objects.
func Open(id Digest, objects Objects) (*Release, error) {
	if !id.Valid() {
		return nil, fmt.Errorf("%q is no release", string(id))
	}
	text, err := content(id, objects)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", id.Short(), err)
	}
	return &Release{ID: id, Manifest: m, objects: objects}, nil
}

func content(d Digest, objects Objects) ([]byte, error) {
	stored, err := objects.Stored(d)
	if err != nil {
		return nil, err
	}
	return Decode(d, stored)
}

// Open implements [fs.FS]. There are no folders to open. The error is [fs.ErrNotExist].
func (r *Release) Open(name string) (fs.File, error) {
	at, found := slices.BinarySearchFunc(r.Manifest.Files, name, func(f File, name string) int { return strings.Compare(f.Path, name) })
	if !found {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f := r.Manifest.Files[at]
	return &opened{file: f, objects: r.objects, left: f.Objects}, nil
}

// ReadFile implements [fs.ReadFileFS]. The error is that of the objects, or [ErrDamaged].
func (r *Release) ReadFile(name string) ([]byte, error) {
	file, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}

// Glob implements [fs.GlobFS]. The error is [path.ErrBadPattern].
func (r *Release) Glob(pattern string) ([]string, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, err
	}
	var names []string
	for _, f := range r.Manifest.Files {
		if is, _ := path.Match(pattern, f.Path); is {
			names = append(names, f.Path)
		}
	}
	return names, nil
}

// opened is a file that is read.
type opened struct {
	file    File
	objects Objects
	left    []Digest // behind now
	now     bytes.Reader
	read    int64
}

// Read implements [io.Reader].
func (o *opened) Read(p []byte) (int, error) {
	for o.now.Len() == 0 {
		if len(o.left) == 0 {
			if o.read != o.file.Size {
				return 0, &fs.PathError{Op: "read", Path: o.file.Path, Err: ErrDamaged}
			}
			return 0, io.EOF
		}
		part, err := content(o.left[0], o.objects)
		if err != nil {
			return 0, &fs.PathError{Op: "read", Path: o.file.Path, Err: err}
		}
		o.left, o.read = o.left[1:], o.read+int64(len(part))
		o.now.Reset(part)
	}
	return o.now.Read(p)
}

// Close implements [io.Closer]. It never fails.
func (o *opened) Close() error { return nil }

// Stat implements [fs.File]. It never fails.
func (o *opened) Stat() (fs.FileInfo, error) { return info{o.file}, nil }

// info is what there is to know of a file.
type info struct{ file File }

func (i info) Name() string       { return path.Base(i.file.Path) }
func (i info) Size() int64        { return i.file.Size }
func (i info) Mode() fs.FileMode  { return 0o444 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
