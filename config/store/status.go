package store

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"pldns/config"
	"pldns/config/release"
)

// Reason is why a store could not be followed, in one word.
type Reason string

// The reasons.
const (
	Away    Reason = "away"    // it does not answer
	Refused Reason = "refused" // a permission, a user or a certificate is lacking
	Damaged Reason = "damaged" // what it gives is not what its digest says
	Absent  Reason = "absent"  // the channel or an object is not there
	Cut     Reason = "watch"   // a watch ended before its time
)

// Reasons are all reasons.
func Reasons() []Reason { return []Reason{Away, Refused, Damaged, Absent, Cut} }

// reasonOf is the reason of an error.
func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, errCut):
		return Cut
	case errors.Is(err, errRefused):
		return Refused
	case errors.Is(err, release.ErrDamaged):
		return Damaged
	case errors.Is(err, ErrAbsent):
		return Absent
	}
	return Away
}

// Status is how a follower is doing.
type Status struct {
	Where, Channel, Name string
	// Serving is the release that is served; zero where there is none. Taken is when it
	// was fetched, Since when it was served, and Saved whether it is on disk.
	Serving      Entry
	Taken, Since time.Time
	Saved        bool
	Offered      Entry // that is about to be served
	Wanted       Entry // what the channel named when the store answered last
	Refused      *Refusal
	// Answered is when the store answered last, Err why it does not do so now, and Failing
	// since when.
	Answered time.Time
	Took     time.Duration // how long the last answer took
	Err      error
	Failing  time.Time
	Failures map[Reason]int64 // since the start
	// Saving is why the release is not on disk, Restored why the one on disk could not be
	// used at the start, and Reporting why the fleet is not told of this instance.
	Saving, Restored, Reporting error
	// Full says that the store takes nothing more, and FullSince since when it is known.
	Full      bool
	FullSince time.Time
	// Ahead is how far the clock of this machine is ahead of the store's, negative where it
	// is behind, and Compared when that was seen; zero where it never was.
	Ahead    time.Duration
	Compared time.Time
	// Reports says that the store knows the instances of a fleet.
	Reports bool
}

// Fault is something that somebody should look at. None changes an answer.
type Fault struct {
	Since time.Time // zero where that is not known
	Text  string
}

// Faults are all that is wrong.
func (s Status) Faults() (all []Fault) {
	say := func(since time.Time, text string, values ...any) {
		all = append(all, Fault{since, fmt.Sprintf(text, values...)})
	}
	if s.Err != nil {
		say(s.Failing, "the store cannot be followed, and what is served goes on: %s", s.Err)
	}
	if s.Err == nil && s.Took > slowAfter {
		say(time.Time{}, "the store is slow: it took %s to say which release is served, and what is pushed is served that much later",
			s.Took.Round(100*time.Millisecond))
	}
	if s.Full {
		say(s.FullSince, "the store is full: nothing can be pushed until every member is compacted and defragmented, and the alarm "+
			"is disarmed (deploy/fleet/etcd.md, When it is full)")
	}
	if r := s.Refused; r != nil {
		say(r.At, "release %s by %s cannot be served here, and release %s goes on: %s",
			r.Entry.Release.Short(), r.Entry.By, s.Serving.Release.Short(), r.Err)
	}
	if s.Saving != nil {
		say(time.Time{}, "the release is not on disk: %s", s.Saving)
	}
	if s.Restored != nil && s.Answered.IsZero() {
		say(time.Time{}, "%s", s.Restored)
	}
	if s.Reporting != nil {
		say(time.Time{}, "the fleet is not told of this instance: %s", s.Reporting)
	}
	if wrongClock(s.Ahead) {
		way := "ahead of"
		if s.Ahead < 0 {
			way = "behind"
		}
		say(time.Time{}, "the clock of this machine is %s %s that of the store: look at what sets it (timedatectl, chronyc tracking), "+
			"or at the store's if all instances say so; certificates and times that are shown depend on it",
			s.Ahead.Abs().Round(time.Second), way)
	}
	return all
}

// Status is the state of the follower.
func (f *Follower) Status() Status {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	s := f.status
	s.Failures = maps.Clone(s.Failures)
	if h := f.served; h != nil {
		s.Serving, s.Taken, s.Since, s.Saved = h.entry, h.taken, h.since, h.saved && s.Saving == nil
	}
	if h := f.offered; h != nil {
		s.Offered = h.entry
	}
	if f.refused != nil {
		refused := *f.refused
		s.Refused = &refused
	}
	if f.clock != nil {
		s.Ahead, s.Compared = f.clock.ahead()
	}
	return s
}

// answered notes that the store answered, what its channel names, and how long that took.
func (f *Follower) answered(head Entry, took time.Duration) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.status.Err != nil {
		f.options.Log.Info("the store answers again", "store", f.status.Where, "after", time.Since(f.status.Failing).Round(time.Second))
	}
	f.status.Answered, f.status.Wanted, f.status.Err, f.status.Failing = time.Now(), head, nil, time.Time{}
	f.status.Took = took
}

// note notes that the store cannot be followed.
func (f *Follower) note(err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.status.Failures[reasonOf(err)]++
	if f.status.Err == nil {
		f.status.Failing = time.Now()
	}
	if f.status.Err == nil || f.status.Err.Error() != err.Error() {
		f.options.Log.Warn("the store cannot be followed: what is served goes on", "store", f.status.Where, "error", err)
	}
	f.status.Err = err
}

// noteFull notes whether the store takes what is written.
func (f *Follower) noteFull(full bool) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if full == f.status.Full {
		return
	}
	f.status.Full, f.status.FullSince = full, time.Time{}
	if full {
		f.status.FullSince = time.Now()
		f.options.Log.Warn("the store is full: what is served goes on, and nothing can be pushed", "store", f.status.Where)
		return
	}
	f.options.Log.Info("the store takes what is written again", "store", f.status.Where)
}

// noteReport notes whether the fleet is told of this instance.
func (f *Follower) noteReport(err error) {
	f.mutex.Lock()
	before := f.status.Reporting
	f.status.Reporting = err
	f.mutex.Unlock()
	switch {
	case errors.Is(err, errFull):
		f.noteFull(true)
	case err == nil && errors.Is(before, errFull):
		f.noteFull(false)
	}
}

// noteSaving notes whether what is served is on disk.
func (f *Follower) noteSaving(err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if err != nil && f.status.Saving == nil {
		f.options.Log.Error("the release is not on disk: after a restart, an older one would be served until the store answers",
			"state", f.state.dir, "error", err)
	}
	f.status.Saving = err
}

// channelTime is when the release on disk was written.
func (d *Directory) channelTime(name string) (time.Time, error) {
	info, err := os.Stat(d.channel(name))
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// forget drops all objects.
func (m *memory) forget() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.objects = nil
}

// LastGood is the last good release of a store on this machine's disk, for those who do
// not serve; nil where there is none. The error says why it cannot be used.
func LastGood(settings config.Store) (*config.Release, error) {
	f := NewFollower(FollowerOptions{Settings: settings})
	return f.Served(), f.Status().Restored
}

// Configured is a release as a configuration takes it.
func Configured(r *release.Release) *config.Release {
	return &config.Release{ID: string(r.ID), Main: r.Manifest.Main, Files: r}
}
