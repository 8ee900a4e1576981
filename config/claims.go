package config

import (
	"hash/maphash"
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
	if c.apart(endpoints) {
		return endpoints
	}
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

// apart tells of most endpoints, in a fraction of the time and memory, that nothing
// clashes: no two of their names have the same hash, but for a private name that
// the public names before and after it share.
func (c *claims) apart(endpoints []Endpoint) bool {
	h := hashes{seed: maphash.MakeSeed(), slots: make([]uint64, 2+3*len(endpoints)+2*len(c.records))}
	for name := range c.records {
		h.add(name)
	}
	for i := range endpoints {
		e := &endpoints[i]
		if !h.add(e.Name) {
			return false
		}
		if e.Private.IsZero() || i > 0 && e.Private == endpoints[i-1].Private && sameMapping(e, &endpoints[i-1]) {
			continue
		}
		if !h.add(e.Private) {
			return false
		}
	}
	return true
}

// hashes is a set of the hashes of names.
type hashes struct {
	seed  maphash.Seed
	slots []uint64 // 0 for free
}

// add enters a name, and tells whether its hash is new.
func (h *hashes) add(name zones.Name) bool {
	hash := maphash.String(h.seed, name.FQDN()) | 1
	at := int(hash >> 32 * uint64(len(h.slots)) >> 32)
	for h.slots[at] != 0 {
		if h.slots[at] == hash {
			return false
		}
		if at++; at == len(h.slots) {
			at = 0
		}
	}
	h.slots[at] = hash
	return true
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
	if sameMapping(other, endpoint) {
		return true
	}
	c.rep.clash(endpoint.Place, other.Place, faultf("give both the same addresses and settings, or remove one",
		"%s and %s have the same private name %s and differ", other.Name, endpoint.Name, endpoint.Private))
	return false
}

// sameMapping tells whether two public names of one private name say the same of it.
func sameMapping(a, b *Endpoint) bool {
	return slices.Equal(a.Addresses, b.Addresses) && a.TTL == b.TTL &&
		a.Probe.Alike(b.Probe) && a.Pick == b.Pick && a.Zone == b.Zone
}
