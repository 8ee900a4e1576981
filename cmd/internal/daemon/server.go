package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sync/errgroup"

	"pldns/config"
	"pldns/config/store"
	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/forward"
	"pldns/resolver/listen"
	"pldns/resolver/metrics"
	"pldns/resolver/observe"
	"pldns/resolver/probe"
	"pldns/resolver/selfcheck"
	"pldns/zones"
)

// Options are what a Server is made of. What is zero is as usual, but for Load and Log.
type Options struct {
	// File is what messages call the configuration.
	File string
	// Load reads the configuration with the release of its store, at the start and at
	// each reload. It may hang, as on a share that is away.
	Load func(config.Releases) (*config.Config, error)
	Log  *slog.Logger
	// AnyAdminPort has operators answered at another port where that of the configuration
	// is taken.
	AnyAdminPort bool
	// FormatLog is told how Log is to be written, before anything is served and at every
	// reload; nil where nobody can change that.
	FormatLog func(json bool, level slog.Level)
	// DroppedLines counts the lines that the log has dropped; nil where it drops none.
	DroppedLines func() int64
	// SelfCheck says how often the listeners are asked, and how long they may take.
	SelfCheck selfcheck.Config
	// ReadPatience is how long a reload may read before the next one goes on beside
	// it, and ReloadPatience how long whoever asks for a reload waits for it.
	ReadPatience, ReloadPatience time.Duration
	// Clock is the clock of the machine that the store of a fleet is compared with; nil is
	// that of the system.
	Clock func() time.Time
}

// Open makes a Server within the memory that the process may take, and opens its
// listeners, with the sockets that the service manager passed. Files that do not answer
// hold it up until ctx ends. The error names the file, and says what cannot be read,
// checked or opened.
func Open(ctx context.Context, o Options) (*Server, error) {
	limits := limitMemory(o.Log, groupMemory)
	type result struct {
		server *Server
		err    error
	}
	made, err := abandon(ctx, func() result {
		s, err := New(o)
		return result{s, err}
	})
	if err != nil {
		return nil, fmt.Errorf("%s cannot be served: stopped while it was read", o.File)
	}
	if made.err != nil {
		return nil, fmt.Errorf("%s cannot be served:\n%w", o.File, made.err)
	}
	made.server.memory = limits
	return made.server, made.server.Listen(activation.Files(true))
}

// Server is everything that runs, and nothing that decides.
type Server struct {
	load         func(config.Releases) (*config.Config, error) // reads the configuration
	log          *slog.Logger
	recorder     *metrics.Recorder
	prober       *probe.Prober
	watch        *observe.Unmapped
	recent       *observe.Recent
	live         *observe.Live
	past         *past
	current      atomic.Pointer[served]
	resolver     *resolver.Resolver
	listeners    *listen.Server
	certificates certificates
	admin        *admin.Server // nil when it is turned off
	behind       *supervisor   // what the listeners lead to; nil until run

	files    files
	memory   memoryBounds
	pacer    *pacer
	own      zones.Name         // what the program asks itself for
	checking selfcheck.Config   // how it asks; the rest is filled in
	checker  *selfcheck.Checker // of the open listeners; nil before listen

	began        time.Time
	notifier     *notifier
	reloads      *reloads
	droppedLines func() int64     // of the log; nil where nothing drops them
	clock        func() time.Time // that a store is compared with; nil for that of the system
	formatLog    func(json bool, level slog.Level)
	anyAdminPort bool
	first        string       // signature of the files that were read first
	reloading    sync.Mutex   // held while what was read becomes what is served
	stopping     bool         // under reloading: nothing more may be served
	upstreamTaps forward.Taps // who is told of messages to upstream servers
	tapping      sync.Mutex   // held while it is said who observes queries
	mutex        sync.Mutex
	lastReload   admin.Reload // under mutex
}

// now is what is served now.
func (s *Server) now() *served { return s.current.Load() }

