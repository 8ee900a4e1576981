package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"pldns/config"
	"pldns/config/azurediscovery"
	"pldns/config/azuregraph"
	"pldns/config/source"
	"pldns/config/store"
	"pldns/resolver/admin"
	"pldns/resolver/metrics"
	"pldns/zones"
)

// learning is what a configuration learns from Azure, and how. Its parts are those of
// the configuration before where nothing about them has changed.
type learning struct {
	discoverers []*discoverer          // in the order of the configuration
	views       []*azurediscovery.View // what of each is served
	files       []fileSource           // what is written, as sources
	follower    *store.Follower        // of the fleet's store; nil where there is none
	release     *config.Release        // of it; nil where there is none yet
	*source.Composed
}

// learn completes a configuration by what is learned. What a discoverer knows stays; a
// new one begins with the last good listing on disk. It asks nobody.
func (s *Server) learn(c *config.Config, follower *store.Follower, before *served) *learning {
	l := &learning{files: filesOf(c, time.Now()), follower: follower, release: c.Release}
	for _, a := range sourcesOf(c) {
		l.discoverers = append(l.discoverers, s.discoverer(a, c.Store, before))
	}
	l.compose(c)
	return l
}

// releaseID names the release that is served; empty where there is none.
func (l *learning) releaseID() string {
	if l.release == nil {
		return ""
	}
	return l.release.ID
}

func (l *learning) compose(c *config.Config) {
	var learned []source.Source
	for _, d := range l.discoverers {
		view := d.View(c.Networks, c.Catalogue)
		l.views, learned = append(l.views, view), append(learned, view)
	}
	l.Composed = source.Compose(c, learned...)
}

// discoverer is the one before, if it is of the same settings, or a new one.
func (s *Server) discoverer(a listed, in *config.Store, before *served) *discoverer {
	shares := in.Elects()
	if before != nil {
		for _, known := range before.learned.discoverers {
			sharedAlike := (known.store != nil) == shares && (!shares || sameStore(*known.store, *in))
			if sameAzure(known.Settings(), a.Azure) && known.here == a.here && sharedAlike {
				return known
			}
		}
	}
	o := azurediscovery.Options{
		Azure: a.Azure, Log: s.log,
		Changed: func(ctx context.Context) { _ = s.reload(ctx) }, // logged, and shown by /readyz
		Bulk:    s.pacer.bulk,
	}
	if a.here {
		o.Ask = func() (azurediscovery.Asker, error) {
			return azuregraph.New(a.Azure, httpOver(a.Roots, nil, func() reach { return s.now().reach(a.Network) }))
		}
	}
	d := &discoverer{here: a.here}
	if shares {
		settings := *in
		d.store = &settings
		o.Fleet = fleetOf(settings, a.Name, s)
	}
	d.Discoverer = azurediscovery.New(o)
	return d
}

// sameAzure tells whether two sources are of the same settings.
func sameAzure(a, b config.Azure) bool {
	if !a.Roots.Equal(b.Roots) {
		return false
	}
	a.Roots, b.Roots = nil, nil
	return reflect.DeepEqual(a, b)
}

// serve says that what was composed is served.
func (l *learning) serve() {
	for i, d := range l.discoverers {
		d.Serve(l.views[i])
	}
	if l.follower != nil {
		l.follower.Serve(l.release)
	}
}

// runners are the long-lived parts.
func (l *learning) runners() []runner {
	all := make([]runner, len(l.discoverers))
	for i, d := range l.discoverers {
		all[i] = d
	}
	if l.follower != nil {
		all = append(all, l.follower)
	}
	return all
}

// origin is where a mapping of a network comes from, for people; empty where it has none.
func (l *learning) origin(network string, name zones.Name) string {
	origin, known := l.originOf(network, name)
	if !known {
		return ""
	}
	return origin.String()
}

