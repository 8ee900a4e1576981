package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"pldns/config"
	"pldns/resolver"
	"pldns/resolver/cache"
	"pldns/resolver/upstream"
	"pldns/zones"
)

// parts are the running parts that one configuration is turned into.
type parts struct {
	snapshot *resolver.Snapshot
	cache    *cache.Cache // nil when it is turned off
	pools    []namedPool
	loops    *upstream.Loops
}

// namedPool is the pool of an upstream group.
type namedPool struct {
	*upstream.Pool
	name string
}

// observers are who is told of what happens; the zero value is nobody.
type observers struct {
	cache    cache.Observer
	upstream upstream.Observer
	log      *slog.Logger
	health   resolver.Health // what is asked about the addresses of endpoints
}

// assemble turns settings into running parts. It starts nothing. With offline,
// nothing is ever asked of an upstream.
func assemble(c *config.Config, told observers, offline bool) (*parts, error) {
	table, err := zones.Build(c.Specs())
	if err != nil {
		return nil, err
	}
	p := &parts{loops: upstream.NewLoops()}
	if c.Cache.Entries > 0 && !offline {
		p.cache = cache.New(cacheConfig(c, told))
	}
	groups := make(map[string]resolver.Exchanger)
	for _, group := range c.Upstreams {
		if offline {
			groups[group.Name] = notAsked{}
			continue
		}
		pool, err := newPool(c, group, p.loops, told)
		if err != nil {
			return nil, err
		}
		p.pools = append(p.pools, namedPool{pool, group.Name})
		groups[group.Name] = pool
		if p.cache != nil {
			groups[group.Name] = p.cache.Group(group.Name, pool)
		}
	}
	p.snapshot, err = resolver.NewSnapshot(resolver.Options{
		Table: table, Routes: routes(c, groups), Health: told.health, Loops: p.loops, Deadline: c.Deadline,
	})
	return p, err
}

func cacheConfig(c *config.Config, told observers) cache.Config {
	return cache.Config{
		Entries: c.Cache.Entries, Bytes: c.Cache.Bytes,
		MinTTL: c.Cache.MinTTL, MaxTTL: c.Cache.MaxTTL,
		Stale: c.Cache.Stale, Prefetch: c.Cache.Prefetch,
		Timeout: c.Deadline, Observer: told.cache,
	}
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

func (notAsked) Exchange(context.Context, resolver.Question) (resolver.Reply, error) {
	return resolver.Reply{}, errors.New("it would be asked now, but --offline says not to")
}

// newPool makes the pool of an upstream group.
func newPool(c *config.Config, group config.Upstream, loops *upstream.Loops, told observers) (*upstream.Pool, error) {
	servers, err := serversOf(c, group)
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", group.Name, err)
	}
	return upstream.New(upstream.Config{
		Name: group.Name, Servers: servers, Policy: policyOf(group.Policy),
		Timeout: c.Deadline, MaxQPS: group.MaxQPS, Loops: loops, Observer: told.upstream, Log: told.log,
	})
}