// New puts the parts together for the configuration that o.Load reads. It opens and
// starts nothing. The error is that of o.Load, or names the part that cannot be made.
func New(o Options) (*Server, error) {
	began := time.Now()
	s := &Server{
		memory: memoryBounds{limit: math.MaxInt64}, pacer: newPacer(),
		load: o.Load, log: o.Log, droppedLines: o.DroppedLines, clock: o.Clock, formatLog: o.FormatLog,
		anyAdminPort: o.AnyAdminPort, checking: o.SelfCheck,
		recorder: metrics.New(Build()), began: began, notifier: newNotifier(o.Log),
		reloads: newReloads(o), own: ownName(), files: shareFiles(fileLimit()),
	}
	c, follower, err := s.read((*store.Follower).Served, nil)
	if err != nil {
		return nil, err
	}
	s.writeLogAs(c.Log)
	s.watch = s.newUnmapped()
	s.recent = observe.NewRecent(s.tap, nil)
	s.live = observe.NewLive(s.tap, func() string { return s.now().learned.releaseID() })
	s.past = s.newPast(c.Traffic.State)
	s.prober = probe.New(probe.Config{Observer: s.recorder, Log: o.Log})
	learned := s.learn(c, follower, nil)
	exchanged, c, warnings, err := s.newExchanged(learned.Config, nil)
	if err != nil {
		return nil, err
	}
	learned.Warnings = append(learned.Warnings, warnings...)
	made, err := assemble(c, s.observers(), new(parts))
	if err != nil {
		return nil, err
	}
	first := newServed(c, made, learned)
	first.exchanged = exchanged
	if first.taps, err = s.newTaps(c, taps{}); err != nil {
		return nil, err
	}
	logWarnings(s.log, first.warnings)
	s.current.Store(first)
	s.resolver = resolver.New(made.snapshot)
	s.listeners, err = listen.New(listen.Config{
		Addrs: c.Listen.DNS, TLS: c.Listen.DoT, HTTPS: c.Listen.DoH, QUIC: c.Listen.DoQ, HTTP3: c.Listen.H3,
		TLSConfig: s.certificates.settings(), ResetSecret: resetSecret(c.TLS, hostName()),
		Handler: selfAsked{s.resolver, s.own}, Log: o.Log, Observer: s.past.Observe(s.recorder),
		Dedicated: true, Connections: s.files.connections,
	})
	if err != nil {
		return nil, err
	}
	s.recorder.Ask(s.asked())
	s.recorder.Learn(s.learnedNow)
	s.recorder.Follow(s.followed)
	s.recorder.Hold(func() ([]metrics.Zone, []metrics.Given) { return s.now().measured() })
	s.serveFrom(first)
	s.first = s.firstSignature(began)
	if c.Listen.Admin.IsValid() {
		s.admin = admin.New(s.adminOptions(c.Listen.Admin))
	}
	return s, nil
}

// writeLogAs says how the log is written from now on.
func (s *Server) writeLogAs(how config.Log) {
	if s.formatLog != nil {
		s.formatLog(how.JSON, how.Level)
	}
}

// observers are who is told of what the parts do.
func (s *Server) observers() observers {
	origin := func(network string, name zones.Name) string { return s.now().learned.origin(network, name) }
	return observers{cache: s.recorder, upstream: s.recorder, taps: &s.upstreamTaps, log: s.log, health: s.prober, origin: origin}
}

