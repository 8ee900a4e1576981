package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/config"
	"pldns/config/store"
	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/listen"
	"pldns/resolver/probe"
	"pldns/zones/azure"
)

// reload reads the configuration anew and serves it: read, check, build, try,
// swap. Whatever is wrong, what was served before goes on as it was, but for
// certificates whose files are in order, and the error says why. Reloads come one
// after another, whoever asks for them. One that has not ended in time is an error,
// too; it is served all the same if it ends before a later one.
func (s *Server) reload(ctx context.Context) error { return s.reloadBy(ctx, false) }

// reloadBy is [Server.reload]; where the store asks for it, of the release that it offers.
func (s *Server) reloadBy(ctx context.Context, byStore bool) error {
	within, cancel := context.WithTimeout(ctx, s.reloads.whole)
	defer cancel()
	begun := time.Now()
	next, hanging, err := s.reloads.begin(within)
	if err != nil {
		return s.reloaded(begun, nil, err)
	}
	for _, age := range hanging {
		s.log.Warn("an earlier reload hangs: a file of the configuration does not answer", "for", age.Round(time.Millisecond))
	}
	result, late := abandon(within, func() error { return s.reloadAs(next, byStore) })
	switch {
	case late == nil:
		return result
	case ctx.Err() != nil:
		return errStopping
	case s.reloads.isSettled(next):
		return fmt.Errorf("the configuration has been read, and what follows from it is still being "+
			"made after %s: /readyz says what comes of it", s.reloads.whole)
	}
	return s.reloaded(begun, nil, fmt.Errorf("reading the configuration has not ended after %s: a file of it does "+
		"not answer, as on a share that is away, "+
		"or there is very much to read; it is served when that ends, unless a later reload has ended before",
		time.Since(begun).Round(time.Millisecond)))
}

// reloadAs is one reload. Reading may hang, so nothing waits for it; all else comes
// one after another.
func (s *Server) reloadAs(turn *reading, byStore bool) (err error) {
	defer s.reloads.end(turn)
	defer func() {
		if fault := recover(); fault != nil {
			s.recorder.Panicked("reload")
			s.log.Error("panic in a reload", "panic", fault, "stack", string(debug.Stack()))
			err = s.reloaded(turn.since, nil, fmt.Errorf("a fault of the program: %v", fault))
		}
	}()
	s.notifier.tell(reloading())
	s.now().taps.reopen()
	which := (*store.Follower).Served
	if byStore {
		which = offered
	}
	loaded, follower, err := s.read(which, s.now().learned.follower)
	certificates := s.now().keys.secure.Again() // which may hang as well
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.stopping {
		return errStopping
	}
	if overtaken := s.reloads.settle(turn); overtaken != nil {
		s.log.Warn("a reload that hung has ended", "after", time.Since(turn.since).Round(time.Millisecond), "error", cmp.Or(err, overtaken))
		return overtaken
	}
	var next *served
	if err == nil {
		next, err = s.prepare(loaded, follower)
	}
	if err != nil && byStore && follower != nil {
		follower.Refuse(err)
	}
	if err != nil {
		s.renew(certificates)
	}
	return s.reloaded(turn.since, next, err)
}

// reloaded notes what came of a reload, and serves it if it is in order.
func (s *Server) reloaded(begun time.Time, next *served, err error) error {
	s.mutex.Lock()
	s.lastReload = admin.Reload{At: begun, OK: err == nil}
	if err != nil {
		s.lastReload.Error = err.Error()
	}
	s.mutex.Unlock()
	s.recorder.Reloaded(err == nil, time.Since(begun))
	if err != nil {
		s.log.Error("the configuration was not reloaded: what was served before goes on", "error", err)
		s.notifier.tell(ready("not reloaded, see the log; still serving " + s.now().summary))
		return err
	}
	s.serveFrom(next)
	s.writeLogAs(next.log)
	s.notifier.tell(ready("serving " + next.summary))
	if warning := cacheWarning(next.cacheSettings, s.memory.group); warning != "" {
		s.log.Warn(warning)
	}
	logWarnings(s.log, next.warnings)
	s.log.Info("reloaded", "config", next.summary, "took", time.Since(begun))
	debug.FreeOSMemory() // what reading and the old snapshot took, which may be much
	return nil
}

// served is what is served from one configuration. The configuration itself is
// not kept: with many endpoints it is large, and all of it is in the parts.
type served struct {
	*parts
	*exchanged
	taps
	listen        config.Listen
	deadline      time.Duration
	cacheSettings config.Cache
	files         []string
	patterns      []string
	keys          *keys
	keyFiles      []string // certificates, keys and authorities
	probe         config.Probe
	trust         listen.Trust
	limits        listen.Limits
	networks      []admin.Network
	index         *admin.EndpointIndex
	probed        func() []probed // the endpoints that are probed
	summary       string
	warnings      []string
	loaded        time.Time
	catalogue     *azure.Catalogue // that of the configuration
	forward       []config.Route   // the top-level forward table
	traffic       config.Traffic
	log           config.Log
	learned       *learning
}

