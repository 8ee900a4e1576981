package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pldns/config"
	"pldns/config/release"
	"pldns/config/store"
	"pldns/config/store/storetest"
)

// pack puts a release of one file into a store.
func pack(t *testing.T, s store.Store, text string) (release.Digest, func(context.Context) error) {
	t.Helper()
	var id release.Digest
	put := func(ctx context.Context) error {
		var err error
		id, err = release.Pack("pldns.toml", map[string][]byte{"pldns.toml": []byte(text)}, func(d release.Digest, content []byte) error {
			return s.PutObject(ctx, d, release.Encode(content))
		})
		return err
	}
	if err := put(t.Context()); err != nil {
		t.Fatal(err)
	}
	return id, put
}

// push pushes a release of one file.
func push(t *testing.T, s store.Store, channel, text string) release.Digest {
	t.Helper()
	id, put := pack(t, s, text)
	_, err := store.Apply(t.Context(), s, channel, store.Change{
		Entry: store.Entry{Release: id, At: time.Now(), By: "test", How: store.Pushed, Note: text}, Keep: 50, Ensure: put,
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// stores are both kinds that can be written to. The folder's objects are as old as if
// they had not been used for long.
func stores(t *testing.T, do func(t *testing.T, s store.Store, age func())) {
	t.Run("folder", func(t *testing.T) {
		dir := t.TempDir()
		do(t, store.NewDirectory(dir), func() {
			objects, _ := filepath.Glob(filepath.Join(dir, "objects", "*"))
			for _, object := range objects {
				old := time.Now().Add(-2 * time.Hour)
				if err := os.Chtimes(object, old, old); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
	t.Run("etcd", func(t *testing.T) {
		s := store.Open(config.Store{Etcd: storetest.Etcd(t, 1).URLs(), Prefix: "/pldns/"}, store.Options{})
		t.Cleanup(func() { s.Close() })
		do(t, s, func() {})
	})
}

// A channel names what was pushed last, and remembers what was pushed before.
func TestPushAndRead(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store, _ func()) {
		if _, _, err := s.Channel(t.Context(), "stable"); !errors.Is(err, store.ErrAbsent) {
			t.Fatalf("an empty store: %v", err)
		}
		first, second := push(t, s, "stable", "a = 1"), push(t, s, "stable", "a = 2")
		c, _, err := s.Channel(t.Context(), "stable")
		if err != nil || c.Head().Release != second || len(c.History) != 2 || c.History[1].Release != first || c.Head().Note != "a = 2" {
			t.Fatalf("%v, %+v", err, c)
		}
		r, err := store.Fetch(t.Context(), s, first)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := r.ReadFile("pldns.toml"); err != nil || string(text) != "a = 1" {
			t.Errorf("%s, %v", text, err)
		}
	})
}

// Of pushes at a time that are based on the same release, one wins, and every other one is
// told who did.
func TestPushesAtATime(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store, _ func()) {
		base := push(t, s, "stable", "a = 0")
		var won, told int
		var mutex sync.Mutex
		var group sync.WaitGroup
		for i := range 8 {
			id, put := pack(t, s, fmt.Sprintf("a = %d", i+1))
			group.Go(func() {
				_, err := store.Apply(t.Context(), s, "stable", store.Change{
					Entry: store.Entry{Release: id, At: time.Now(), By: fmt.Sprintf("user%d@host", i), How: store.Pushed}, Base: &base, Keep: 50, Ensure: put,
				})
				mutex.Lock()
				defer mutex.Unlock()
				moved, lost := errors.AsType[*store.MovedError](err)
				switch {
				case err == nil:
					won++
				case lost && strings.Contains(err.Error(), "(push by "+moved.Now.By+" at ") && moved.Now.Release != base:
					told++
				default:
					t.Errorf("a push: %v", err)
				}
			})
		}
		group.Wait()
		if c, _, err := s.Channel(t.Context(), "stable"); err != nil || won != 1 || told != 7 || len(c.History) != 2 {
			t.Errorf("%d won, %d were told, %d entries: %v", won, told, len(c.History), err)
		}
	})
}

// What no channel remembers goes, and what one does stays.
func TestCollect(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store, age func()) {
		var ids []release.Digest
		for i := range 5 {
			text := fmt.Sprintf("a = %d", i)
			id, put := pack(t, s, text)
			ids = append(ids, id)
			_, err := store.Apply(t.Context(), s, "stable", store.Change{Entry: store.Entry{Release: id, At: time.Now()}, Keep: 2, Ensure: put})
			if err != nil {
				t.Fatal(err)
			}
		}
		orphan, _ := pack(t, s, "orphan = 1")
		other := push(t, s, "canary", "a = 0") // the first one again
		age()
		if gone, err := store.Collect(t.Context(), s); err != nil || gone != 6 {
			t.Errorf("%d went: %v", gone, err)
		}
		for i, id := range append(ids, other, orphan) {
			_, err := store.Fetch(t.Context(), s, id)
			if want := i == 0 || i >= 3 && id != orphan; (err == nil) != want {
				t.Errorf("release %d: %v", i, err)
			}
		}
	})
}

// What is removed while a push is under way is put again before the push counts.
func TestCollectDuringAPush(t *testing.T) {
	s := store.Open(config.Store{Etcd: storetest.Etcd(t, 1).URLs(), Prefix: "/pldns/"}, store.Options{})
	defer s.Close()
	push(t, s, "stable", "a = 0")
	id, put := pack(t, s, "a = 1")
	tries := 0
	_, err := store.Apply(t.Context(), s, "stable", store.Change{
		Entry: store.Entry{Release: id, At: time.Now()}, Keep: 50, Ensure: func(ctx context.Context) error {
			err := put(ctx)
			if tries++; tries == 1 && err == nil {
				var gone int
				if gone, err = store.Collect(ctx, s); gone != 2 {
					t.Errorf("%d went", gone)
				}
			}
			return err
		},
	})
	if err != nil || tries != 2 {
		t.Errorf("%d tries: %v", tries, err)
	}
	if _, err := store.Fetch(t.Context(), s, id); err != nil {
		t.Error(err)
	}
}

// An object that was overwritten is noticed, and put right by a push of the same files.
func TestDamagedObject(t *testing.T) {
	dir := t.TempDir()
	s := store.NewDirectory(dir)
	id := push(t, s, "stable", "a = 1")
	if err := os.WriteFile(filepath.Join(dir, "objects", string(release.DigestOf([]byte("a = 1")))), []byte("garbage"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Fetch(t.Context(), s, id); !errors.Is(err, release.ErrDamaged) || !strings.Contains(err.Error(), "push the configuration again") {
		t.Errorf("garbage: %v", err)
	}
	push(t, s, "stable", "a = 1")
	if _, err := store.Fetch(t.Context(), s, id); err != nil {
		t.Errorf("after another push: %v", err)
	}
}

// A web server serves a folder as it is; what has not changed is not sent again, and a
// server that does not say so is no worse.
func TestWeb(t *testing.T) {
	dir := t.TempDir()
	folder := store.NewDirectory(dir)
	id := push(t, folder, "stable", "a = 1")
	var sent, unchanged int
	files := http.StripPrefix("/pldns/", http.FileServer(http.Dir(dir)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if strings.Contains(r.URL.Path, "/channels/") {
			if text, err := os.ReadFile(filepath.Join(dir, "channels", "stable.json")); err == nil {
				w.Header().Set("ETag", `"`+string(release.DigestOf(text))+`"`)
			}
			if r.Header.Get("If-None-Match") != "" {
				unchanged++
			}
			sent++
		}
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	settings := config.Store{URL: server.URL + "/pldns/", Every: time.Millisecond, Identity: config.ManagedIdentity}
	s := store.Open(settings, store.Options{Token: func(context.Context) (string, error) { return "token", nil }})
	defer s.Close()
	c, version, err := s.Channel(t.Context(), "stable")
	if err != nil || c.Head().Release != id {
		t.Fatalf("%v, %+v", err, c)
	}
	if _, err := store.Fetch(t.Context(), s, id); err != nil {
		t.Error(err)
	}
	if err := s.AwaitChannel(t.Context(), "stable", version); err != nil {
		t.Error(err)
	}
	if _, again, err := s.Channel(t.Context(), "stable"); err != nil || !again.Same(version) || sent != 2 || unchanged != 1 {
		t.Errorf("%v, asked %d times, %d of them for news", err, sent, unchanged)
	}
	next := push(t, folder, "stable", "a = 2")
	if c, again, err := s.Channel(t.Context(), "stable"); err != nil || c.Head().Release != next || again.Same(version) {
		t.Errorf("%v, %+v", err, c)
	}
	if _, _, err := s.Channel(t.Context(), "absent"); !errors.Is(err, store.ErrAbsent) {
		t.Errorf("a channel that is not there: %v", err)
	}
	if err := s.SwapChannel(t.Context(), "stable", version, c); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("a swap: %v", err)
	}
	stranger := store.Open(settings, store.Options{})
	if _, _, err := stranger.Channel(t.Context(), "stable"); err == nil || !strings.Contains(err.Error(), "Storage Blob Data Reader") {
		t.Errorf("without a token: %v", err)
	}
}

// Whatever stands where a channel should be is refused with what to do.
func TestHostileChannel(t *testing.T) {
	dir := t.TempDir()
	s := store.NewDirectory(dir)
	if err := os.Mkdir(filepath.Join(dir, "channels"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "{}", "[]", `{"pldns_channel":2}`, `{"pldns_channel":1,"history":[]}`, `{"pldns_channel":1,"history":[{"release":"../x"}]}`,
		`{"pldns_channel":1,"history":[` + strings.Repeat(`{},`, 600) + `{}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, "channels", "stable.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Channel(t.Context(), "stable"); err == nil || !strings.Contains(err.Error(), "push the configuration again") {
			t.Errorf("%.40s: %v", text, err)
		}
	}
}
