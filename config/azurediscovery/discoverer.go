package azurediscovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"time"

	"pldns/config"
	"pldns/config/azuregraph"
	"pldns/config/source"
	"pldns/zones/azure"
)

// saveAgain is after how long a listing that is what it was is saved again, so that its
// age is told after a restart.
const saveAgain = 15 * time.Minute

// Options are what a [Discoverer] is made of.
type Options struct {
	Azure config.Azure
	// Ask makes what is asked; the error says why there is nothing. It is called before
	// a listing until it has made something.
	Ask func() (Asker, error)
	// Fleet shares what one instance lists; nil where each lists for itself. With a Fleet,
	// a nil Ask never lists.
	Fleet Fleet
	// Listed is called with each complete listing as it came, before what was known is
	// kept in it. Nil calls nobody.
	Listed func(*Listing)
	// Changed is called when networks see something else than before. It may wait.
	Changed func(ctx context.Context)
	// Bulk is called when a listing begins, and what it gives when all that follows from
	// it is done; nil where nobody wants to know.
	Bulk func() (done func())
	Log  *slog.Logger
	// ReadOnly keeps what is on disk as it is.
	ReadOnly bool
	Now      func() time.Time // nil for the clock of the system
}

// Discoverer learns from Azure. Its methods may be called by any number of goroutines.
type Discoverer struct {
	options Options
	kick    chan struct{}
	// unserved says that a listing came while what is served was made of the one before.
	unserved chan struct{}
	running  sync.Mutex // held by the one listing under way

	mutex    sync.Mutex // of everything below
	ask      Asker
	listing  *Listing // nil before the first
	saved    time.Time
	view     *View // what is served
	tried    time.Time
	err      error  // of the last try; nil when it was good
	restored error  // why there was nothing on disk
	saving   error  // why the last listing is not on disk
	leading  bool   // whether this instance lists for its fleet
	by       string // the instance that publishes
	sharing  error  // why what is listed is not shared
	runs     int64  // that were tried
	failures int64  // of them
	// calls and throttled are those of clients before.
	calls, throttled int64
	took             time.Duration
}

// New makes a discoverer that begins with the last good listing on disk. It asks nobody
// yet.
func New(o Options) *Discoverer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Bulk == nil {
		o.Bulk = func() func() { return func() {} }
	}
	d := &Discoverer{options: o, kick: make(chan struct{}, 1), unserved: make(chan struct{}, 1)}
	if d.listing, d.restored = Restore(o.Azure); d.restored != nil && !errors.Is(d.restored, ErrNoState) {
		o.Log.Error("the last good listing cannot be used", "source", d.Name(), "error", d.restored)
	}
	if d.listing != nil {
		d.saved = d.listing.Taken
	}
	return d
}

// Name is that of its source.
func (d *Discoverer) Name() string { return source.AzureName(d.options.Azure.Name) }

// Settings are those that it was made of.
func (d *Discoverer) Settings() config.Azure { return d.options.Azure }

// View is what a discoverer knew of at one time, as the networks of one configuration
// see it. It is a [source.Source], and does not change.
type View struct {
	name      string
	networks  []config.Network
	catalogue *azure.Catalogue
	listing   *Listing
	seen      *Seen // nil where there is no listing
	err       error
	knowledge *knowledge
}

// Name implements [source.Source].
func (v *View) Name() string { return v.name }

// Last implements [source.Source]. The error is that of the newest listing that did not
// work out, or [ErrNoState].
func (v *View) Last() (*source.Set, error) {
	if v.seen == nil {
		return nil, cmp.Or(v.err, ErrNoState)
	}
	return v.seen.Set, v.err
}

// View is what networks see now. Of the networks only names and what they learn are
// kept.
func (d *Discoverer) View(networks []config.Network, catalogue *azure.Catalogue) *View {
	kept := make([]config.Network, 0, len(networks))
	for _, n := range networks {
		if n.Azure != nil {
			kept = append(kept, config.Network{Name: strings.Clone(n.Name), Azure: n.Azure})
		}
	}
	d.mutex.Lock()
	listing, err := d.listing, d.err
	d.mutex.Unlock()
	return d.viewOf(listing, err, kept, catalogue)
}

