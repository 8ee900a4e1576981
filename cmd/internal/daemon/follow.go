package daemon

import (
	"context"
	"fmt"
	"reflect"

	"pldns/config"
	"pldns/config/azuregraph"
	"pldns/config/store"
	"pldns/resolver/admin"
	"pldns/resolver/metrics"
)

// read reads the configuration with a release of its store, where it has one.
func (s *Server) read(which func(*store.Follower) *config.Release, before *store.Follower) (*config.Config, *store.Follower, error) {
	var follower *store.Follower
	c, err := s.load(func(settings config.Store) (*config.Release, error) {
		follower = s.follower(settings, before)
		return which(follower), nil
	})
	return c, follower, err
}

// offered is the release that is to be served next: the one that is served where there is
// no newer one.
func offered(f *store.Follower) *config.Release {
	if next := f.Offered(); next != nil {
		return next
	}
	return f.Served()
}

// follower is the one before, if it is of the same settings, or a new one.
func (s *Server) follower(settings config.Store, before *store.Follower) *store.Follower {
	if before != nil && sameStore(before.Settings(), settings) {
		return before
	}
	now := func() reach { return s.now().reach("") }
	return store.NewFollower(store.FollowerOptions{
		Settings: settings, Version: Build().Version, Log: s.log, Before: before,
		Open: func() store.Store {
			o := storeOptions(settings, now)
			o.Now = s.clock
			return store.Open(settings, o)
		},
		Changed: func(ctx context.Context) { _ = s.reloadBy(ctx, true) }, // logged, and shown by /readyz
		Health: func() (bool, string) {
			status := s.status()
			return status.Ready, status.Reason
		},
	})
}

// storeOptions say how a store is reached over addresses that the program itself finds.
func storeOptions(settings config.Store, now func() reach) store.Options {
	o := store.Options{Dial: dialOver(now)}
	if settings.URL != "" {
		o.HTTP = httpOver(settings.Roots, settings.Certificate, now)
		o.Token = azuregraph.StorageToken(settings, httpOver(nil, nil, now))
	}
	return o
}

// OpenStore opens a store for those who do not serve.
func OpenStore(settings config.Store) store.Store {
	return store.Open(settings, store.Options{Token: azuregraph.StorageToken(settings, nil)})
}

// sameStore tells whether two stores are of the same settings.
func sameStore(a, b config.Store) bool {
	if (a.Roots == nil) != (b.Roots == nil) || a.Roots != nil && !a.Roots.Equal(b.Roots) {
		return false
	}
	if one, other := a.Certificate, b.Certificate; (one == nil) != (other == nil) ||
		one != nil && !reflect.DeepEqual(one.Certificate, other.Certificate) {
		return false
	}
	a.Roots, b.Roots, a.Certificate, b.Certificate = nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

// ofStore adds what there is to say of the store.
func (s *Server) ofStore(status *admin.Status) {
	f := s.now().learned.follower
	if f == nil {
		return
	}
	now := f.Status()
	status.Store = shownStore(now)
	if now.Serving.Release == "" && status.Ready {
		status.Ready, status.Reason = false, fmt.Sprintf("there is no release of channel %s yet", now.Channel)
		if now.Err != nil {
			status.Reason += ": " + now.Err.Error()
		}
	}
}

// shownStore is how the store is followed, as operators see it.
func shownStore(now store.Status) *admin.Store {
	shown := &admin.Store{
		Where: now.Where, Channel: now.Channel, Instance: now.Name, Release: string(now.Serving.Release),
		Short: now.Serving.Release.Short(),
		Note:  now.Serving.Note, By: now.Serving.By, Pushed: now.Serving.At, Taken: now.Taken, Since: now.Since, Saved: now.Saved,
		Wanted: string(now.Wanted.Release), Answered: now.Answered, Faults: []admin.StoreFault{},
	}
	for _, fault := range now.Faults() {
		shown.Faults = append(shown.Faults, admin.StoreFault{Since: fault.Since, Text: fault.Text})
	}
	return shown
}

// ofFollower adds what a store says to what its release maps.
func ofFollower(shown *admin.Source, now store.Status) {
	shown.Taken, shown.Tried, shown.Error = now.Taken, now.Answered, ""
	switch {
	case now.Refused != nil:
		shown.Error = now.Refused.Err.Error()
	case now.Err != nil:
		shown.Error = now.Err.Error()
	}
}

// followed is how the store is followed, as the metrics have it; nil where there is none.
func (s *Server) followed() *metrics.Store {
	f := s.now().learned.follower
	if f == nil {
		return nil
	}
	now := f.Status()
	shown := &metrics.Store{
		Channel: now.Channel, Release: now.Serving.Release.Short(), Pushed: now.Serving.At, Answered: now.Answered,
		Reachable: now.Err == nil && !now.Answered.IsZero(),
		Current:   now.Serving.Release != "" && now.Serving.Release == now.Wanted.Release,
		Refused:   now.Refused != nil, Saved: now.Saved, Full: now.Full, Took: now.Took, Failures: make(map[string]int64),
	}
	if !now.Compared.IsZero() {
		shown.Ahead = &now.Ahead
	}
	if now.Reports {
		told := now.Reporting == nil
		shown.Told = &told
	}
	for _, reason := range store.Reasons() {
		shown.Failures[string(reason)] = now.Failures[reason]
	}
	return shown
}
