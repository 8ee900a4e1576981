package daemon

import (
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/config"
	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/cache"
	"pldns/resolver/metrics"
	"pldns/zones"
)

// upstreams are the servers of all pools, as operators see them.
func (p *parts) upstreams() []admin.Upstream {
	all := make([]admin.Upstream, 0)
	for _, name := range slices.Sorted(maps.Keys(p.pools)) {
		load := p.pools[name].Load()
		for _, state := range p.pools[name].State() {
			all = append(all, admin.Upstream{Group: name, ServerState: state, Load: load})
		}
	}
	return all
}

// underWay is what the upstream groups have under way, for metrics.
func (p *parts) underWay() []metrics.UnderWay {
	all := make([]metrics.UnderWay, 0, len(p.pools))
	for name, pool := range p.pools {
		questions, queries := pool.UnderWay()
		all = append(all, metrics.UnderWay{Group: name, Questions: questions, Queries: queries})
	}
	return all
}

// size is how much the cache holds: nothing where it is turned off.
func (m *memory) size() (entries int, octets int64) {
	if m == nil {
		return 0, 0
	}
	return m.Len(), m.Bytes()
}

// networksOf are the networks of a configuration, as operators see them.
func networksOf(c *config.Config) []admin.Network {
	all := make([]admin.Network, 0, len(c.Networks))
	for _, n := range c.Networks {
		missing := n.Missing
		if missing == zones.Inherit {
			missing = zones.Forward
		}
		shown := admin.Network{
			Name: strings.Clone(n.Name), Missing: missing.String(), Limit: n.Limit,
			Clients: append([]netip.Prefix{}, n.Clients...), Listeners: append([]netip.AddrPort{}, n.Listeners...),
			LinkIDs: n.LinkIDs, Certificates: texts(n.Certificates), DoHPaths: n.DoHPaths, ServerNames: texts(n.ServerNames),
		}
		shown.RequirePrivate = texts(n.RequirePrivate)
		if n.DNS64 != nil {
			shown.DNS64 = n.DNS64.Prefix().String()
		}
		for _, p := range n.Policies {
			shown.Policies = append(shown.Policies, admin.Policy{Name: p.Name(), Entries: p.Len()})
		}
		for _, set := range n.Sets {
			shown.Sets = append(shown.Sets, strings.Clone(set))
		}
		for _, route := range n.Forward {
			to := admin.Route{Suffix: route.Suffix.Clone().String(), Upstream: strings.Clone(route.Upstream)}
			shown.Forward = append(shown.Forward, to)
		}
		all = append(all, shown)
	}
	return all
}

// texts are names in presentation format.
func texts(names []zones.Name) []string {
	var all []string
	for _, name := range names {
		all = append(all, name.String())
	}
	return all
}

// listening is where queries arrive.
func (s *Server) listening() []admin.Listening {
	var all []admin.Listening
	for _, over := range resolver.Transports() {
		if over == resolver.OverTCP { // at the addresses of UDP
			continue
		}
		for _, addr := range s.bound(over) {
			all = append(all, admin.Listening{Over: listenerOf(over), Address: addr})
		}
	}
	return all
}

// listenerOf is what operators call the listeners of a transport; those of plain DNS are
// of UDP and TCP.
func listenerOf(over resolver.Transport) string {
	if !over.IsEncrypted() {
		return "dns"
	}
	return over.Short()
}

// bound are the addresses at which queries arrive over a transport.
func (s *Server) bound(over resolver.Transport) []netip.AddrPort {
	switch over {
	case resolver.OverTLS:
		return s.listeners.TLSAddrs()
	case resolver.OverHTTPS:
		return s.listeners.HTTPSAddrs()
	case resolver.OverQUIC:
		return s.listeners.QUICAddrs()
	case resolver.OverHTTP3:
		return s.listeners.HTTP3Addrs()
	default:
		return s.listeners.Addrs()
	}
}

// shown are the certificates of the secure listeners.
func (k *keys) shown() (all []admin.Certificate) {
	for _, c := range k.secure.Certificates {
		shown := admin.Certificate{
			Name: c.Name, Names: append([]string{}, c.Leaf().DNSNames...),
			Key: c.Leaf().PublicKeyAlgorithm.String(), Until: c.Leaf().NotAfter,
		}
		for _, ip := range c.Leaf().IPAddresses {
			shown.Names = append(shown.Names, ip.String())
		}
		all = append(all, shown)
	}
	return all
}

// access says who may do what at the admin address.
func (s *served) access() admin.Access {
	return admin.Access{Token: s.listen.AdminToken, Hosts: s.listen.AdminHosts}
}

// cacheView is the cache of a server, as operators see it: whatever cache the
// configuration of the moment has, and the finished replies that follow from it.
type cacheView struct{ *Server }

func (v cacheView) Dump(name zones.Name, subtree bool) iter.Seq[admin.CacheEntry] {
	return func(yield func(admin.CacheEntry) bool) {
		memory := v.now().cache
		if memory == nil {
			return
		}
		for e := range memory.Dump(name, subtree) {
			if !yield(cacheEntry(e)) {
				return
			}
		}
	}
}

func (v cacheView) Flush(name zones.Name, subtree bool) int {
	now := v.now()
	defer v.listeners.ForgetReplies()
	if now.cache == nil {
		return 0
	}
	return now.cache.Flush(name, subtree)
}

func cacheEntry(e cache.Entry) admin.CacheEntry {
	r := admin.CacheEntry{
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
