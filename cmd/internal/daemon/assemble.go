package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"pldns/config"
	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/forward"
	"pldns/zones"
	"pldns/zones/policy"
)

// parts are the running parts that one configuration is turned into.
type parts struct {
	snapshot *resolver.Snapshot
	cache    *memory // nil when it is turned off
	pools    map[string]*pool
	loops    *forward.Loops
	sockets  *forward.SocketLimit // of all pools
}

// memory is the cache, and what it was made of.
type memory struct {
	*cache.Cache
	settings config.Cache
}

// pool is an upstream group, what it was made of, and how it is asked: over the
// cache, if there is one.
type pool struct {
	*forward.Pool
	settings forward.Config
	over     *memory
	asked    resolver.Exchanger
}

// observers are who is told of what happens; the zero value is nobody.
type observers struct {
	cache    cache.Observer
	upstream forward.Observer
	log      *slog.Logger
	taps     *forward.Taps   // who is told of messages to servers
	health   resolver.Health // what is asked about the addresses of endpoints
	// origin says where endpoints come from; nil knows nothing.
	origin func(network string, endpoint zones.Name) string
}

// assemble turns settings into running parts. It starts nothing. What the parts
// before have that was made of the same settings is taken over, with all that it
// knows: the cache, and upstream groups with their health and connections.
func assemble(c *config.Config, told observers, before *parts) (*parts, error) {
	p := &parts{pools: make(map[string]*pool), loops: before.loops, sockets: before.sockets}
	if p.loops == nil {
		p.loops = forward.NewLoops()
	}
	if p.sockets == nil {
		p.sockets = forward.NewSocketLimit()
	}
	p.cache = newMemory(c, told, before)
	groups := make(map[string]resolver.Exchanger)
	for _, group := range c.Upstreams {
		made, err := p.newPool(c, group, told, before)
		if err != nil {
			return nil, err
		}
		p.pools[group.Name], groups[group.Name] = made, made.asked
	}
	var err error
	p.snapshot, err = newSnapshot(c, groups, told, p.loops)
	return p, err
}

func newSnapshot(c *config.Config, groups map[string]resolver.Exchanger, told observers, loops resolver.Loops) (*resolver.Snapshot, error) {
	return resolver.NewSnapshot(resolver.Options{
		Table: c.Table, Routes: routes(c, groups), Health: told.health, Loops: loops, Deadline: c.Deadline, Origin: told.origin,
		Identity: identityOf(c.Listen), Designated: designated(c), Release: releaseOf(c), Policies: policies(c),
	})
}

// policies are those that each network is held to, by its name.
func policies(c *config.Config) map[string][]*policy.Policy {
	held := make(map[string][]*policy.Policy)
	for i := range c.Networks {
		if n := &c.Networks[i]; len(n.Policies) > 0 {
			held[strings.Clone(n.Name)] = n.Policies
		}
	}
	return held
}

// releaseOf names the release of a fleet's store that a configuration has; empty for none.
func releaseOf(c *config.Config) string {
	if c.Release == nil {
		return ""
	}
	return strings.Clone(c.Release.ID)
}

// identityOf is what a server tells of itself.
func identityOf(l config.Listen) resolver.Identity {
	i := resolver.Identity{Name: strings.Clone(l.Identity)} // not a part of the file's text
	if l.Version {
		i.Version = "pldns " + Build().Version
	}
	return i
}

// NewSnapshot turns settings into a snapshot that asks upstreams or, offline, nobody.
// Nothing checks the health of what it asks. The error is what assembling an upstream
// group or the table finds wrong.
func NewSnapshot(c *config.Config, notAsking bool) (*resolver.Snapshot, error) {
	composed := Composed(c)
	told := observers{origin: func(network string, name zones.Name) string {
		origin, _ := composed.Origins.Of(network, name)
		return origin.String()
	}}
	c, copies, err := withCopiesOnDisk(composed.Config)
	if err != nil {
		return nil, err
	}
	var snapshot *resolver.Snapshot
	if notAsking {
		snapshot, err = offline(c, told)
	} else {
		var p *parts
		if p, err = assemble(c, told, new(parts)); err == nil {
			snapshot = p.snapshot
		}
	}
	if err != nil {
		return nil, err
	}
	return snapshot.WithCopies(copies), nil
}

