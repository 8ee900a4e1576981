package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"pldns/cmd/internal/logqueue"
	"pldns/config"
	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/leaks"
	"pldns/resolver/listen"
	"pldns/resolver/metrics"
	"pldns/resolver/probe"
	"pldns/resolver/selfcheck"
	"pldns/zones"
)

func newServe() *cobra.Command {
	var file string
	var example bool
	command := &cobra.Command{
		Use:   "serve",
		Short: "Answer queries until SIGTERM or SIGINT",
		Long: `Serve reads the configuration, opens the listeners and answers. On SIGTERM or
SIGINT it stops reading, answers what it has read, and ends. It reads the
configuration anew when its files change, on SIGHUP, and on POST /-/reload at the
admin address; a faulty one changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			load := func() (*config.Config, error) { return config.Load(file) }
			if example {
				file = "the built-in example"
				load = func() (*config.Config, error) { return config.Parse(file, config.Example(), nil) }
			}
			// Whoever should read the log may be stuck: that holds up nobody who logs.
			lines := logqueue.New(command.ErrOrStderr())
			defer lines.Close(lastLines)
			log := slog.New(slog.NewTextHandler(lines, nil))
			limits := limitMemory(log, groupMemory)
			s, err := open(command.Context(), file, load, log, lines.Dropped)
			if err != nil {
				return failing(err)
			}
			s.memory = limits
			if example {
				go s.printTries(command.OutOrStdout()) // which may be stuck as well
			}
			// Whoever reads standard output, as of the query log, may go away: that
			// must not end the server.
			signal.Ignore(syscall.SIGPIPE)
			hangUps := make(chan os.Signal, 1)
			signal.Notify(hangUps, syscall.SIGHUP)
			defer signal.Stop(hangUps)
			return failing(s.run(command.Context(), hangUps))
		},
	}
	configFlag(command, &file)
	command.Flags().BoolVar(&example, "example", false, "serve the built-in example on 127.0.0.1:5353")
	command.MarkFlagsMutuallyExclusive("config", "example")
	return command
}

// lastLines is how long the log may take for what is left of it at the end.
const lastLines = time.Second

// open makes a server for the configuration that load reads, and opens its
// listeners. A file that does not answer holds it up until ctx ends.
func open(ctx context.Context, file string, load func() (*config.Config, error), log *slog.Logger, dropped func() int64) (*server, error) {
	type result struct {
		server *server
		err    error
	}
	made, err := abandon(ctx, func() result {
		s, err := newServer(load, log)
		return result{s, err}
	})
	if err != nil {
		return nil, fmt.Errorf("%s cannot be served: stopped while it was read", file)
	}
	if made.err != nil {
		return nil, fmt.Errorf("%s cannot be served:\n%w", file, made.err)
	}
	made.server.droppedLines = dropped
	return made.server, made.server.listen(activation.Files(true))
}

// server is everything that runs, and nothing that decides.
type server struct {
	load     func() (*config.Config, error) // reads the configuration
	log      *slog.Logger
	recorder *metrics.Recorder
	prober   *probe.Prober
	watch    *leaks.Watch
	recent   *admin.Recent
	current  atomic.Pointer[served]
	resolver *resolver.Resolver
	doors    *listen.Server
	keyring  keyring
	admin    *admin.Server // nil when it is turned off
	behind   *lives        // what the doors lead to; nil until run

	files    files
	memory   memoryBounds
	own      zones.Name         // what the program asks itself for
	checking selfcheck.Config   // how it asks; the rest is filled in
	checker  *selfcheck.Checker // of the open listeners; nil before listen

	notifier     *notifier
	reloads      *reloads
	droppedLines func() int64 // of the log; nil where nothing drops them
	first        string       // signature of the files that were read first
	reloading    sync.Mutex   // held while what was read becomes what is served
	stopping     bool         // under reloading: nothing more may be served
	mutex        sync.Mutex
	lastReload   admin.Reload // under mutex
}

// now is what is served now.
func (s *server) now() *served { return s.current.Load() }

// newServer puts the parts together for the configuration that load reads. It
// opens and starts nothing.
func newServer(load func() (*config.Config, error), log *slog.Logger) (*server, error) {
	began := time.Now()
	c, err := load()
	if err != nil {
		return nil, err
	}
	s := &server{memory: memoryBounds{limit: math.MaxInt64}, load: load, log: log, recorder: metrics.New(build()), notifier: newNotifier(log), reloads: newReloads(), own: ownName(), files: shareFiles(fileLimit())}
	s.watch = leaks.New(0, s.recorder)
	s.recent = admin.NewRecent(func() { s.now().snapshot.ReplyCache().Forget() }, nil)
	s.prober = probe.New(probe.Config{Observer: s.recorder, Log: log})
	made, err := assemble(c, s.observers(), new(parts))
	if err != nil {
		return nil, err
	}
	first := newServed(c, made)
	if first.signals, err = s.newSignals(c, signals{}); err != nil {
		return nil, err
	}
	logWarnings(s.log, first.warnings)
	s.current.Store(first)
	s.resolver = resolver.New(made.snapshot)
	s.doors, err = listen.New(listen.Config{
		Addrs: c.Listen.DNS, TLS: c.Listen.DoT, HTTPS: c.Listen.DoH, TLSConfig: s.keyring.settings(),
		Handler: selfAsked{s.resolver, s.own}, Log: log, Observer: uncounted{observed{s.recorder, s.watch, s.recent}, s.own},
		Dedicated: true, Connections: s.files.connections,
	})
	if err != nil {
		return nil, err
	}
	s.recorder.Ask(s.asked())
	s.serveFrom(first)
	s.first = s.firstSignature(began)
	if c.Listen.Admin.IsValid() {
		s.admin = admin.New(s.adminOptions(c.Listen.Admin))
	}
	return s, nil
}

// observers are who is told of what the parts do.
func (s *server) observers() observers {
	return observers{cache: s.recorder, upstream: s.recorder, log: s.log, health: s.prober}
}

func (s *server) adminOptions(addr netip.AddrPort) admin.Options {
	return admin.Options{
		Addr: addr, Connections: s.files.admin, Explain: s.resolver.Explain, Status: s.status, Alive: s.alive,
		Reload:    func() error { return s.reload(context.Background()) },
		Upstreams: func() []admin.Upstream { return s.now().upstreams() },
		Memory:    remembers{s},
		Leaks:     func() []admin.Leaks { return leakReports(s.watch, s.now().snapshot.Table(), s.now().catalogue) },
		Networks:  func() []admin.Network { return slices.Clone(s.now().networks) },
		Estate:    func() *admin.Estate { return s.now().estate }, NeverAsked: s.watch.Unasked,
		Health: s.prober, Recent: s.recent, Pending: s.pending,
		Access:  func() admin.Access { return s.now().access() },
		Metrics: s.recorder.Handler(), Panicked: s.recorder.Panicked, Log: s.log,
	}
}

// status is the state of the server for /readyz. It is asked only while the
// doors are open.
func (s *server) status() admin.Status {
	now := s.now()
	status := admin.Status{
		Ready: true, Loaded: now.loaded, Warnings: now.warnings, Listening: s.listening(), Certificate: now.keys.certificate(),
	}
	for _, fault := range s.checker.Faults() {
		status.Ready, status.Reason = false, "a listener does not answer the program's own question"
		status.Silent = append(status.Silent, admin.Silent{Transport: fault.Transport, Address: fault.Addr, Since: fault.Since, Error: fault.Err.Error()})
	}
	for _, upstream := range now.upstreams() {
		if upstream.Looping {
			status.Loops = append(status.Loops, fmt.Sprintf("server %s of upstream %s forwards back to this program", upstream.Server, upstream.Group))
		}
		for _, suffix := range upstream.LoopSuffixes {
			status.Loops = append(status.Loops, fmt.Sprintf("server %s of upstream %s forwards the names of %s back to this program: "+
				"remove its forwarder for them", upstream.Server, upstream.Group, suffix))
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

// listen opens all addresses but those whose sockets were passed.
func (s *server) listen(passed []*os.File) error {
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
	}
	err = s.doors.ListenOn(inherited)
	if s.admin != nil && err == nil {
		err = s.admin.ListenOn(listener)
	}
	if err != nil && listener != nil {
		listener.Close()
	}
	s.checker = s.newChecker()
	return err
}

// run serves until ctx ends. Then the doors are closed first, while what they
// lead to still works, so that every query that was read is answered. Each value
// from hangUps reloads the configuration, and so does a change of its files.
func (s *server) run(ctx context.Context, hangUps <-chan os.Signal) error {
	s.log.Info("serving", "dns", fmt.Sprint(s.doors.Addrs()), "dot", fmt.Sprint(s.doors.TLSAddrs()),
		"doh", fmt.Sprint(s.doors.HTTPSAddrs()), "config", s.now().summary)
	if warning := cacheWarning(s.now().cacheSettings, s.memory.group); warning != "" {
		s.log.Warn(warning)
	}
	s.log.Info("file descriptors", "limit", s.files.limit, "connections", s.files.connections, "admin", s.files.admin)
	debug.FreeOSMemory() // what reading the configuration took, which may be much
	behind, closeBehind := context.WithCancel(context.WithoutCancel(ctx))
	defer closeBehind()
	s.reloading.Lock()
	s.behind = newLives(behind)
	s.behind.begin(append(s.now().runners(), s.prober, s.notifier))
	s.reloading.Unlock()

	front, ctx := errgroup.WithContext(ctx)
	front.Go(func() error { return s.doors.Run(ctx) })
	if s.admin != nil {
		front.Go(func() error { return s.admin.Run(ctx) })
	}
	front.Go(func() error { return s.checker.Run(ctx) })
	front.Go(func() error { return s.feedWatchdog(ctx) })
	front.Go(func() error { return s.watchFiles(ctx) })
	front.Go(func() error { return s.reloadOn(ctx, hangUps) })
	front.Go(func() error { return paceCollector(ctx, s.memory.limit) })
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

// reloadOn reloads for each signal, until ctx ends.
func (s *server) reloadOn(ctx context.Context, signals <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-signals:
			_ = s.reload(ctx) // logged, and shown by /readyz
		}
	}
}
