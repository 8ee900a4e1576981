package daemon

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/miekg/dns"

	"pldns/config"
	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/forward"
	"pldns/resolver/listen"
	"pldns/resolver/shadow"
	"pldns/zones"
)

// shadowed compares answers with those of another upstream, and knows what it was made of.
// It is a [listen.Tap].
type shadowed struct {
	*shadow.Shadow
	settings    config.Shadow
	servers     forward.Config
	pool        *forward.Pool
	differences *shadow.Differences
}

// newShadow makes what a configuration asks for, or takes over the one before; nil where
// nothing is compared. Differences stay as long as the servers are the same.
//
// The group is asked by a pool of its own, so that no question of a client meets what is
// learnt of the servers by names that clients do not ask there, and nothing waits for it
// at the end: it is not run.
func (s *Server) newShadow(c *config.Config, before *shadowed) (*shadowed, error) {
	if c.Shadow.Upstream == "" {
		return nil, nil
	}
	group := c.Upstreams[slices.IndexFunc(c.Upstreams, func(u config.Upstream) bool { return u.Name == c.Shadow.Upstream })]
	servers, err := serversOf(c, group)
	if err != nil {
		return nil, fmt.Errorf("shadow: upstream %s: %w", group.Name, err)
	}
	made := &shadowed{settings: c.Shadow, servers: forward.Config{
		Name: "shadow of " + group.Name, Servers: servers, Policy: policyOf(group), MaxQPS: c.Shadow.MaxQPS, Log: s.log,
	}}
	same := before != nil && reflect.DeepEqual(before.servers.Servers, servers) && before.settings.Upstream == group.Name
	switch {
	case same && reflect.DeepEqual(before.settings, c.Shadow) && reflect.DeepEqual(before.servers, made.servers):
		return before, nil
	case same:
		made.differences = before.differences
	default:
		made.differences = shadow.NewDifferences(0)
	}
	if made.pool, err = forward.New(made.servers); err != nil {
		return nil, err
	}
	made.Shadow = shadow.New(shadow.Config{
		Group: group.Name, To: made.pool, Networks: c.Shadow.Networks, Sample: c.Shadow.Sample, MaxQPS: c.Shadow.MaxQPS,
		Differences: made.differences,
		Spare: func() bool {
			clients := s.now().pools[group.Name]
			return clients == nil || clients.Spare()
		},
		Observer: s.recorder, Log: s.log,
	})
	return made, nil
}

// Wants is the sample, decided anew where it is in the reply cache.
func (s *shadowed) Wants() listen.Wants { return listen.Wants{Anew: s.OneIn()} }

// Exchanged hands over the answers of the sample.
func (s *shadowed) Exchanged(e *listen.Exchange) {
	if e.Why == listen.Accepted && !e.Remembered && e.Drawn(s.OneIn()) {
		s.Answered(e.Query, e.Answer)
	}
}

// serve says that a table is served from now on: what is answered may differ from before.
func (s *shadowed) serve(table *zones.Table) {
	if s == nil {
		return
	}
	s.Forget()
	s.differences.Keep(func(network string) bool {
		_, there := table.Network(network)
		return there && s.Compares(network)
	})
}

// shadow is how answers compare, as operators see it.
func (s *Server) shadow() admin.Shadow {
	now := s.now()
	if now.shadow == nil {
		return admin.Shadow{Networks: []admin.ShadowNetwork{}}
	}
	shown := admin.Shadow{
		Upstream: now.shadow.settings.Upstream, Sample: now.shadow.settings.Sample, MaxQPS: now.shadow.settings.MaxQPS,
		Since: now.shadow.differences.Since(), Networks: []admin.ShadowNetwork{},
	}
	for _, server := range now.shadow.pool.State() {
		if !server.Healthy {
			shown.Failing = append(shown.Failing, server.Server)
		}
	}
	for _, network := range now.snapshot.Table().Networks() {
		if now.shadow.Compares(network.Name()) {
			shown.Networks = append(shown.Networks, shadowNetwork(now.shadow.differences.Report(network.Name())))
		}
	}
	return shown
}

func shadowNetwork(r shadow.Report) admin.ShadowNetwork {
	shown := admin.ShadowNetwork{
		Network: r.Network, Same: r.Counts[shadow.Same], Failed: r.Counts[shadow.Failed], Repeated: r.Counts[shadow.Repeated],
		Dropped: r.Counts[shadow.Dropped], Differences: make([]admin.ShadowDifference, 0, len(r.Differences)), Lost: r.Lost,
	}
	for result, count := range r.Counts {
		if shadow.Result(result).Differs() {
			shown.Different += count
		}
	}
	for _, d := range r.Differences {
		difference := admin.ShadowDifference{
			Name: d.Name.String(), Type: dns.Type(d.Type).String(), Kind: d.Kind.String(),
			Ours: shadowAnswer(d.Ours), Theirs: shadowAnswer(d.Theirs),
			Count: d.Count, First: d.First, Last: d.Last,
		}
		if !d.Agreed.IsZero() {
			difference.Agreed = &d.Agreed
		}
		shown.Differences = append(shown.Differences, difference)
	}
	return shown
}

func shadowAnswer(a shadow.Answer) admin.ShadowAnswer {
	shown := admin.ShadowAnswer{Rcode: dns.RcodeToString[a.Rcode], Addresses: a.Addresses, Text: resolver.CleanText(a.String(), 2000)}
	if !a.Alias.IsZero() {
		shown.Alias = a.Alias.String()
	}
	return shown
}