// newServed puts together what stays of a configuration.
func newServed(c *config.Config, made *parts, learned *learning) *served {
	learned.Config = nil
	return &served{
		parts: made, listen: c.Listen, deadline: c.Deadline, cacheSettings: c.Cache, files: c.Files, patterns: c.Patterns,
		keys: newKeys(c), probe: c.Probe,
		keyFiles: slices.Concat(c.TLS.Files(), c.Probe.Files(), c.AzureFiles(), c.Store.Files(), c.OTLP.Files(), c.SecondaryFiles()),
		trust:    listen.Trust{ClientSubnet: c.Trust.ClientSubnet, Proxies: c.Trust.ProxyProtocol},
		limits:   limitsOf(c),
		networks: networksOf(c), index: admin.NewEndpointIndex(made.snapshot.Table()),
		probed:  sync.OnceValue(func() []probed { return probedEndpoints(made.snapshot.Table()) }),
		summary: Summary(c), warnings: warningsOf(c, learned.Warnings), loaded: time.Now(), catalogue: c.Catalogue,
		forward: c.Forward, learned: learned, traffic: c.Traffic, log: c.Log,
	}
}

// limitsOf are the limits of clients as the listeners take them.
func limitsOf(c *config.Config) listen.Limits {
	l := listen.Limits{
		Unlisted: c.Limit.Unlisted, Listed: c.Limit.Listed, Responses: c.Limit.Responses,
		Slip: c.Limit.Slip, ListedSlip: c.Limit.ListedSlip, IPv4Bits: c.Limit.IPv4Prefix, IPv6Bits: c.Limit.IPv6Prefix,
		Exempt: c.Limit.Exempt, Networks: make(map[string]int),
	}
	for _, network := range c.Networks {
		if network.Limit != c.Limit.Listed {
			l.Networks[strings.Clone(network.Name)] = network.Limit // not a part of the file's text
		}
	}
	return l
}

// prepare makes everything that a configuration needs, and changes nothing.
func (s *Server) prepare(loaded *config.Config, follower *store.Follower) (next *served, err error) {
	before := s.now()
	if err := staysOpen(before.listen, loaded.Listen); err != nil {
		return nil, err
	}
	learned := s.learn(loaded, follower, before)
	exchanged, loaded, warnings, err := s.newExchanged(learned.Config, before.exchanged)
	defer func() {
		if err != nil {
			before.exchanged.abandoned()
		}
	}()
	if err != nil {
		return nil, err
	}
	learned.Warnings = append(learned.Warnings, warnings...)
	made, err := assemble(loaded, s.observers(), before.parts)
	if err != nil {
		return nil, err
	}
	if err := selfTest(made.snapshot); err != nil {
		return nil, err
	}
	next = newServed(loaded, made, learned)
	next.exchanged = exchanged
	next.taps, err = s.newTaps(loaded, before.taps) // last: it opens a file
	return next, err
}

// staysOpen refuses to change the addresses that are open, which takes a restart:
// the new ones may be taken, or need rights that the program has given up, when the
// old ones are closed already. Who may do what at the admin address is looked up
// anew for each request.
func staysOpen(before, after config.Listen) error {
	var faults []error
	for _, key := range []struct {
		name          string
		before, after []netip.AddrPort
	}{
		{"dns", before.DNS, after.DNS}, {"dot", before.DoT, after.DoT}, {"doh", before.DoH, after.DoH},
		{"doq", before.DoQ, after.DoQ}, {"admin", []netip.AddrPort{before.Admin}, []netip.AddrPort{after.Admin}},
	} {
		if !slices.Equal(key.before, key.after) {
			faults = append(faults, fmt.Errorf("listen.%s is %s now and was %s, which takes a restart: "+
				"restart the program, or put it back as it was",
				key.name, spelled(key.after), spelled(key.before)))
		}
	}
	if before.H3 != after.H3 {
		faults = append(faults, fmt.Errorf("listen.h3 is %t now and was %t, which takes a restart: "+
			"restart the program, or put it back as it was", after.H3, before.H3))
	}
	return errors.Join(faults...)
}

// spelled are addresses as the configuration file has them.
func spelled(addrs []netip.AddrPort) string {
	var texts []string
	for _, addr := range addrs {
		if addr.IsValid() {
			texts = append(texts, addr.String())
		}
	}
	if len(texts) == 0 {
		return "off"
	}
	return strings.Join(texts, ", ")
}

