package release_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pldns/config/release"
)

// memory holds objects as they are stored.
type memory map[release.Digest][]byte

func (m memory) Stored(d release.Digest) ([]byte, error) {
	if stored, there := m[d]; there {
		return stored, nil
	}
	return nil, fs.ErrNotExist
}

func (m memory) put(d release.Digest, content []byte) error {
	m[d] = release.Encode(content)
	return nil
}

// hosts is a hosts file of so many lines.
func hosts(lines int) []byte {
	var text bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&text, "10.%d.%d.%d db%d.database.windows.net\n", i>>16&255, i>>8&255, i&255, i)
	}
	return text.Bytes()
}

// Files come out of a release as they went in, whatever their size and content.
func TestRoundTrip(t *testing.T) {
	noise := make([]byte, 3*release.MaxObject+17)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(noise); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"pldns.toml": []byte("deadline = \"2s\"\n"), "endpoints.d/a.toml": hosts(100_000), "endpoints.d/empty.toml": {}, "noise": noise,
		"one-long-line": bytes.Repeat([]byte("x"), 2*release.MaxObject),
	}
	objects := make(memory)
	id, err := release.Pack("pldns.toml", files, objects.put)
	if err != nil {
		t.Fatal(err)
	}
	for d, stored := range objects {
		if len(stored) > release.MaxStored {
			t.Errorf("object %s has %d octets", d, len(stored))
		}
	}
	r, err := release.Open(id, objects)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		if got, err := r.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d octets, want %d: %v", path, len(got), len(want), err)
		}
	}
	if names, err := fs.Glob(r, "endpoints.d/*.toml"); err != nil || !slices.Equal(names, []string{"endpoints.d/a.toml", "endpoints.d/empty.toml"}) {
		t.Errorf("endpoints.d/*.toml matches %q: %v", names, err)
	}
	again, err := release.Pack("pldns.toml", files, make(memory).put)
	if err != nil || again != id {
		t.Errorf("the same files are release %s and %s: %v", id, again, err)
	}
}

// A line more in a large file makes one or two objects, not all of those behind it.
func TestOneLineMore(t *testing.T) {
	before, after := make(memory), make(memory)
	text := hosts(200_000)
	middle := bytes.IndexByte(text[len(text)/2:], '\n') + len(text)/2 + 1
	more := slices.Concat(text[:middle], []byte("10.255.255.254 new.database.windows.net\n"), text[middle:])
	if _, err := release.Pack("a", map[string][]byte{"a": text}, before.put); err != nil {
		t.Fatal(err)
	}
	if _, err := release.Pack("a", map[string][]byte{"a": more}, after.put); err != nil {
		t.Fatal(err)
	}
	fresh := 0
	for d := range after {
		if before[d] == nil {
			fresh++
		}
	}
	if len(after) < 20 || fresh > 3 { // with the manifest
		t.Errorf("%d of %d objects are new", fresh, len(after))
	}
}

// What is not as its digest says is refused, wherever it is met.
func TestDamaged(t *testing.T) {
	files := map[string][]byte{"main": hosts(50_000)}
	objects := make(memory)
	id, err := release.Pack("main", files, objects.put)
	if err != nil {
		t.Fatal(err)
	}
	bomb := release.Encode(make([]byte, 64<<20))
	for d := range objects {
		for what, stored := range map[string][]byte{
			"garbage": []byte("garbage"), "nothing": {}, "another object": release.Encode([]byte("another")),
			"a bomb":     bomb,
			"cut short":  objects[d][:len(objects[d])/2],
			"not stored": bytes.Repeat([]byte{0}, release.MaxStored+1),
		} {
			damaged := maps.Clone(objects)
			damaged[d] = stored
			r, err := release.Open(id, damaged)
			if err == nil {
				_, err = r.ReadFile("main")
			}
			if !errors.Is(err, release.ErrDamaged) {
				t.Errorf("%s as object %s: %v", what, d.Short(), err)
			}
		}
	}
}

// A manifest that [release.Pack] would not make is refused, even with a good digest.
func TestHostileManifest(t *testing.T) {
	d := string(release.DigestOf(nil))
	for name, text := range map[string]string{
		"no JSON":        `{`,
		"other version":  `{"pldns_release":2}`,
		"outside":        `{"pldns_release":1,"main":"../a","files":[{"path":"../a","size":0,"objects":[]}]}`,
		"absolute":       `{"pldns_release":1,"main":"/a","files":[{"path":"/a","size":0,"objects":[]}]}`,
		"backslash":      `{"pldns_release":1,"main":"a\\b","files":[{"path":"a\\b","size":0,"objects":[]}]}`,
		"drive":          `{"pldns_release":1,"main":"c:a","files":[{"path":"c:a","size":0,"objects":[]}]}`,
		"twice":          `{"pldns_release":1,"main":"a","files":[{"path":"a","size":0,"objects":[]},{"path":"a","size":0,"objects":[]}]}`,
		"no main":        `{"pldns_release":1,"main":"b","files":[{"path":"a","size":0,"objects":[]}]}`,
		"size":           `{"pldns_release":1,"main":"a","files":[{"path":"a","size":5,"objects":[]}]}`,
		"huge":           `{"pldns_release":1,"main":"a","files":[{"path":"a","size":99999999999,"objects":["` + d + `"]}]}`,
		"negative":       `{"pldns_release":1,"main":"a","files":[{"path":"a","size":-1,"objects":["` + d + `"]}]}`,
		"digest":         `{"pldns_release":1,"main":"a","files":[{"path":"a","size":1,"objects":["../../etc/passwd"]}]}`,
		"many objects":   `{"pldns_release":1,"main":"a","files":[{"path":"a","size":1,"objects":["` + strings.Repeat(d+`","`, 9000) + d + `"]}]}`,
		"another's size": `{"pldns_release":1,"main":"a","files":[{"path":"a","size":1,"objects":["` + d + `"]}]}`,
	} {
		objects := make(memory)
		id := release.DigestOf([]byte(text))
		_ = objects.put(id, []byte(text))
		_ = objects.put(release.Digest(d), nil)
		r, err := release.Open(id, objects)
		if err == nil {
			_, err = r.ReadFile("a")
		}
		if err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	for _, id := range []release.Digest{"", "stable", release.Digest(strings.ToUpper(d)), "../" + release.Digest(d[3:])} {
		if _, err := release.Open(id, make(memory)); err == nil {
			t.Errorf("%q is taken for a release", id)
		}
	}
}

// FuzzOpen: whatever a store gives, reading it ends, with an error or a bounded result.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"pldns_release":1,"main":"a","files":[{"path":"a","size":0,"objects":[]}]}`), []byte("a"))
	f.Fuzz(func(t *testing.T, manifest, stored []byte) {
		id := release.DigestOf(manifest)
		if len(manifest) > release.MaxObject {
			return
		}
		r, err := release.Open(id, fixed{id, release.Encode(manifest), stored})
		if err != nil {
			return
		}
		for _, file := range r.Manifest.Files {
			opened, err := r.Open(file.Path)
			if err != nil {
				t.Fatalf("%s is listed and not there: %v", file.Path, err)
			}
			if n, err := io.Copy(io.Discard, opened); err == nil && n != file.Size {
				t.Errorf("%s has %d octets, and says %d", file.Path, n, file.Size)
			}
		}
	})
}

// fixed gives a manifest, and the same for every other object.
type fixed struct {
	id               release.Digest
	manifest, stored []byte
}

func (f fixed) Stored(d release.Digest) ([]byte, error) {
	if d == f.id {
		return f.manifest, nil
	}
	return f.stored, nil
}
