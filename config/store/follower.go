package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"pldns/config"
	"pldns/config/release"
)

const (
	// retryFirst is after how long a store that failed is asked again, at first; it is
	// twice as long each time, up to retryLast.
	retryFirst = 500 * time.Millisecond
	retryLast  = 10 * time.Second
)

// FollowerOptions are what a [Follower] is made of.
type FollowerOptions struct {
	Settings config.Store
	// Open makes the store; it is called by Run alone.
	Open func() Store
	// Changed is called when a release is offered that is not served. It may wait.
	Changed func(ctx context.Context)
	// Health says whether this instance serves, and why not; nil says that it does.
	Health  func() (healthy bool, reason string)
	Version string // of the program
	Log     *slog.Logger
	// Before is the follower of the same channel before, whose release is served; nil for
	// the last good one on disk.
	Before *Follower
}

// Follower follows a channel. Its methods may be called by any number of goroutines.
type Follower struct {
	options FollowerOptions
	state   *Directory
	mutex   sync.Mutex // of everything below
	served  *held      // nil where nothing is
	offered *held      // newer than what is served; nil where nothing is
	refused *Refusal
	spare   memory // objects that are not on disk
	wake    func() // ends the wait of Run; nil where it does not wait
	woken   bool
	status  Status // what is known of the store
	clock   timed  // nil where it is not compared
}

// held is a release whose objects are all here.
type held struct {
	release *release.Release
	entry   Entry
	taken   time.Time
	since   time.Time // when it was served first
	saved   bool
}

// Refusal is a release that could not be served here.
type Refusal struct {
	Entry Entry
	At    time.Time
	Err   error
}

// NewFollower makes a follower that begins with the last good release on disk. It asks
// nobody yet.
func NewFollower(o FollowerOptions) *Follower {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Follower{options: o, state: &Directory{dir: o.Settings.State, private: true}}
	if b := o.Before; b != nil && b.options.Settings.State == o.Settings.State {
		f.state = b.state // which this process has claimed already
	}
	f.status = Status{Where: o.Settings.Where(), Channel: o.Settings.Channel, Name: o.Settings.Name, Failures: make(map[Reason]int64)}
	if b := o.Before; b != nil && b.options.Settings.Channel == o.Settings.Channel && b.options.Settings.State == o.Settings.State {
		b.mutex.Lock()
		defer b.mutex.Unlock()
		f.served, f.spare.objects = b.served, b.spare.all()
		if f.served != nil {
			return f
		}
	}
	f.restore()
	return f
}

// restore reads the last good release from disk, and looks at all of it.
func (f *Follower) restore() {
	name := f.options.Settings.Channel
	c, _, err := f.state.Channel(context.Background(), name)
	if errors.Is(err, ErrAbsent) {
		return
	}
	var r *release.Release
	if err == nil {
		r, err = release.Open(c.Head().Release, f)
	}
	if err == nil {
		for _, d := range r.Manifest.Objects() {
			if !f.state.has(d) {
				err = fmt.Errorf("object %s: %w", d.Short(), release.ErrDamaged)
				break
			}
		}
	}
	if err != nil {
		f.status.Restored = fmt.Errorf("the last good release in %s cannot be used: %w", f.state.dir, err)
		f.options.Log.Error("the last good release cannot be used", "state", f.state.dir, "error", err)
		return
	}
	var taken time.Time
	if info, err := f.state.channelTime(name); err == nil {
		taken = info
	}
	f.served = &held{release: r, entry: c.Head(), taken: taken, saved: true}
}

// Settings are those that it was made of.
func (f *Follower) Settings() config.Store { return f.options.Settings }

// Stored implements [release.Objects] with what is here; [ErrAbsent] for what is not.
func (f *Follower) Stored(d release.Digest) ([]byte, error) {
	if stored, err := f.spare.Stored(d); err == nil {
		return stored, nil
	}
	return f.state.Stored(d)
}

func (f *Follower) has(d release.Digest) bool { return f.spare.has(d) || f.state.has(d) }

// add keeps an object on disk or, where that cannot be, in memory.
func (f *Follower) add(d release.Digest, stored []byte) {
	err := f.state.own()
	if err == nil {
		err = f.state.PutObject(context.Background(), d, stored)
	}
	if err != nil {
		f.noteSaving(err)
		f.spare.add(d, stored)
	}
}

// Served is the release that is served; nil where there is none yet.
func (f *Follower) Served() *config.Release {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.served.config()
}

// Offered is the release that is to be served next; nil where there is none newer than
// what is served.
func (f *Follower) Offered() *config.Release {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.offered.config()
}

func (h *held) config() *config.Release {
	if h == nil {
		return nil
	}
	return Configured(h.release)
}

// Serve says which release is served from now on; nil for none. One that was refused is
// tried again, because what it lacked may be there now.
func (f *Follower) Serve(r *config.Release) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if r != nil && f.offered != nil && string(f.offered.release.ID) == r.ID {
		f.served, f.offered = f.offered, nil
	}
	if f.served != nil && f.served.since.IsZero() {
		f.served.since = time.Now()
	}
	f.refused = nil
	f.kick()
}

// Refuse says that the release that is offered cannot be served here, and why.
func (f *Follower) Refuse(err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.offered == nil {
		return
	}
	f.refused = &Refusal{f.offered.entry, time.Now(), err}
	f.offered = nil
	f.kick()
}

// kick has Run look again; the mutex is held.
func (f *Follower) kick() {
	f.woken = true
	if f.wake != nil {
		f.wake()
	}
}

