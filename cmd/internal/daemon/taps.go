package daemon

import (
	"os"
	"time"

	"pldns/config"
	"pldns/resolver/metrics"
	"pldns/resolver/observe"
	"pldns/resolver/observe/dnstap"
	"pldns/zones"
)

// taps are who is told of single queries, and of what metrics say.
type taps struct {
	log    *queryLog    // nil when it is off
	tap    *tap         // nil when it is off
	shadow *shadowed    // nil when it is off
	export *exporter    // nil when it is off
	names  *clientNames // nil when clients have none
}

// tap is what sends dnstap, and what it was made of.
type tap struct {
	*dnstap.Tap
	settings config.Dnstap
}

// newTaps makes those that a configuration asks for, or takes over those before.
// A file that cannot be written is an error, and then nothing is left open.
func (s *Server) newTaps(c *config.Config, before taps) (made taps, err error) {
	if made.shadow, err = s.newShadow(c, before.shadow); err != nil {
		return taps{}, err
	}
	if made.export, err = s.newExporter(c.OTLP, before.export); err != nil {
		return taps{}, err
	}
	made.names = s.newClientNames(c.Clients, before.names)
	switch {
	case c.QueryLog.Mode == "off":
	case before.log.madeOf(c):
		made.log = before.log
	default:
		if made.log, err = s.newQueryLog(c); err != nil {
			return taps{}, err
		}
	}
	switch {
	case c.Dnstap.Network == "":
	case before.tap != nil && before.tap.settings == c.Dnstap:
		made.tap = before.tap
	default:
		made.tap = s.newTap(c.Dnstap)
	}
	return made, nil
}

func (s *Server) newTap(settings config.Dnstap) *tap {
	identity := settings.Identity
	if identity == "" {
		identity = hostName()
	}
	return &tap{dnstap.New(dnstap.Config{
		Network: settings.Network, Address: settings.Address, Sample: uint32(settings.Sample),
		Identity: identity, Version: "pldns " + Build().Version, Observer: s.recorder, Log: s.log,
	}), settings}
}

// hostName tells this server from others; empty where the host has no name.
func hostName() string {
	name, _ := os.Hostname()
	return name
}

// runners are the long-lived parts.
func (g taps) runners() (all []runner) {
	if g.log != nil {
		all = append(all, g.log.runners()...)
	}
	if g.tap != nil {
		all = append(all, g.tap.Tap)
	}
	if g.shadow != nil {
		all = append(all, g.shadow.Shadow)
	}
	if g.export != nil {
		all = append(all, g.export.Exporter)
	}
	if g.names != nil {
		all = append(all, g.names.Names)
	}
	return all
}

// reopen makes the query log look for its file anew.
func (g taps) reopen() {
	if g.log != nil {
		g.log.reopen()
	}
}

// tap has the listeners tell whoever observes single queries. It is called whenever
// somebody of them comes or goes, or wants something else.
func (s *Server) tap() {
	s.tapping.Lock()
	defer s.tapping.Unlock()
	all, now := observe.Taps{s.watch, s.recent, s.live, s.past}, s.now().taps
	if now.log != nil {
		all = append(all, now.log.taps()...)
	}
	if now.tap != nil && now.tap.settings.Clients {
		all = append(all, now.tap)
	}
	if now.tap != nil && now.tap.settings.Upstreams {
		s.upstreamTaps.Set(now.tap.Tap)
	} else {
		s.upstreamTaps.Set(nil)
	}
	if now.shadow != nil {
		all = append(all, now.shadow)
	}
	s.listeners.SetTap(all)
}

// serving is what metrics say of what is served.
func (s *served) serving() metrics.Serving {
	now := metrics.Serving{
		Table: s.snapshot.Table(), Loaded: s.loaded, CertificateEnds: make(map[string]time.Time), Policies: make(map[string]int),
	}
	for _, p := range s.snapshot.Policies() {
		now.Policies[p.Name()] = p.Len()
	}
	for _, certificate := range s.keys.secure.Certificates {
		now.CertificateEnds[certificate.Name] = certificate.Leaf().NotAfter
	}
	for _, u := range s.upstreams() {
		now.Upstreams = append(now.Upstreams, metrics.Upstream{Group: u.Group, Server: u.Server, Healthy: u.Healthy,
			Capacity: u.Load.Capacity})
	}
	return now
}

// asked are the figures that metrics ask for.
func (s *Server) asked() metrics.Asked {
	return metrics.Asked{
		InFlight:    s.listeners.InFlight,
		Cache:       func() (entries int, octets int64) { return s.now().cache.size() },
		Upstreams:   func() []metrics.UnderWay { return s.now().underWay() },
		Unreachable: func() map[string]int { return s.now().unreachable(s.prober.Healthy) },
		Dnstap: func() (connected, configured bool) {
			tap := s.now().taps.tap
			return tap != nil && tap.Connected(), tap != nil
		},
		Listeners: s.answering,
		History:   func() (saved, configured bool) { return s.past.saved(), s.now().traffic.State != "" },
		DroppedLines: func() int64 {
			if s.droppedLines == nil {
				return 0
			}
			return s.droppedLines()
		},
	}
}

// probed is an endpoint of a network that is probed.
type probed struct {
	network  string
	endpoint zones.Mapping
}

// probedEndpoints are those of a table.
func probedEndpoints(table *zones.Table) (all []probed) {
	for _, network := range table.Networks() {
		for endpoint := range network.Endpoints() {
			if !endpoint.Probe().IsZero() {
				all = append(all, probed{network.Name(), endpoint})
			}
		}
	}
	return all
}

// unreachable counts the probed endpoints of each network that has some of which no
// address is healthy.
func (s *served) unreachable(healthy func(zones.Target) bool) map[string]int {
	counts := make(map[string]int)
	for _, p := range s.probed() {
		well := 0
		for _, addr := range p.endpoint.Addresses() {
			if healthy(zones.Target{Addr: addr, Probe: p.endpoint.Probe()}) {
				well++
			}
		}
		if counts[p.network] += 0; well == 0 {
			counts[p.network]++
		}
	}
	return counts
}
