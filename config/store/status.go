package store

import (
	"errors"
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
)

// Reasons are all reasons.
func Reasons() []Reason { return []Reason{Away, Refused, Damaged, Absent} }

// reasonOf is the reason of an error.
func reasonOf(err error) Reason {
	switch {
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
	Err      error
	Failing  time.Time
	Failures map[Reason]int64 // since the start
	// Saving is why the release is not on disk, Restored why the one on disk could not be
	// used at the start, and Reporting why the fleet is not told of this instance.
	Saving, Restored, Reporting error
}

// Status is the state of the follower.
func (f *Follower) Status() Status {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	s := f.status
	s.Failures = maps.Clone(s.Failures)
	if h := f.served; h != nil {
		s.Serving, s.Taken, s.Since, s.Saved = h.entry, h.taken, h.since, h.saved
	}
	if h := f.offered; h != nil {
		s.Offered = h.entry
	}
	if f.refused != nil {
		refused := *f.refused
		s.Refused = &refused
	}
	return s
}

// answered notes that the store answered, and what its channel names.
func (f *Follower) answered(head Entry) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.status.Err != nil {
		f.options.Log.Info("the store answers again", "store", f.status.Where, "after", time.Since(f.status.Failing).Round(time.Second))
	}
	f.status.Answered, f.status.Wanted, f.status.Err, f.status.Failing = time.Now(), head, nil, time.Time{}
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
