package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"pldns/config"
	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/leaks"
	"pldns/resolver/listen"
	"pldns/resolver/metrics"
	"pldns/resolver/probe"
)

func newServe() *cobra.Command {
	var file string
	var example bool
	command := &cobra.Command{
		Use:   "serve",
		Short: "Answer queries until SIGTERM or SIGINT",
		Long: `Serve reads the configuration, opens the listeners and answers. On SIGTERM or
SIGINT it stops reading, answers what it has read, and ends.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			load := func() (*config.Config, error) { return config.Load(file) }
			if example {
				file = "the built-in example"
				load = func() (*config.Config, error) { return config.Parse(file, config.Example(), nil) }
			}
			loaded, err := load()
			if err != nil {
				return failing(fmt.Errorf("%s cannot be served:\n%w", file, err))
			}
			log := slog.New(slog.NewTextHandler(command.ErrOrStderr(), nil))
			s, err := newServer(loaded, log)
			if err != nil {
				return failing(err)
			}
			if err := s.listen(); err != nil {
				return failing(err)
			}
			if example {
				if err := printTries(command.OutOrStdout(), s.resolver, s.doors.Addrs()[0]); err != nil {
					return failing(err)
				}
			}
			return failing(s.run(command.Context()))
		},
	}
	configFlag(command, &file)
	command.Flags().BoolVar(&example, "example", false, "serve the built-in example on 127.0.0.1:5353")
	command.MarkFlagsMutuallyExclusive("config", "example")
	return command
}

// server is everything that runs, and nothing that decides.
type server struct {
	config   *config.Config
	log      *slog.Logger
	recorder *metrics.Recorder
	parts    *parts
	prober   *probe.Prober
	watch    *leaks.Watch
	resolver *resolver.Resolver
	doors    *listen.Server
	admin    *admin.Server // nil when it is turned off
	loaded   time.Time
}

// newServer puts the parts together. It opens and starts nothing.
func newServer(c *config.Config, log *slog.Logger) (*server, error) {
	s := &server{config: c, log: log, recorder: metrics.New(build()), watch: leaks.New(0), loaded: time.Now()}
	var err error
	s.prober = probe.New(probe.Config{
		Interval: c.Probe.Interval, Timeout: c.Probe.Timeout, Observer: s.recorder, Log: log,
	})
	s.parts, err = assemble(c, observers{cache: s.recorder, upstream: s.recorder, log: log, health: s.prober}, false)
	if err != nil {
		return nil, err
	}
	s.prober.Watch(s.parts.snapshot.Table().Targets())
	s.resolver = resolver.New(s.parts.snapshot)
	s.recorder.Loaded(s.parts.snapshot.Table(), s.loaded)
	s.doors, err = listen.New(listen.Config{
		Addrs: c.Listen.DNS, Handler: watched{s.resolver, s.watch}, Log: log, Observer: s.recorder,
	})
	if err != nil {
		return nil, err
	}
	if c.Listen.Admin.IsValid() {
		s.admin = admin.New(s.adminOptions())
	}
	return s, nil
}

func (s *server) adminOptions() admin.Options {
	options := admin.Options{
		Addr: s.config.Listen.Admin, Explain: s.resolver.Explain, Status: s.status,
		Upstreams: s.parts.upstreams, Metrics: s.recorder.Handler(), Log: s.log,
		Leaks: func() []admin.Leaks { return leakReports(s.watch, s.resolver.Snapshot().Table()) },
	}
	if s.parts.cache != nil {
		options.Memory = memory{s.parts.cache}
	}
	return options
}

// status is the state of the server for /readyz. It is asked only while the
// doors are open.
func (s *server) status() admin.Status {
	status := admin.Status{Ready: true, Loaded: s.loaded}
	for _, upstream := range s.parts.upstreams() {
		if upstream.Looping {
			status.Loops = append(status.Loops, fmt.Sprintf("server %s of upstream %s forwards back to this program", upstream.Server, upstream.Group))
		}
	}
	for _, network := range s.resolver.Snapshot().Table().Networks() {
		status.Networks++
		status.Endpoints += network.CountEndpoints()
	}
	return status
}

// listen opens all addresses.
func (s *server) listen() error {
	if err := s.doors.Listen(); err != nil {
		return err
	}
	if s.admin != nil {
		if err := s.admin.Listen(); err != nil {
			return err
		}
	}
	return nil
}

// run serves until ctx ends. Then the doors are closed first, while what they
// lead to still works, so that every query that was read is answered.
func (s *server) run(ctx context.Context) error {
	s.log.Info("serving", "dns", fmt.Sprint(s.doors.Addrs()), "config", summary(s.config, s.parts.snapshot.Table()))
	behind, closeBehind := context.WithCancel(context.WithoutCancel(ctx))
	defer closeBehind()
	var back errgroup.Group
	back.Go(func() error { return s.prober.Run(behind) })
	for _, pool := range s.parts.pools {
		back.Go(func() error { return pool.Run(behind) })
	}
	if s.parts.cache != nil {
		back.Go(func() error { return s.parts.cache.Run(behind) })
	}

	front, ctx := errgroup.WithContext(ctx)
	front.Go(func() error { return s.doors.Run(ctx) })
	if s.admin != nil {
		front.Go(func() error { return s.admin.Run(ctx) })
	}
	err := front.Wait()
	closeBehind()
	s.log.Info("stopped")
	return errors.Join(err, back.Wait())
}
