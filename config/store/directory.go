package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"pldns/config"
	"pldns/config/release"
)

const (
	objectsFolder  = "objects"
	channelsFolder = "channels"
	channelSuffix  = ".json"
	lockFile       = ".lock"
	// lockPatience is how long another push may take for its last step.
	lockPatience = 10 * time.Second
	// unused is how old an object is before it is removed: a push that is under way may
	// have found it a moment ago.
	unused = time.Hour
)

// Directory is a store in a folder, as a web server serves it and an instance keeps it.
type Directory struct {
	dir     string
	private bool // whether only this user may read it
	claim   claim
}

// NewDirectory is the store in a folder, which is made when something is put there.
func NewDirectory(dir string) *Directory { return &Directory{dir: dir} }

func (d *Directory) modes() (file, folder fs.FileMode) {
	if d.private {
		return 0o600, 0o700
	}
	return 0o644, 0o755
}

func (d *Directory) object(of release.Digest) string {
	return filepath.Join(d.dir, objectsFolder, string(of))
}

func (d *Directory) channel(name string) string {
	return filepath.Join(d.dir, channelsFolder, name+channelSuffix)
}

// read reads a regular file of at most so many octets; [ErrAbsent] if there is none.
func read(path string, most int64) ([]byte, error) {
	data, err := config.ReadFile(path, most)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrAbsent
	}
	return data, err
}

// Object implements [Store], with its errors.
func (d *Directory) Object(_ context.Context, of release.Digest) ([]byte, error) {
	if !of.Valid() {
		return nil, ErrAbsent
	}
	return read(d.object(of), release.MaxStored)
}

// Stored implements [release.Objects]. The error is that of the file, or [ErrAbsent].
func (d *Directory) Stored(of release.Digest) ([]byte, error) {
	return d.Object(context.Background(), of)
}

// has tells whether an object is there as it should be.
func (d *Directory) has(of release.Digest) bool {
	stored, err := d.Stored(of)
	if err != nil {
		return false
	}
	_, err = release.Decode(of, stored)
	return err == nil
}

// PutObject implements [Store], with its errors. What is there is marked as used.
func (d *Directory) PutObject(_ context.Context, of release.Digest, stored []byte) error {
	if d.has(of) {
		now := time.Now()
		return os.Chtimes(d.object(of), now, now)
	}
	return d.put(d.object(of), stored)
}

func (d *Directory) put(path string, data []byte) error {
	file, folder := d.modes()
	if err := os.MkdirAll(filepath.Dir(path), folder); err != nil {
		return err
	}
	return config.ReplaceFile(path, file, func(to *os.File) error {
		_, err := to.Write(data)
		return err
	})
}

// Channel implements [Store], with its errors.
func (d *Directory) Channel(_ context.Context, name string) (Channel, Version, error) {
	text, err := read(d.channel(name), largestChannel)
	if err != nil {
		return Channel{}, Version{}, err
	}
	c, err := parseChannel(name, text)
	return c, Version{tag: string(release.DigestOf(text))}, err
}

// SwapChannel implements [Store], with its errors.
func (d *Directory) SwapChannel(ctx context.Context, name string, was Version, next Channel) error {
	text, err := next.encode()
	if err != nil {
		return err
	}
	return d.locked(ctx, func() error {
		_, now, err := d.Channel(ctx, name)
		if now.tag == "" && err != nil && !errors.Is(err, ErrAbsent) {
			return err
		}
		if !now.Same(was) {
			return ErrChanged
		}
		return d.put(d.channel(name), text)
	})
}

// locked does something while nobody else does.
func (d *Directory) locked(ctx context.Context, do func() error) error {
	_, folder := d.modes()
	if err := os.MkdirAll(d.dir, folder); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	lock := flock.New(filepath.Join(d.dir, lockFile))
	if held, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil || !held {
		return fmt.Errorf("another push to %s is under way: try again (%w)", d.dir, err)
	}
	defer lock.Close()
	return do()
}

// AwaitChannel implements [Store]: it waits for a second. The error is that of ctx.
func (d *Directory) AwaitChannel(ctx context.Context, _ string, _ Version) error {
	return pause(ctx, time.Second)
}

// pause waits; the error is that of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Sweep implements [Store], with its errors.
func (d *Directory) Sweep(ctx context.Context, used func([]Channel) (map[release.Digest]bool, error)) (gone int, err error) {
	err = d.locked(ctx, func() error {
		channels, err := d.channels(ctx)
		if err != nil {
			return err
		}
		keep, err := used(channels)
		if err != nil {
			return err
		}
		gone, err = d.remove(keep, time.Now().Add(-unused))
		return err
	})
	return gone, err
}

func (d *Directory) channels(ctx context.Context) (all []Channel, err error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, channelsFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		name, is := strings.CutSuffix(entry.Name(), channelSuffix)
		if !is || strings.HasPrefix(name, ".") {
			continue
		}
		c, _, err := d.Channel(ctx, name)
		if err != nil {
			return nil, err // what it needs is not known
		}
		all = append(all, c)
	}
	return all, nil
}

// remove removes objects that are not kept and were last used before a time, and what a
// push that was killed left behind.
func (d *Directory) remove(keep map[release.Digest]bool, before time.Time) (gone int, err error) {
	folder := filepath.Join(d.dir, objectsFolder)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for _, entry := range entries {
		info, failed := entry.Info()
		name := entry.Name()
		left := strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp")
		if failed != nil || info.ModTime().After(before) || keep[release.Digest(name)] || !left && !release.Digest(name).Valid() {
			continue
		}
		if failed = os.Remove(filepath.Join(folder, name)); failed == nil && !left {
			gone++
		}
		err = errors.Join(err, failed)
	}
	return gone, err
}

// Close implements [Store]. It never fails.
func (d *Directory) Close() error { return nil }

// keep makes a release the one that is kept, and removes what is not of it. It is for a
// folder that this process has claimed.
func (d *Directory) keep(name string, e Entry, objects map[release.Digest]bool) error {
	text, err := Channel{Format: channelFormat, History: []Entry{e}}.encode()
	if err != nil {
		return err
	}
	if old, err := read(d.channel(name), largestChannel); err != nil || !bytes.Equal(old, text) {
		if err := d.put(d.channel(name), text); err != nil {
			return err
		}
	}
	_, err = d.remove(objects, time.Now().Add(time.Minute))
	return err
}
