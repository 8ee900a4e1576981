package config

import (
	"slices"

	"pldns/zones"
)

// claims says what stands at each name of one network, to find what is mapped
// twice: by its own endpoints, by sets, by another spelling, by records.
type claims struct {
	rep *report
	// names holds, for a name, the number of the endpoint it is the public name of,
	// counted from 1, or the negative number of the one it is the private name of.
	names     map[zones.Name]int32
	endpoints []Endpoint
	records   map[zones.Name]record
}

func newClaims(rep *report) *claims { return &claims{rep: rep} }

// keep reports what clashes among endpoints, and gives the rest, in the same
// memory.
func (c *claims) keep(endpoints []Endpoint) []Endpoint {
	c.names = make(map[zones.Name]int32, 2*len(endpoints))
	c.endpoints = endpoints[:0]
	for i := range endpoints {
		if c.admit(&endpoints[i]) {
			c.endpoints = append(c.endpoints, endpoints[i])
			number := int32(len(c.endpoints))
			c.names[endpoints[i].Name] = number
			if private := endpoints[i].Private; !private.IsZero() {
				c.names[private] = -number
			}
		}
	}
	return c.endpoints
}

// admit reports what an endpoint clashes with.
func (c *claims) admit(endpoint *Endpoint) bool {
	ok := c.free(endpoint, endpoint.Name)
	if ok && !endpoint.Private.IsZero() {
		ok = c.agrees(endpoint) && c.freeOfRecords(endpoint, endpoint.Private)
	}
	return ok
}

// free reports what stands at the public name of an endpoint already.
func (c *claims) free(endpoint *Endpoint, name zones.Name) bool {
	if number := c.names[name]; number != 0 {
		other := &c.endpoints[max(number, -number)-1]
		c.rep.clash(endpoint.Place, other.Place, faultf("keep one of the two", "%s is mapped twice", name))
		return false
	}
	return c.freeOfRecords(endpoint, name)
}

// freeOfRecords reports records of an operator's zone at a name of an endpoint.
func (c *claims) freeOfRecords(endpoint *Endpoint, name zones.Name) bool {
	if record, taken := c.records[name]; taken {
		c.rep.clash(endpoint.Place, record.place, faultf("keep the mapping or the records", "%s is mapped twice", name))
		return false
	}
	return true
}

// agrees reports another endpoint with the same private name and other settings.
// Several public names may share a private name, as those of a key vault do, but
// then they share what stands there.
func (c *claims) agrees(endpoint *Endpoint) bool {
	number := c.names[endpoint.Private]
	if number == 0 {
		return true
	}
	if number > 0 {
		return c.free(endpoint, endpoint.Private)
	}
	other := &c.endpoints[-number-1]
	if slices.Equal(other.Addresses, endpoint.Addresses) && other.TTL == endpoint.TTL &&
		other.Probe.Alike(endpoint.Probe) && other.Pick == endpoint.Pick && other.Zone == endpoint.Zone {
		return true
	}
	c.rep.clash(endpoint.Place, other.Place, faultf("give both the same addresses and settings, or remove one",
		"%s and %s have the same private name %s and differ", other.Name, endpoint.Name, endpoint.Private))
	return false
}