// Run follows the channel until ctx ends. What fails is logged and shown, so the error is
// always nil.
func (f *Follower) Run(ctx context.Context) error {
	store := f.options.Open()
	defer store.Close()
	f.state.join()
	defer f.state.leave()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.follow(ctx, store) })
	roster, reports := store.(Roster)
	if reports {
		group.Go(func() error { return f.report(ctx, roster) })
	}
	if e, is := store.(examined); is {
		group.Go(func() error { return f.examine(ctx, e) })
	}
	f.mutex.Lock()
	f.clock, _ = store.(timed)
	f.status.Reports = reports
	f.mutex.Unlock()
	_ = group.Wait()
	return nil
}

func (f *Follower) follow(ctx context.Context, store Store) error {
	retry := retryFirst
	for ctx.Err() == nil {
		version, err := f.look(ctx, store)
		if err == nil {
			f.save()
			retry = retryFirst
			err = f.waiting(ctx, func(ctx context.Context) error { return store.AwaitChannel(ctx, f.options.Settings.Channel, version) })
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		f.note(err)
		f.save()
		_ = f.waiting(ctx, func(ctx context.Context) error { return pause(ctx, retry/2+rand.N(retry/2+1)) })
		retry = min(2*retry, retryLast)
	}
	return nil
}

// waiting waits, until somebody wants another look.
func (f *Follower) waiting(ctx context.Context, wait func(context.Context) error) error {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	f.mutex.Lock()
	f.wake = cancel
	if f.woken {
		cancel()
	}
	f.woken = false
	f.mutex.Unlock()
	err := wait(within)
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.wake, f.woken = nil, false
	if within.Err() != nil {
		return nil
	}
	return err
}

// look reads the channel, and offers the release that it names, if that is another one.
func (f *Follower) look(ctx context.Context, store Store) (Version, error) {
	name := f.options.Settings.Channel
	began := time.Now()
	c, version, err := store.Channel(ctx, name)
	took := time.Since(began)
	if errors.Is(err, ErrAbsent) {
		err = fmt.Errorf("channel %s has no release in %s: push one (%w)", name, f.status.Where, ErrAbsent)
	}
	if err != nil {
		return version, err
	}
	head := c.Head()
	if !f.wants(head) {
		f.answered(head, took)
		return version, nil
	}
	r, err := fetchRelease(ctx, store, head.Release, f)
	if err != nil {
		return version, fmt.Errorf("release %s: %w", head.Release.Short(), err)
	}
	f.answered(head, took)
	f.mutex.Lock()
	f.offered = &held{release: r, entry: head, taken: time.Now()}
	f.mutex.Unlock()
	f.options.Log.Info("a release is there", "channel", name, "release", head.Release.Short(), "by", head.By, "note", head.Note)
	if f.options.Changed != nil {
		f.options.Changed(ctx)
	}
	return version, nil
}

// wants tells whether a release is to be fetched.
func (f *Follower) wants(head Entry) bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	switch {
	case f.served != nil && f.served.release.ID == head.Release:
		if f.served.entry != head {
			f.served.entry, f.served.saved = head, false
		}
		f.refused = nil
		return false
	case f.refused != nil && f.refused.Entry.Release == head.Release:
		return false
	}
	return true
}

// save writes what is served to disk, if it is not there. While another process keeps its
// releases there, all that is served is in memory, because that one may remove it.
func (f *Follower) save() {
	f.mutex.Lock()
	h := f.served
	f.mutex.Unlock()
	if h == nil {
		return
	}
	err := f.state.own()
	claimed := errors.Is(err, errClaimed)
	if h.saved && !claimed {
		f.noteSaving(nil)
		return
	}
	objects := objectsOfRelease(h.release)
	if claimed {
		f.borrow(h, objects)
	}
	for d := range objects {
		if err != nil {
			break
		}
		stored, is := f.spare.Stored(d)
		if is != nil {
			continue // it is on disk
		}
		err = f.state.PutObject(context.Background(), d, stored)
	}
	if err == nil {
		err = f.state.keep(f.options.Settings.Channel, h.entry, objects)
	}
	f.noteSaving(err)
	if err != nil {
		return
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if h.saved = true; f.served == h {
		f.spare.forget()
	}
}

// borrow reads the objects of what is served into memory that are on disk alone.
func (f *Follower) borrow(h *held, objects map[release.Digest]bool) {
	f.mutex.Lock()
	h.saved = false
	f.mutex.Unlock()
	for d := range objects {
		if f.spare.has(d) {
			continue
		}
		if stored, err := f.state.Stored(d); err == nil {
			f.spare.add(d, stored)
		}
	}
}

// report says what this instance is doing, until ctx ends.
func (f *Follower) report(ctx context.Context, roster Roster) error {
	for last := (Instance{}); ctx.Err() == nil; {
		i := f.instance()
		err := roster.Report(ctx, i)
		if ctx.Err() != nil {
			return nil
		}
		f.noteReport(err)
		last = i
		every := reportEvery
		if err != nil {
			every = reportAgain
		}
		for waited := time.Duration(0); waited < every && f.instance() == last; waited += time.Second {
			if pause(ctx, time.Second) != nil {
				return nil
			}
		}
	}
	return nil
}

// instance is what this instance says of itself.
func (f *Follower) instance() Instance {
	healthy, reason := true, ""
	if f.options.Health != nil {
		healthy, reason = f.options.Health()
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	s := f.options.Settings
	i := Instance{Name: s.Name, Version: f.options.Version, Channel: s.Channel, Healthy: healthy, Reason: reason}
	if h := f.served; h != nil {
		i.Release, i.Since, i.Saved = h.release.ID, h.since, h.saved
	}
	if r := f.refused; r != nil {
		i.Refused, i.Why = r.Entry.Release, r.Err.Error()
	}
	return i
}
