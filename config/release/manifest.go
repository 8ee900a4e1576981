package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

const (
	format = 1
	// MaxFiles, MaxFile and MaxRelease bound the files of a release: how many there are,
	// and how many octets each and all of them have.
	MaxFiles   = 4096
	MaxFile    = 256 << 20
	MaxRelease = 256 << 20
	maxPath    = 512
	maxObjects = 8192
)

// Manifest lists the files of a release.
type Manifest struct {
	Format int    `json:"pldns_release"`
	Main   string `json:"main"`  // the path of the main file
	Files  []File `json:"files"` // sorted by path
}

// File is one file.
type File struct {
	Path    string   `json:"path"` // relative to the folder of the main file, with slashes
	Size    int64    `json:"size"` // in octets
	Objects []Digest `json:"objects"`
}

// Objects are those of all files, each once, sorted.
func (m *Manifest) Objects() []Digest {
	var all []Digest
	for _, f := range m.Files {
		all = append(all, f.Objects...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Pack cuts files, by their paths, into objects, and gives each of these to put, the
// manifest last. It gives the name of the release. The error is that of put, or says what
// cannot be in a release.
func Pack(main string, files map[string][]byte, put func(d Digest, content []byte) error) (Digest, error) {
	m := &Manifest{Format: format, Main: main}
	contents := make(map[Digest][]byte)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		f := File{Path: path, Size: int64(len(files[path])), Objects: []Digest{}}
		for _, content := range cut(files[path]) {
			d := DigestOf(content)
			f.Objects = append(f.Objects, d)
			contents[d] = content
		}
		m.Files = append(m.Files, f)
	}
	text, err := json.Marshal(m)
	if err == nil {
		err = m.check()
	}
	if err == nil && len(text) > MaxObject {
		err = errors.New("there are too many files, or they are too large")
	}
	if err != nil {
		return "", err
	}
	for _, d := range slices.Sorted(maps.Keys(contents)) {
		if err := put(d, contents[d]); err != nil {
			return "", err
		}
	}
	id := DigestOf(text)
	return id, put(id, text)
}

// parseManifest reads the content of a manifest.
func parseManifest(text []byte) (*Manifest, error) {
	m := new(Manifest)
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(m); err != nil {
		return nil, fmt.Errorf("the manifest is none: %w", err)
	}
	if m.Format != format {
		return nil, errors.New("the manifest is of another version of this program")
	}
	return m, m.check()
}

// check refuses a manifest that is not as [Pack] makes them.
func (m *Manifest) check() error {
	if len(m.Files) > MaxFiles {
		return fmt.Errorf("a release has at most %d files", MaxFiles)
	}
	total, objects := int64(0), 0
	for i, f := range m.Files {
		switch {
		case !goodPath(f.Path):
			return fmt.Errorf("%q is no path that a release can have: name it relative to the main file, and below its folder", f.Path)
		case i > 0 && m.Files[i-1].Path >= f.Path:
			return errors.New("the files of a release are sorted, and each is there once")
		case f.Size < 0 || f.Size > MaxFile || f.Size > int64(len(f.Objects))*MaxObject:
			return fmt.Errorf("%s has more than %d MiB, or not the size it says", f.Path, MaxFile>>20)
		case slices.ContainsFunc(f.Objects, func(d Digest) bool { return !d.Valid() }):
			return fmt.Errorf("%s has an object without a digest", f.Path)
		}
		total, objects = total+f.Size, objects+len(f.Objects)
	}
	switch {
	case total > MaxRelease || objects > maxObjects:
		return fmt.Errorf("a release has at most %d MiB in %d objects", MaxRelease>>20, maxObjects)
	case !slices.ContainsFunc(m.Files, func(f File) bool { return f.Path == m.Main }):
		return errors.New("the main file is not among the files")
	}
	return nil
}

// goodPath tells whether a path stays below the main file's folder, on every system.
func goodPath(path string) bool {
	strange := func(r rune) bool { return r < ' ' || strings.ContainsRune(`\:*?"<>|`, r) }
	return len(path) <= maxPath && path != "." && fs.ValidPath(path) && !strings.ContainsFunc(path, strange)
}
