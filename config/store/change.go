package store

import (
	"context"
	"errors"
	"fmt"

	"pldns/config/release"
)

// swapTries is how often a channel is swapped anew because objects were removed meanwhile.
const swapTries = 5

// Change is a new entry for a channel.
type Change struct {
	Entry Entry
	// Base is the release that the change is based on, and must be the one that the
	// channel names; nil for whatever it names when the change begins.
	Base *release.Digest
	Keep int // how many entries the channel remembers
	// Ensure makes sure that all objects of the release are in the store.
	Ensure func(context.Context) error
}

// MovedError is a channel that names another release than a change is based on.
type MovedError struct {
	Channel string
	Base    release.Digest // empty for none
	Now     Entry          // what the channel says; zero where there is no channel
}

// Error says who changed the channel.
func (m *MovedError) Error() string {
	base := "an empty channel"
	if m.Base != "" {
		base = "release " + m.Base.Short()
	}
	if m.Now.Release == "" {
		return fmt.Sprintf("channel %s has no release, and yours is based on %s", m.Channel, base)
	}
	return fmt.Sprintf("channel %s is at release %s (%s by %s at %s), and yours is based on %s", m.Channel, m.Now.Release.Short(),
		m.Now.How, m.Now.By, m.Now.At.UTC().Format("2006-01-02 15:04:05Z"), base)
}

// Apply changes a channel. It gives the entry before; zero where there was none. The error
// is a [*MovedError] where somebody else was faster, and then nothing is changed.
func Apply(ctx context.Context, s Store, name string, change Change) (Entry, error) {
	before, first, err := current(ctx, s, name)
	if err != nil {
		return Entry{}, err
	}
	if base := change.Base; base != nil && before.head().Release != *base {
		return Entry{}, &MovedError{name, *base, before.head()}
	}
	version := first
	for range swapTries {
		if err := change.Ensure(ctx); err != nil {
			return Entry{}, err
		}
		err := s.SwapChannel(ctx, name, version, before.With(change.Entry, change.Keep))
		if !errors.Is(err, ErrChanged) {
			return before.head(), err
		}
		var now Channel
		if now, version, err = current(ctx, s, name); err != nil {
			return Entry{}, err
		}
		if !version.Same(first) {
			return Entry{}, &MovedError{name, before.head().Release, now.head()}
		}
	}
	return Entry{}, errors.New("objects are removed from the store again and again: try again when no other push is under way")
}

// current reads a channel, which may be absent.
func current(ctx context.Context, s Store, name string) (Channel, Version, error) {
	c, version, err := s.Channel(ctx, name)
	if errors.Is(err, ErrAbsent) {
		err = nil
	}
	return c, version, err
}

// head is the newest entry, zero where there is none.
func (c *Channel) head() Entry {
	if len(c.History) == 0 {
		return Entry{}
	}
	return c.History[0]
}

// Collect removes the objects of releases that no channel remembers. It gives how many
// went; the error is that of the store.
func Collect(ctx context.Context, s Store) (int, error) {
	for tries := 1; ; tries++ {
		gone, err := s.Sweep(ctx, func(channels []Channel) (map[release.Digest]bool, error) { return used(ctx, s, channels) })
		if !errors.Is(err, ErrChanged) || tries == swapTries {
			return gone, err
		}
	}
}

// used are the objects of all releases that channels remember.
func used(ctx context.Context, s Store, channels []Channel) (map[release.Digest]bool, error) {
	all := make(map[release.Digest]bool)
	for _, c := range channels {
		for _, e := range c.History {
			if all[e.Release] {
				continue
			}
			all[e.Release] = true
			r, err := release.Open(e.Release, Objects(ctx, s))
			switch {
			case errors.Is(err, ErrAbsent), errors.Is(err, release.ErrDamaged):
				continue // nobody can say what it needs any more
			case err != nil:
				return nil, err
			}
			for _, d := range r.Manifest.Objects() {
				all[d] = true
			}
		}
	}
	return all, nil
}
