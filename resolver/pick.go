package resolver

import (
	"net/netip"

	"github.com/miekg/dns"

	"pldns/zones"
)

// switchedTTL bounds, in seconds, how long clients keep an address that stands
// in for another, or that nothing is known to be better than: short, so that they
// come back soon after the switch is over.
const switchedTTL = 5

// pick chooses among the addresses of an endpoint that is probed: the first
// healthy one. When none is, it gives the first and says so, because an address
// that may work is better than none.
func (c *chain) pick(result zones.Result) ([]dns.RR, []Error) {
	endpoint, health := result.Endpoint, c.snapshot.health
	if endpoint == nil || endpoint.Pick != zones.PickFirstHealthy || health == nil {
		return result.Records, nil
	}
	first := result.Records[0]
	for _, rr := range result.Records {
		addr, is := address(rr)
		if !is {
			return result.Records, nil // a PTR of the endpoint's address, not the address
		}
		if !health.Healthy(zones.Target{Addr: addr, Probe: endpoint.Probe}) {
			c.trace.add("endpoint", "%s is not healthy", addr)
			continue
		}
		if rr == first {
			return []dns.RR{rr}, nil
		}
		return []dns.RR{withTTL(rr, switchedTTL)}, nil
	}
	c.trace.add("endpoint", "no address is healthy: the first is given")
	return []dns.RR{withTTL(first, switchedTTL)}, []Error{{dns.ExtendedErrorCodeOther, "no address of this endpoint is healthy"}}
}

// address is the address that a record holds.
func address(rr dns.RR) (netip.Addr, bool) {
	var addr netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		addr, _ = netip.AddrFromSlice(rr.A)
	case *dns.AAAA:
		addr, _ = netip.AddrFromSlice(rr.AAAA)
	}
	return addr.Unmap(), addr.IsValid()
}

// withTTL is the record with a TTL of at most so many seconds.
func withTTL(rr dns.RR, seconds uint32) dns.RR {
	if rr.Header().Ttl > seconds {
		rr = dns.Copy(rr)
		rr.Header().Ttl = seconds
	}
	return rr
}