func (d *Discoverer) viewOf(l *Listing, err error, networks []config.Network, catalogue *azure.Catalogue) *View {
	v := &View{name: d.Name(), networks: networks, catalogue: catalogue, listing: l, err: err, knowledge: new(knowledge)}
	if l != nil {
		v.seen = Derive(l, d.options.Azure.Name, networks, catalogue)
	}
	return v
}

// at is the view of a listing that says the same at a later time.
func (v *View) at(l *Listing) *View {
	later, seen := *v, *v.seen
	seen.Set = &source.Set{Taken: l.Taken, Shares: v.seen.Set.Shares}
	later.listing, later.seen, later.err, later.knowledge = l, &seen, nil, new(knowledge)
	return &later
}

// Serve says that a view is served from now on. A listing that came since then is for
// the next reload, which is asked for here.
func (d *Discoverer) Serve(v *View) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.view = v
	if v.listing == d.listing {
		return
	}
	if d.options.Fleet == nil {
		d.wake()
		return
	}
	select {
	case d.unserved <- struct{}{}:
	default:
	}
}

func (d *Discoverer) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// Run lists again and again until ctx ends: at once, and then as often as was asked for,
// at times that differ by a tenth, so that many instances do not ask together. Listings
// that fail are logged and shown, so the error is always nil.
func (d *Discoverer) Run(ctx context.Context) error {
	if d.options.Fleet != nil {
		return d.runShared(ctx)
	}
	for wait := rand.N(d.options.Azure.Every/20 + 1); d.waits(ctx, wait); wait = d.pause() {
		d.once(ctx, nil)
	}
	return nil
}

// once lists, has what came of it published where that is wanted, and served.
func (d *Discoverer) once(ctx context.Context, publish func()) {
	defer d.options.Bulk()()
	if err := d.Refresh(ctx); err == nil && publish != nil { // else it is logged, and shown
		publish()
	}
	d.tellChange(ctx)
}

// waits waits, or until somebody wants a listing. It tells whether ctx goes on.
func (d *Discoverer) waits(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-d.kick:
	}
	return ctx.Err() == nil
}

// tellChange has what is served made anew, if networks would see something else.
func (d *Discoverer) tellChange(ctx context.Context) {
	if ctx.Err() == nil && d.differs() && d.options.Changed != nil {
		d.options.Changed(ctx)
	}
}

func (d *Discoverer) pause() time.Duration {
	every := d.options.Azure.Every
	return every*9/10 + rand.N(every/5+1)
}

// differs tells whether networks would see something else than what is served, and
// remembers the newer view where that is all that differs.
func (d *Discoverer) differs() bool {
	d.mutex.Lock()
	view, listing, err := d.view, d.listing, d.err
	d.mutex.Unlock()
	if view == nil || listing == nil || listing == view.listing {
		return false
	}
	newer := d.viewOf(listing, err, view.networks, view.catalogue)
	if view.seen == nil || !sameShares(view.seen.Set, newer.seen.Set) {
		return true
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.view == view {
		d.view = newer
	}
	return false
}

// sameShares tells whether two sets serve the same.
func sameShares(a, b *source.Set) bool {
	if len(a.Shares) != len(b.Shares) {
		return false
	}
	for name, share := range a.Shares {
		other := b.Shares[name]
		if other == nil || !reflect.DeepEqual(share.Endpoints, other.Endpoints) || !reflect.DeepEqual(share.Clients, other.Clients) ||
			!reflect.DeepEqual(share.Zones, other.Zones) {
			return false
		}
	}
	return true
}

// Refresh lists once, and keeps what came of it if it is complete. One listing is under
// way at a time. The error says why it is not complete, or that it cannot be kept on
// disk; what was known before holds then.
func (d *Discoverer) Refresh(ctx context.Context) error {
	d.running.Lock()
	defer d.running.Unlock()
	began := d.options.Now()
	ctx, cancel := context.WithTimeout(ctx, d.options.Azure.Deadline)
	defer cancel()
	fresh, err := d.list(ctx)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("not done after %s: %w", d.options.Azure.Deadline, err)
	}
	var next *Listing
	changed := false
	if err == nil {
		next, changed, err = d.take(fresh)
	}
	if errors.Is(err, context.Canceled) {
		return err // the program stops
	}
	d.finish(began, next, changed, err)
	return err
}

