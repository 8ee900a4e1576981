package daemon

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"pldns/config"
	"pldns/resolver/admin"
	"pldns/zones/content"
	"pldns/zones/policy"
)

// policyPace is the least time between two versions of the policies that are taken from
// primaries; a large one is made anew for at most an eighth of the time.
const (
	policyPace  = 2 * time.Second
	policyShare = 8
)

// zonePolicy is a policy that was made of a zone.
type zonePolicy struct {
	of     config.PolicyZone
	zone   *content.Zone // nil where there is none yet: the policy has no entries
	policy *policy.Policy
}

// newZonePolicy makes a policy of a zone; nil for none. What is left out is for the log.
func (r *renewal) newZonePolicy(of config.PolicyZone, zone *content.Zone) *zonePolicy {
	made := &zonePolicy{of: of, zone: zone, policy: of.Empty}
	if zone == nil {
		return made
	}
	b := policy.NewBuilder()
	found, err := b.Add(of.Zone, zone.Records())
	if err != nil { // it is larger than any policy: what was read counts
		r.server.log.Error("the policy lacks entries of its zone", "policy", of.Options.Name, "zone", of.Zone, "error", err)
	}
	for _, skipped := range found.Skipped {
		r.server.log.Warn("entries of the zone of a policy are left out",
			"policy", of.Options.Name, "zone", of.Zone, "serial", zone.Serial(), "what", skipped.String())
	}
	made.policy = b.Build(of.Options)
	return made
}

// isFor tells whether the policy is what the configuration wants, whatever zone it is made of.
func (p *zonePolicy) isFor(of config.PolicyZone) bool {
	return p.of.Zone == of.Zone && reflect.DeepEqual(p.of.Options, of.Options)
}

// renewal makes policies of the zones that they are taken from, whenever these change. It
// outlives reloads.
type renewal struct {
	server *Server
	of     *exchange
	news   chan struct{} // has a token when a zone has changed

	mutex sync.Mutex
	made  map[string]*zonePolicy // by name
}

// tell has the zones looked at.
func (r *renewal) tell() {
	select {
	case r.news <- struct{}{}:
	default: // there is a token already
	}
}

// apply is a configuration with the policies that are taken from primaries. What was made of
// a zone before goes on until the next version of it has been: a policy that is old is better
// than none.
func (r *renewal) apply(c *config.Config, copies map[string]content.Copy) *config.Config {
	if len(c.PolicyZones) == 0 {
		return c
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	made := make(map[*policy.Policy]*policy.Policy)
	for _, of := range c.PolicyZones {
		known, zone := r.made[of.Options.Name], copies[of.Copy].Zone
		if known != nil && known.of.Zone == of.Zone && zone == nil {
			zone = known.zone
		}
		if known == nil || !known.isFor(of) || known.zone == nil {
			known = r.newZonePolicy(of, zone)
			r.made[of.Options.Name] = known
		}
		made[of.Empty] = known.policy
	}
	with := *c
	with.Networks = slices.Clone(c.Networks)
	for i := range with.Networks {
		n := &with.Networks[i]
		n.Policies = slices.Clone(n.Policies)
		for j, p := range n.Policies {
			if next := made[p]; next != nil {
				n.Policies[j] = next
			}
		}
	}
	return &with
}

// keep forgets the policies that are none of the configuration's any more.
func (r *renewal) keep(of []config.PolicyZone) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	maps.DeleteFunc(r.made, func(name string, _ *zonePolicy) bool {
		return !slices.ContainsFunc(of, func(z config.PolicyZone) bool { return z.Options.Name == name })
	})
}

// Run makes policies until the context ends. The error is always nil.
func (r *renewal) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.news:
		}
		begun := time.Now()
		r.renew()
		pause := time.NewTimer(max(policyPace, policyShare*time.Since(begun)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
	}
}

// renew serves the policies whose zones have changed. They are made beside what is served.
func (r *renewal) renew() {
	now := r.server.now()
	if now.exchange != r.of {
		return
	}
	copies := r.of.secondary.Copies()
	var next []*zonePolicy
	for _, of := range now.policyZones {
		r.mutex.Lock()
		known := r.made[of.Options.Name]
		r.mutex.Unlock()
		if zone := copies[of.Copy].Zone; zone != nil && (known == nil || known.zone != zone) {
			next = append(next, r.newZonePolicy(of, zone))
		}
	}
	if len(next) > 0 {
		r.server.servePolicies(r, next)
	}
}

// servePolicies answers by policies that were made anew, unless a reload has changed what they
// should be.
func (s *Server) servePolicies(r *renewal, made []*zonePolicy) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	now := s.now()
	if s.stopping || now.exchange != r.of {
		return
	}
	replaced := make(map[string]*policy.Policy)
	r.mutex.Lock()
	for _, next := range made {
		if slices.ContainsFunc(now.policyZones, next.isFor) {
			r.made[next.of.Options.Name] = next
			replaced[next.of.Options.Name] = next.policy
		}
	}
	r.mutex.Unlock()
	parts, next := *now.parts, *now
	parts.snapshot = now.snapshot.WithPolicies(replaced)
	next.parts, next.networks = &parts, withEntries(now.networks, replaced)
	s.current.Store(&next)
	s.resolver.Swap(parts.snapshot)
	for name, p := range replaced {
		s.recorder.PolicyHas(name, p.Len())
		s.log.Info("the policy has changed", "policy", name, "entries", p.Len())
	}
}

// withEntries are networks with the sizes of policies that were made anew.
func withEntries(networks []admin.Network, made map[string]*policy.Policy) []admin.Network {
	all := slices.Clone(networks)
	for i := range all {
		all[i].Policies = slices.Clone(all[i].Policies)
		for j, shown := range all[i].Policies {
			if p := made[shown.Name]; p != nil {
				all[i].Policies[j].Entries = p.Len()
			}
		}
	}
	return all
}
