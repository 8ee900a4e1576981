package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"pldns/config/release"
)

// fetchers is how many objects are fetched at a time.
const fetchers = 8

// heap keeps objects, by their digests, that are known to be as these say.
type heap interface {
	release.Objects
	// has tells whether an object is there.
	has(release.Digest) bool
	// add keeps an object.
	add(d release.Digest, stored []byte)
}

// origin is where objects are fetched from.
type origin interface {
	Object(context.Context, release.Digest) ([]byte, error)
}

// fetch brings the objects of a release into a heap that lacks them, and opens it. The
// error says which object is not there, or is not what its digest says.
func fetch(ctx context.Context, from origin, id release.Digest, into heap) (*release.Release, error) {
	if err := fetchObject(ctx, from, id, into); err != nil {
		return nil, err
	}
	r, err := release.Open(id, into)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchers)
	for _, d := range r.Manifest.Objects() {
		group.Go(func() error { return fetchObject(ctx, from, d, into) })
	}
	return r, group.Wait()
}

func fetchObject(ctx context.Context, from origin, d release.Digest, into heap) error {
	if into.has(d) {
		return nil
	}
	stored, err := from.Object(ctx, d)
	if err == nil {
		_, err = release.Decode(d, stored)
	}
	if err == nil {
		into.add(d, stored)
	}
	return err
}

// fetchRelease is fetch for what was pushed, and says what to do where that is damaged.
func fetchRelease(ctx context.Context, from origin, id release.Digest, into heap) (*release.Release, error) {
	r, err := fetch(ctx, from, id, into)
	if errors.Is(err, release.ErrDamaged) || errors.Is(err, ErrAbsent) {
		err = fmt.Errorf("%w: push the configuration again, which replaces it", err)
	}
	return r, err
}

// Fetch gives a release with all that it has, of which everything is as its digest says.
// The error says what is not.
func Fetch(ctx context.Context, from Store, id release.Digest) (*release.Release, error) {
	return fetchRelease(ctx, from, id, new(memory))
}

// memory is a heap in memory. It may be used by any number of goroutines.
type memory struct {
	mutex   sync.Mutex
	objects map[release.Digest][]byte
}

// Stored implements [release.Objects].
func (m *memory) Stored(d release.Digest) ([]byte, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	stored, there := m.objects[d]
	if !there {
		return nil, fmt.Errorf("object %s: %w", d.Short(), ErrAbsent)
	}
	return stored, nil
}

func (m *memory) all() map[release.Digest][]byte {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return maps.Clone(m.objects)
}

// retain drops all objects but some.
func (m *memory) retain(keep map[release.Digest]bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	maps.DeleteFunc(m.objects, func(d release.Digest, _ []byte) bool { return !keep[d] })
}

func (m *memory) has(d release.Digest) bool {
	_, err := m.Stored(d)
	return err == nil
}

func (m *memory) add(d release.Digest, stored []byte) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.objects == nil {
		m.objects = make(map[release.Digest][]byte)
	}
	m.objects[d] = stored
}