// offline turns settings into a snapshot that asks nobody.
func offline(c *config.Config, told observers) (*resolver.Snapshot, error) {
	groups := make(map[string]resolver.Exchanger)
	for _, group := range c.Upstreams {
		groups[group.Name] = notAsked{}
	}
	return newSnapshot(c, groups, told, nil)
}

// newMemory makes the cache, or takes over the one before.
func newMemory(c *config.Config, told observers, before *parts) *memory {
	switch {
	case c.Cache.Entries == 0:
		return nil
	case before.cache != nil && before.cache.settings == c.Cache:
		return before.cache
	}
	return &memory{settings: c.Cache, Cache: cache.New(cache.Config{
		Entries: c.Cache.Entries, Bytes: c.Cache.Bytes,
		MinTTL: c.Cache.MinTTL, MaxTTL: c.Cache.MaxTTL,
		Stale: c.Cache.Stale, Prefetch: c.Cache.Prefetch,
		Timeout: c.Deadline, Late: c.Cache.Late, Observer: told.cache, Log: told.log,
	})}
}

// routes are the forward tables of the networks, with the groups they lead to.
func routes(c *config.Config, groups map[string]resolver.Exchanger) map[string][]resolver.Route {
	all := make(map[string][]resolver.Route, len(c.Networks))
	for _, network := range c.Networks {
		for _, route := range network.Forward {
			all[network.Name] = append(all[network.Name], resolver.Route{
				Suffix: route.Suffix, Group: route.Upstream, To: groups[route.Upstream],
			})
		}
	}
	return all
}

// notAsked is an upstream group in an explanation that is to ask nobody.
type notAsked struct{}

func (notAsked) Start(resolver.Question, resolver.Asker, time.Time, func(resolver.Reply, error)) (resolver.Reply, bool, error) {
	return resolver.Reply{}, false, errors.New("it would be asked now, but --offline says not to")
}

// newPool makes an upstream group, or takes over the one before. Of a group that
// is made anew nothing is remembered: other servers may say otherwise.
func (p *parts) newPool(c *config.Config, group config.Upstream, told observers, before *parts) (*pool, error) {
	servers, err := serversOf(c, group)
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", group.Name, err)
	}
	settings := forward.Config{
		Name: group.Name, Servers: servers, Policy: policyOf(group),
		Timeout: max(c.Deadline, c.Cache.Late, forward.DefaultTimeout), MaxQPS: group.MaxQPS,
		Loops: p.loops, Sockets: p.sockets, Observer: told.upstream, Taps: told.taps, Log: told.log,
	}
	known := before.pools[group.Name]
	if known != nil && known.over == p.cache && reflect.DeepEqual(known.settings, settings) {
		return known, nil
	}
	made := &pool{settings: settings, over: p.cache}
	if made.Pool, err = forward.New(settings); err != nil {
		return nil, err
	}
	made.asked = made.Pool
	if p.cache != nil {
		made.asked = p.cache.Group(group.Name, made.Pool)
	}
	return made, nil
}

// policyOf is how a group chooses among its servers.
func policyOf(group config.Upstream) forward.Policy {
	return named(group.Policy, forward.Ordered, forward.Fastest, forward.Spread)
}

// forget drops what is remembered of groups that the parts before do not share.
func (p *parts) forget(before *parts) {
	for name, made := range p.pools {
		if known := before.pools[name]; known != nil && known != made && p.cache != nil {
			p.cache.FlushGroup(name)
		}
	}
}
