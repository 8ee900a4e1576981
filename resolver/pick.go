package resolver

import (
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"pldns/zones"
)

// switchedTTL bounds, in seconds, how long clients keep an address that stands
// in for another, or that is not known to be better than another: short, so that
// they come back soon after the trouble is over.
const switchedTTL = 5

// pick chooses among the addresses of an endpoint that is probed: the healthy
// ones, or the first of them. When none is healthy it gives what it would give if
// all were and says so, because an address that may work is better than none.
func (c *chain) pick(result zones.Result) ([]dns.RR, []Error) {
	endpoint, health := result.Endpoint, c.snapshot.health
	if endpoint.IsZero() || endpoint.Probe().IsZero() || health == nil || !isAddress(result.Records[0]) {
		return result.Records, nil
	}
	c.once = true
	healthy := slices.DeleteFunc(slices.Clone(result.Records), func(rr dns.RR) bool {
		target := zones.Target{Addr: addressOf(rr), Probe: endpoint.Probe()}
		ill := !health.Healthy(target)
		if ill && c.trace != nil {
			c.trace.add("endpoint", "%s is not healthy: probe %s: %s", target.Addr, target.Probe, health.Fault(target))
		}
		return ill
	})
	var errors []Error
	if len(healthy) == 0 {
		c.trace.add("endpoint", "no address is healthy: it is answered as if all were")
		errors = []Error{{dns.ExtendedErrorCodeOther, "no address of this endpoint is healthy"}}
		healthy = slices.Clone(result.Records)
	}
	picked := healthy
	if endpoint.Pick() == zones.PickFirstHealthy {
		picked = healthy[:1]
	}
	if errors != nil || len(healthy) < len(result.Records) {
		for i, rr := range picked {
			picked[i] = withTTL(rr, switchedTTL)
		}
	}
	return picked, errors
}

// isAddress tells whether a record holds an address.
func isAddress(rr dns.RR) bool { return addressOf(rr).IsValid() }

// addressOf is the address that a record holds; it is not valid for a record that
// holds none.
func addressOf(rr dns.RR) netip.Addr {
	var addr netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		addr, _ = netip.AddrFromSlice(rr.A)
	case *dns.AAAA:
		addr, _ = netip.AddrFromSlice(rr.AAAA)
	}
	return addr.Unmap()
}

// withTTL is the record with a TTL of at most so many seconds.
func withTTL(rr dns.RR, seconds uint32) dns.RR {
	if rr.Header().Ttl > seconds {
		rr = dns.Copy(rr)
		rr.Header().Ttl = seconds
	}
	return rr
}