// originOf is where a mapping comes from. What is learned was seen when it was seen last,
// which may be since it is served.
func (l *learning) originOf(network string, name zones.Name) (source.Origin, bool) {
	origin, known := l.Origins.Of(network, name)
	for _, d := range l.discoverers {
		if known && d.Name() == origin.Source {
			if seen := d.Seen(origin.Place); !seen.IsZero() {
				origin.Seen = seen
			}
		}
	}
	return origin, known
}

// Composed is a configuration with what is on disk of what its sources learned, for
// those who do not serve.
func Composed(c *config.Config) *source.Composed {
	l := new(learning)
	for _, a := range sourcesOf(c) {
		l.discoverers = append(l.discoverers, &discoverer{Discoverer: azurediscovery.New(azurediscovery.Options{Azure: a.Azure})})
	}
	l.compose(c)
	for _, d := range l.discoverers {
		if err := d.Restored(); err != nil {
			l.Warnings = append(l.Warnings, fmt.Sprintf("what %s has learned is not known here: %s", d.Name(), err))
		}
	}
	return l.Composed
}

// Discovered is what listing each source of a configuration once came to.
type Discovered struct {
	*source.Composed
	Sources []azurediscovery.Status // in the order of the configuration
	// Listings are what each source was listed as, and Faults why it was not: one of the
	// two is nil. What is on disk stands in for a source in Composed, and not here.
	Listings []*azurediscovery.Listing
	Faults   []error
}

// Discover lists each source of a configuration once, and gives it with what that comes
// to. Nothing is served. With keep, the last good listings on disk are renewed, so that
// what one run lacks is kept until the next one. The error says that nothing can be asked.
func Discover(ctx context.Context, c *config.Config, keep bool, log *slog.Logger) (*Discovered, error) {
	parts, err := assemble(Composed(c).Config, observers{}, new(parts))
	if err != nil {
		return nil, err
	}
	l := new(learning)
	found := &Discovered{Listings: make([]*azurediscovery.Listing, len(c.Azure)), Faults: make([]error, len(c.Azure))}
	for i, a := range c.Azure {
		d := azurediscovery.New(azurediscovery.Options{
			Azure: a, Log: log, ReadOnly: !keep,
			Listed: func(l *azurediscovery.Listing) { found.Listings[i] = l },
			Ask: func() (azurediscovery.Asker, error) {
				return azuregraph.New(a, httpOver(a.Roots, nil, func() reach { return parts.reach(a.Network, c.Forward) }))
			},
		})
		d.Serve(d.View(c.Networks, c.Catalogue))
		if err := d.Refresh(ctx); err != nil {
			found.Listings[i], found.Faults[i] = nil, fmt.Errorf("%s: %w", d.Name(), err)
		}
		l.discoverers = append(l.discoverers, &discoverer{Discoverer: d})
	}
	l.compose(c)
	l.serve()
	found.Composed = l.Composed
	for _, d := range l.discoverers {
		found.Sources = append(found.Sources, d.Status())
	}
	return found, nil
}

// accept lets go of what is held of one source, or of all where none is named.
func (s *Server) accept(name string, subscriptions []string) (int, error) {
	discoverers := s.now().learned.discoverers
	if name != "" {
		at := slices.IndexFunc(discoverers, func(d *discoverer) bool {
			return d.Name() == name || d.Settings().Name == name
		})
		if at < 0 {
			return 0, fmt.Errorf("there is no source %q", name)
		}
		discoverers = discoverers[at : at+1]
	}
	accepted := 0
	var elsewhere []error
	for _, d := range discoverers {
		elsewhere = append(elsewhere, d.Elsewhere())
	}
	if err := errors.Join(elsewhere...); err != nil {
		if name == "" && len(elsewhere) > 1 {
			err = fmt.Errorf("nothing is accepted, because not all sources are listed here: name one\n%w", err)
		}
		return 0, err
	}
	for _, d := range discoverers {
		accepted += d.Accept(subscriptions)
	}
	s.log.Info("removals were accepted", "source", name, "resources", accepted, "subscriptions", fmt.Sprint(subscriptions))
	return accepted, nil
}