// selfTestNames is how many endpoints of each network are tried before a
// configuration is served.
const selfTestNames = 100

// selfTest looks up endpoints of every network, as clients would.
func selfTest(snapshot *resolver.Snapshot) error {
	for _, network := range snapshot.Table().Networks() {
		tried := 0
		for endpoint := range network.Endpoints() {
			if tried++; tried > selfTestNames {
				break
			}
			if !network.Lookup(endpoint.Name(), dns.TypeA).Owned() {
				return fmt.Errorf("network %s does not answer its endpoint %s: this is a fault of the program", network.Name(),
					endpoint.Name())
			}
		}
	}
	return nil
}

// serveFrom swaps. Queries under way end with the snapshot that they began with,
// and what only they still use is retired when the last of them must have ended.
func (s *Server) serveFrom(next *served) {
	before := s.now()
	next.learned.serve()
	next.hold()
	if s.behind != nil {
		s.behind.begin(next.runners())
	}
	s.prober.Watch(probe.Plan{
		Targets: next.snapshot.Table().Targets(), Interval: next.probe.Interval, Timeout: next.probe.Timeout,
		Fall: next.probe.Fall, Rise: next.probe.Rise, Roots: next.probe.Roots,
	})
	s.current.Store(next)
	s.resolver.Swap(next.snapshot)
	s.certificates.serve(next.keys)
	s.listeners.SetPeers(next.peers())
	s.listeners.SetTrust(next.trust)
	s.listeners.SetLimits(next.limits)
	s.past.List(next.traffic.Top)
	s.tap()
	next.forget(before.parts)
	next.shadow.serve(next.snapshot.Table())
	s.recorder.Loaded(next.serving())
	s.past.Serve(next.networkNames()) // behind the series of the networks that it tells
	if s.behind != nil {
		s.behind.retire(append(next.runners(), s.lasting()...), before.deadline+time.Second)
	}
}

// networkNames are the networks that are served.
func (s *served) networkNames() []string {
	names := make([]string, len(s.networks))
	for i, network := range s.networks {
		names[i] = network.Name
	}
	return names
}

// runners are the long-lived parts of what is served.
func (s *served) runners() []runner {
	return slices.Concat(s.parts.runners(), s.exchanged.runners(), s.taps.runners(), s.learned.runners())
}

// runners are the long-lived parts.
func (p *parts) runners() []runner {
	var all []runner
	for _, pool := range p.pools {
		all = append(all, pool.Pool)
	}
	if p.cache != nil {
		all = append(all, p.cache.Cache)
	}
	return all
}

// watchInterval is how often the files are looked at. Looking costs a few system
// calls, and works alike for files that are renamed, written in place, swapped by
// a link as Kubernetes does it, or on a file share that tells of no changes.
const watchInterval = time.Second

// watchFiles reloads when the files of the configuration have changed and then
// stayed as they are for one more look, so that nothing is read half written.
func (s *Server) watchFiles(ctx context.Context) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	served := s.first
	last := served
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now, err := abandon(ctx, s.signature) // a share that is away holds it up
		if err != nil {
			return nil
		}
		if settled := now == last; settled && now != served {
			served = now
			_ = s.reload(ctx) // logged, and shown by /readyz
		}
		last = now
	}
}

// firstSignature is the signature of the files that were just read, beginning at
// the given time. Where one of them may have changed since it was read, nothing is
// known: that differs from every signature, so they will be read once more. What is
// no file, as the built-in example, cannot have changed.
func (s *Server) firstSignature(began time.Time) string {
	const doubt = 100 * time.Millisecond // between the clocks of files and of programs
	for _, file := range s.now().watched() {
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil || info.ModTime().After(began.Add(-doubt)) {
			return ""
		}
	}
	return s.signature()
}

// watched are the files that were read.
func (s *served) watched() []string {
	files := slices.Concat(s.files, s.keyFiles)
	if s.listen.AdminTokenFile != "" {
		files = append(files, s.listen.AdminTokenFile)
	}
	return files
}

// signature tells versions of the files apart: those that were read, and those
// that the patterns match now.
func (s *Server) signature() string {
	now := s.now()
	files := now.watched()
	for _, pattern := range now.patterns {
		matches, _ := filepath.Glob(pattern) // the pattern was good when it was loaded
		files = append(files, matches...)
	}
	slices.Sort(files)
	var signature strings.Builder
	for _, file := range slices.Compact(files) {
		info, err := os.Stat(file)
		if err != nil {
			fmt.Fprintln(&signature, file, "absent")
			continue
		}
		fmt.Fprintln(&signature, file, info.Size(), info.ModTime().UnixNano(), inode(info))
	}
	return signature.String()
}