func (s *Server) adminOptions(addr netip.AddrPort) admin.Options {
	return admin.Options{
		Addr: addr, Connections: s.files.admin, Explain: s.resolver.Explain, Status: s.status, Alive: s.alive,
		Reload:    func() error { return s.reload(context.Background()) },
		Upstreams: func() []admin.Upstream { return s.now().upstreams() },
		Cache:     cacheView{s},
		Unmapped:  s.unmappedNames,
		Networks:  func() []admin.Network { return slices.Clone(s.now().networks) },
		Sources:   s.sources, Accept: s.accept, Shadow: s.shadow, Zones: func() admin.Zones { return s.now().exchanged.shown() },
		Origin: func(network string, name zones.Name) string { return s.now().learned.origin(network, name) },
		Index:  func() *admin.EndpointIndex { return s.now().index }, NeverAsked: s.watch.Unasked,
		ZoneFile: s.zoneFile,
		Health:   s.prober, Recent: s.recent, Live: s.live, Pending: s.pending, Traffic: s.past.Traffic, Called: s.called,
		Instance: admin.Instance{Name: hostName(), Version: Build().Version, Began: s.began},
		Access:   func() admin.Access { return s.now().access() },
		Metrics:  s.recorder.Handler(), Panicked: s.recorder.Panicked, Log: s.log,
	}
}