// sources are all sources, as operators see them.
func (s *Server) sources() []admin.Source {
	now := s.now()
	s.mutex.Lock()
	var failed error
	if !s.lastReload.At.IsZero() && !s.lastReload.OK {
		failed = errors.New(s.lastReload.Error)
	}
	s.mutex.Unlock()
	all := make([]admin.Source, 0, 2+len(now.learned.discoverers))
	for _, file := range now.learned.files {
		shown := admin.Source{Name: file.name, Taken: now.loaded, Serving: file.serving}
		if failed != nil {
			shown.Error = failed.Error()
		}
		if file.name == source.StoreName {
			ofFollower(&shown, now.learned.follower.Status())
		}
		all = append(all, shown)
	}
	for _, d := range now.learned.discoverers {
		all = append(all, shownSource(d.Status(), now.learned.Composed))
	}
	return all
}

// shownSource is a source that learns, as operators see it.
func shownSource(s azurediscovery.Status, c *source.Composed) admin.Source {
	shown := admin.Source{
		Name: s.Name, Taken: s.Taken, Tried: s.Tried, Every: s.Every.Seconds(), Calls: s.Calls, Throttled: s.Throttled, Serving: s.Serving,
		By:      s.By,
		Pending: shownResources(s.Pending), Leaving: shownResources(s.Leaving), Held: shownResources(s.Held), Kept: shownResources(s.Kept),
		Warnings: s.Warnings,
	}
	for _, err := range []error{s.Error, s.Restored, s.Saving} {
		if err != nil {
			shown.Error = err.Error()
			break
		}
	}
	for _, subscription := range s.Subscriptions {
		shown.Subscriptions = append(shown.Subscriptions, admin.Subscription{
			ID: subscription.ID, Name: subscription.Name, Tenant: subscription.Tenant, Seen: subscription.Seen, Gone: subscription.Gone,
			Endpoints: s.States[subscription.ID],
		})
	}
	for _, gap := range s.Left {
		shown.Left = append(shown.Left, admin.Resource{ID: gap.Resource, Why: gap.Text})
	}
	for _, d := range c.Differences {
		if d.From.Source == s.Name {
			shown.Differences = append(shown.Differences, admin.Difference{
				Network: d.Network, Name: d.Name, Served: d.Served, By: d.By.String(), Learned: d.Learned, From: d.From.String(),
			})
		}
	}
	return shown
}

func shownResources(list []azurediscovery.Resource) []admin.Resource {
	var all []admin.Resource
	for _, r := range list {
		all = append(all, admin.Resource{ID: r.ID, Since: r.Since, Why: r.Why, Serves: r.Names})
	}
	return all
}

// learned are the sources as the metrics have them, asked at each look.
func (s *Server) learnedNow() []metrics.Source {
	var all []metrics.Source
	for _, d := range s.now().learned.discoverers {
		status := d.Status()
		m := metrics.Source{
			Name: status.Name, Taken: status.Taken, OK: status.Error == nil && !status.Tried.IsZero(), Saved: status.Saving == nil,
			Calls: status.Calls, Throttled: status.Throttled, Runs: status.Runs, Failures: status.Failures, Took: status.Took,
			Held: len(status.Held), States: make(map[string]int),
		}
		for _, counts := range status.States {
			for state, n := range counts {
				m.States[state] += n
			}
		}
		for _, subscription := range status.Subscriptions {
			if !subscription.Gone.IsZero() {
				m.Gone++
			}
		}
		for _, d := range s.now().learned.Differences {
			if d.From.Source == status.Name {
				m.Differences++
			}
		}
		all = append(all, m)
	}
	return all
}

// fileSource is a source that is a file, or files.
type fileSource struct {
	name    string
	serving int
}

// filesOf are the files of a configuration as sources.
func filesOf(c *config.Config, loaded time.Time) []fileSource {
	var all []fileSource
	for _, of := range source.Files(c, loaded, nil) {
		set, _ := of.Last()
		all = append(all, fileSource{of.Name(), set.Endpoints()})
	}
	return all
}