func (d *Discoverer) list(ctx context.Context) (*Listing, error) {
	d.mutex.Lock()
	ask, before := d.ask, d.listing
	d.mutex.Unlock()
	if ask == nil {
		var err error
		if ask, err = d.options.Ask(); err != nil {
			return nil, err
		}
		d.mutex.Lock()
		d.ask = ask
		d.mutex.Unlock()
	}
	return List(ctx, ask, d.Name(), d.options.Azure.Scopes, before, d.options.Now)
}

// take makes a complete listing the one that counts.
func (d *Discoverer) take(fresh *Listing) (next *Listing, changed bool, err error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if want := d.options.Azure.Tenant; want != "" {
		for _, s := range fresh.Subscriptions {
			if s.Tenant != "" && s.Tenant != want {
				delete(fresh.Subscriptions, s.ID)
			}
		}
		for id, row := range fresh.Rows {
			if fresh.Subscriptions[SubscriptionOf(row.ID)] == nil {
				delete(fresh.Rows, id)
			}
		}
	}
	if d.options.Listed != nil {
		d.options.Listed(fresh)
	}
	if d.listing == nil {
		return fresh, true, nil
	}
	if before, now, moved := d.listing.moved(fresh); moved {
		return nil, false, fmt.Errorf("the identity reads tenant %s now, and the last good listing is of %s: "+
			"correct the identity, or remove %s", now, before, d.options.Azure.State)
	}
	losses := Losses(func(*Listing, *Listing) ([]Loss, int) { return nil, 0 })
	if d.view != nil {
		losses = LossesOf(d.options.Azure.Name, d.view.networks, d.view.catalogue)
	}
	next, changed = d.listing.Next(fresh, losses)
	return next, changed, nil
}

// finish notes what came of a listing, and saves it.
func (d *Discoverer) finish(began time.Time, next *Listing, changed bool, err error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.tried, d.took = began, d.options.Now().Sub(began)
	d.runs++
	if err != nil {
		d.failures++
		d.forget()
		if d.err == nil || d.err.Error() != err.Error() {
			d.options.Log.Warn("Azure was not listed: what was known goes on", "source", d.Name(), "error", err)
		}
		d.err = err
		return
	}
	if d.err != nil {
		d.options.Log.Info("Azure is listed again", "source", d.Name())
	}
	d.err = nil
	if !changed && d.view != nil && d.view.listing == d.listing {
		d.view = d.view.at(next)
	}
	d.listing = next
	if changed || d.saving != nil || next.Taken.Sub(d.saved) >= saveAgain {
		d.save()
	}
}

// forget drops what is asked: a new one may get another token. The mutex is held.
func (d *Discoverer) forget() {
	if client, is := d.ask.(*azuregraph.Client); is {
		calls, throttled := client.Calls()
		d.calls, d.throttled = d.calls+calls, d.throttled+throttled
	}
	d.ask = nil
}

// save writes the listing; the mutex is held.
func (d *Discoverer) save() {
	if d.options.ReadOnly {
		return
	}
	err := d.makeFolder()
	if err == nil {
		err = Save(d.options.Azure, d.listing)
	}
	if err != nil && (d.saving == nil || d.saving.Error() != err.Error()) {
		d.options.Log.Error("the last good listing is not on disk", "source", d.Name(), "error", err)
	}
	if d.saving = err; err == nil {
		d.saved = d.listing.Taken
	}
}

// Accept lets go of everything that is held, and of what subscriptions had that are
// gone, with the next complete listing, which is begun at once. It gives how many
// resources that is.
func (d *Discoverer) Accept(subscriptions []string) int {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.listing == nil {
		return 0
	}
	next, marked := d.listing.Accept(subscriptions)
	if marked > 0 || len(next.Subscriptions) != len(d.listing.Subscriptions) {
		d.listing = next
		d.save()
		d.wake()
	}
	return marked
}
