package main

import (
	"iter"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/cache"
	"pldns/zones"
)

// upstreams are the servers of all pools, as operators see them.
func (p *parts) upstreams() []admin.Upstream {
	all := make([]admin.Upstream, 0)
	for _, pool := range p.pools {
		for _, s := range pool.State() {
			all = append(all, admin.Upstream{
				Group: pool.name, Server: s.Server, Transport: s.Transport.String(), Healthy: s.Healthy,
				Looping: s.Looping, RTT: s.RTT.Seconds(), Failures: s.Failures, InFlight: s.InFlight,
			})
		}
	}
	return all
}

// memory is the cache, as operators see it.
type memory struct{ *cache.Cache }

func (m memory) Dump(name zones.Name, subtree bool) iter.Seq[admin.Remembered] {
	return func(yield func(admin.Remembered) bool) {
		for e := range m.Cache.Dump(name, subtree) {
			if !yield(remembered(e)) {
				return
			}
		}
	}
}

func remembered(e cache.Entry) admin.Remembered {
	r := admin.Remembered{
		Group: e.Group, Name: e.Question.Name.String(), Type: dns.Type(e.Question.Type).String(),
		DO: e.Question.DNSSEC, CD: e.Question.CheckingDisabled,
		Left: e.Left.Seconds(), Failing: e.Failing, Hits: e.Hits, Bytes: e.Bytes,
	}
	if e.Err != nil {
		r.Error = e.Err.Error()
		return r
	}
	r.Rcode = dns.RcodeToString[e.Reply.Rcode]
	r.Records = append(resolver.Presentation(e.Reply.Answer), resolver.Presentation(e.Reply.Authority)...)
	return r
}
