package azurediscovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"pldns/config"
)

// Fleet is instances of which one lists for all: what it makes of its listings is published,
// and all adopt that. So all serve the same, and nothing is withdrawn or comes back when
// another one takes over. It is what *store.Shared is.
type Fleet interface {
	Run(ctx context.Context, adopt func(ctx context.Context, content []byte, at time.Time, by string) error,
		lead func(context.Context, func(ctx context.Context, content []byte, at time.Time) error), failed func(error)) error
}

// runShared follows what the fleet publishes, and lists while this instance leads.
func (d *Discoverer) runShared(ctx context.Context) error {
	lead := d.lead
	if d.options.Ask == nil {
		lead = nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.options.Fleet.Run(ctx, d.adopt, lead, d.failed) })
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-d.unserved:
				d.tellChange(ctx)
			}
		}
	})
	return group.Wait()
}

// lead lists again and again until ctx ends, and publishes what comes of it.
func (d *Discoverer) lead(ctx context.Context, publish func(ctx context.Context, content []byte, at time.Time) error) {
	d.leads(true)
	defer d.leads(false)
	for wait := time.Duration(0); d.waits(ctx, wait); wait = d.pause() {
		d.once(ctx, func() { d.publish(ctx, publish) })
	}
}

// leads notes whether this instance lists for the fleet.
func (d *Discoverer) leads(is bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.leading = is
}

func (d *Discoverer) publish(ctx context.Context, publish func(ctx context.Context, content []byte, at time.Time) error) {
	d.mutex.Lock()
	listing := d.listing
	d.mutex.Unlock()
	content, err := encode(d.options.Azure, listing)
	if err == nil {
		err = publish(ctx, content, listing.Taken)
	}
	if ctx.Err() == nil {
		d.failed(err)
	}
}

// failed notes why the fleet does not share what is listed; nil where it does.
func (d *Discoverer) failed(err error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if err != nil && (d.sharing == nil || d.sharing.Error() != err.Error()) {
		d.options.Log.Warn("what Azure has is not shared with the fleet: what was known goes on", "source", d.Name(), "error", err)
	}
	d.sharing = err
}

// adopt makes what the fleet publishes the listing that counts. The error says that it is
// of another source, cloud or tenant, or cannot be read; then nothing changes.
func (d *Discoverer) adopt(ctx context.Context, content []byte, at time.Time, by string) error {
	d.running.Lock()
	defer d.running.Unlock()
	var next *Listing
	if content != nil {
		defer d.options.Bulk()()
		var err error
		if next, err = d.read(content, at); err != nil {
			return fmt.Errorf("what %s publishes is not used: %w", by, err)
		}
	}
	d.keep(next, at, by)
	d.tellChange(ctx)
	return nil
}

// keep keeps what is published; nil stands for what was published before, seen again.
func (d *Discoverer) keep(next *Listing, at time.Time, by string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.by = by
	if d.leading {
		return // it is what this instance publishes
	}
	d.tried, d.err = d.options.Now(), nil
	switch {
	case next == nil && d.listing != nil:
		d.listing = d.listing.seenAt(at)
	case next != nil:
		d.listing = next
		d.save()
	}
	if d.saving != nil || d.listing != nil && d.listing.Taken.Sub(d.saved) >= saveAgain {
		d.save()
	}
}

// read reads what is published, and holds it against what was known before.
func (d *Discoverer) read(content []byte, at time.Time) (*Listing, error) {
	next, err := decode(d.options.Azure, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	next = next.seenAt(at)
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.listing == nil {
		return next, nil
	}
	if before, now, moved := d.listing.moved(next); moved {
		return nil, fmt.Errorf("it is of tenant %s, and the last good listing is of %s: correct the identity of whoever lists, "+
			"or remove %s", now, before, d.options.Azure.State)
	}
	return next, nil
}

// timeless is a listing as it is published: without the time of what it saw, so that one
// that has not changed has the same content.
func (l *Listing) timeless() *Listing {
	made := &Listing{Subscriptions: make(map[string]*Subscription, len(l.Subscriptions)), Rows: make(map[string]*Row, len(l.Rows))}
	for id, s := range l.Subscriptions {
		copied := *s
		if copied.Seen.Equal(l.Taken) {
			copied.Seen = time.Time{}
		}
		made.Subscriptions[id] = &copied
	}
	for id, row := range l.Rows {
		copied := *row
		if copied.Seen.Equal(l.Taken) {
			copied.Seen = time.Time{}
		}
		made.Rows[id] = &copied
	}
	return made
}

// seenAt is a listing with a time in the place of that of what it saw.
func (l *Listing) seenAt(at time.Time) *Listing {
	made := l.timeless()
	made.Taken, made.Unread = at, l.Unread
	for _, s := range made.Subscriptions {
		if s.Seen.IsZero() {
			s.Seen = at
		}
	}
	for _, row := range made.Rows {
		if row.Seen.IsZero() {
			row.Seen = at
		}
	}
	return made
}

// PublishedState is the file of the last good listing of a source that this machine does
// not list itself, below the state of its store.
func PublishedState(s config.Store, name string) string {
	return filepath.Join(s.State, "listings", name+".json")
}

// ErrElsewhere is that another instance lists, and is the one to be told what may go.
var ErrElsewhere = errors.New("another instance of the fleet lists this source")

// Elsewhere says which instance lists; nil where it is this one.
func (d *Discoverer) Elsewhere() error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.options.Fleet == nil || d.leading {
		return nil
	}
	if d.by == "" {
		return fmt.Errorf("no instance of the fleet has listed %s yet: see /api/sources of those that may (%w)", d.Name(), ErrElsewhere)
	}
	return fmt.Errorf("%s is listed by instance %q: send the request there (%w)", d.Name(), d.by, ErrElsewhere)
}

// makeFolder makes the folder of a state that the program itself has chosen.
func (d *Discoverer) makeFolder() error {
	if d.options.Ask != nil {
		return nil
	}
	return os.MkdirAll(filepath.Dir(d.options.Azure.State), 0o700)
}