// status is the state of the server for /readyz. It is asked only while the
// listeners are open.
func (s *Server) status() admin.Status {
	now := s.now()
	status := admin.Status{
		Ready: true, Loaded: now.loaded, Warnings: now.warnings, Listening: s.listening(), Certificates: now.keys.shown(),
		AsksClients: now.keys.config.ClientCAs != nil,
		LogLosses:   now.taps.log.losses(), Zones: now.unanswered(),
	}
	for _, fault := range s.checker.Faults() {
		status.Ready, status.Reason = false, "a listener does not answer the program's own question"
		status.Silent = append(status.Silent, admin.Silent{Transport: string(fault.Transport), Address: fault.Addr, Since: fault.Since,
			Error: fault.Err.Error()})
	}
	if waiting := now.learned.Waiting; len(waiting) > 0 {
		status.Ready, status.Reason = false, "nothing has been learned yet from "+strings.Join(waiting, ", ")+": /api/sources says why"
	}
	s.ofStore(&status)
	for _, upstream := range now.upstreams() {
		if upstream.Looping {
			status.Loops = append(status.Loops, fmt.Sprintf("server %s of "+
				"upstream %s forwards back to this program", upstream.Server, upstream.Group))
		}
		for _, suffix := range upstream.LoopSuffixes {
			status.Loops = append(status.Loops, fmt.Sprintf("server %s of upstream %s forwards the names of %s back to "+
				"this program: remove its forwarder for them", upstream.Server, upstream.Group, suffix))
		}
	}
	for _, network := range now.snapshot.Table().Networks() {
		status.Networks++
		status.Endpoints += network.CountEndpoints()
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if !s.lastReload.At.IsZero() {
		last := s.lastReload
		status.LastReload = &last
	}
	if since := s.reloads.since(); !since.IsZero() {
		status.ReloadingSince = &since
	}
	return status
}

// Resolve decides a query as it is decided for clients.
func (s *Server) Resolve(ctx context.Context, q resolver.Query) resolver.Answer {
	return s.resolver.Resolve(ctx, q)
}

// Addrs are where queries arrive over UDP and TCP, in the order of the configuration.
func (s *Server) Addrs() []netip.AddrPort { return s.listeners.Addrs() }

// TLSAddrs are where queries arrive over TLS.
func (s *Server) TLSAddrs() []netip.AddrPort { return s.listeners.TLSAddrs() }

// HTTPSAddrs are where queries arrive over HTTPS.
func (s *Server) HTTPSAddrs() []netip.AddrPort { return s.listeners.HTTPSAddrs() }

// QUICAddrs are where queries arrive over QUIC.
func (s *Server) QUICAddrs() []netip.AddrPort { return s.listeners.QUICAddrs() }

// HTTP3Addrs are where queries arrive over HTTP/3.
func (s *Server) HTTP3Addrs() []netip.AddrPort { return s.listeners.HTTP3Addrs() }

// AdminAddr is where operators are answered; the zero AddrPort where that is turned off.
func (s *Server) AdminAddr() netip.AddrPort {
	if s.admin == nil {
		return netip.AddrPort{}
	}
	return s.admin.Addr()
}

// Checker asks the listeners that are open, and knows which of them answers. It is nil
// before Listen.
func (s *Server) Checker() *selfcheck.Checker { return s.checker }

// Listen opens all addresses but those whose sockets were passed. It is an error if one
// of them cannot be had, or a passed socket is for none of them.
func (s *Server) Listen(passed []*os.File) error {
	// Its package would write a line of its own to standard error about the room that the
	// system gives to sockets, which is no fault.
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	inherited, err := listen.Inherit(passed)
	if err != nil {
		return err
	}
	defer inherited.Close()
	if addrs := inherited.Addrs(); len(addrs) > 0 {
		s.log.Info("using the sockets that the service manager passed", "at", fmt.Sprint(addrs))
	}
	var listener net.Listener
	if s.admin != nil {
		if listener, err = inherited.Listener(s.now().listen.Admin); err != nil {
			return err
		}
		if listener == nil && s.anyAdminPort {
			if listener, err = listenNear(s.now().listen.Admin, s.log); err != nil {
				return err
			}
		}
	}
	err = s.listeners.ListenOn(inherited)
	if s.admin != nil && err == nil {
		err = s.admin.ListenOn(listener)
	}
	if err != nil && listener != nil {
		listener.Close()
	}
	s.checker = s.newChecker()
	return err
}

// Run serves until ctx ends. Then the listeners are closed first, while what they lead to
// still works, so that every query that was read is answered. Each value from hangUps
// reloads the configuration, and so does a change of its files. The error is that of a
// part which has ended by itself, or of clients that could not be answered in time.
func (s *Server) Run(ctx context.Context, hangUps <-chan os.Signal) error {
	s.log.Info("serving", s.where()...)
	if warning := cacheWarning(s.now().cacheSettings, s.memory.group); warning != "" {
		s.log.Warn(warning)
	}
	s.log.Info("file descriptors", "limit", s.files.limit, "connections", s.files.connections, "admin", s.files.admin)
	debug.FreeOSMemory() // what reading the configuration took, which may be much
	behind, closeBehind := context.WithCancel(context.WithoutCancel(ctx))
	defer closeBehind()
	s.reloading.Lock()
	s.behind = newSupervisor(behind)
	s.behind.begin(append(s.now().runners(), s.lasting()...))
	s.reloading.Unlock()

	front, ctx := errgroup.WithContext(ctx)
	front.Go(func() error { return s.listeners.Run(ctx) })
	if s.admin != nil {
		front.Go(func() error { return s.admin.Run(ctx) })
	}
	front.Go(func() error { return s.checker.Run(ctx) })
	front.Go(func() error { return s.feedWatchdog(ctx) })
	front.Go(func() error { return s.watchFiles(ctx) })
	front.Go(func() error { return s.reloadOn(ctx, hangUps) })
	front.Go(func() error { return s.pacer.run(ctx, s.memory.limit) })
	s.notifier.tell(ready("serving " + s.now().summary))
	<-ctx.Done()
	s.notifier.tell(stopping())
	err := front.Wait()
	s.reloading.Lock()
	s.stopping = true
	s.reloading.Unlock()
	closeBehind()
	s.log.Info("stopped")
	return errors.Join(err, s.behind.wait())
}

// where is where clients and operators are answered, for the log. What there is none of
// is left out.
func (s *Server) where() []any {
	var all []any
	for _, over := range resolver.Transports() {
		if addrs := s.bound(over); len(addrs) > 0 && over != resolver.OverTCP {
			all = append(all, listenerOf(over), fmt.Sprint(addrs))
		}
	}
	if page := s.Page(); page != "" {
		all = append(all, "page", page)
	}
	return append(all, "config", s.now().summary)
}

// lasting are the long-lived parts that every configuration has.
func (s *Server) lasting() []runner { return []runner{s.prober, s.notifier, s.past} }

// reloadOn reloads for each value from hangUps, until ctx ends.
func (s *Server) reloadOn(ctx context.Context, hangUps <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangUps:
			_ = s.reload(ctx) // logged, and shown by /readyz
		}
	}
}
