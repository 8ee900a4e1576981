package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"pldns/zones"
)

// endpointSettings is the value of one mapping.
type endpointSettings struct {
	addresses []netip.Addr
	ttl       uint32 // seconds
	private   *entry // as it is written; nil when it is not
	probe     probeSettings
	pick      zones.Pick
}

func endpointKeys() []string {
	return []string{"addresses", "ttl", "private_name", "allow_public", "probe", "probe_name", "pick"}
}

// endpointValue reads an address, a list of addresses, or a table; ok reports whether
// all of it is in order.
func (l *loader) endpointValue(at Place, value any) (s endpointSettings, ok bool) {
	s.ttl = zones.DefaultTTL
	values, is := value.(map[string]any)
	if !is {
		s.addresses, ok = l.addresses(at, value, false)
		return s, ok
	}
	before := len(l.rep.problems)
	t := table{rep: l.rep, file: at.File(), path: at.Key(), values: values}
	t.only(endpointKeys()...)
	// Each key stands once in its file, and a name that two files map is reported
	// as that: so the values are read as they are.
	if addresses, given := t.get("addresses"); given {
		s.addresses, _ = l.addresses(t.place("addresses"), addresses, l.allowPublic(t))
	} else {
		l.rep.add(at, &fault{"has no addresses", `add addresses = ["10.0.1.4"]`})
	}
	if ttl, given := t.get("ttl"); given {
		s.ttl = l.ttl(t.place("ttl"), ttl)
	}
	if text, given := l.word(t, "private_name", "mydb.privatelink.database.windows.net"); given {
		s.private = &entry{text, t.place("private_name")}
	}
	s.probe = l.probe(t)
	s.pick = l.pick(t, s.probe.given)
	return s, len(l.rep.problems) == before
}

// word reads a string of an endpoint's table.
func (l *loader) word(t table, key, example string) (string, bool) {
	value, given := t.get(key)
	text, is := value.(string)
	if given && !is {
		t.mismatch(t.place(key), value, fmt.Sprintf("write %s = %q", key, example), "a string")
	}
	return text, is
}

// allowPublic reads whether addresses outside the private ranges are meant.
func (l *loader) allowPublic(t table) bool {
	value, given := t.get("allow_public")
	allow, is := value.(bool)
	if given && !is {
		t.mismatch(t.place("allow_public"), value, "write true or false without quotes", "true or false")
		return true // so that the addresses are not reported for it
	}
	return allow
}

// addresses reads one address or a list of them.
func (l *loader) addresses(at Place, value any, allowPublic bool) (addrs []netip.Addr, ok bool) {
	switch value := value.(type) {
	case string:
		addr, ok := l.address(at, value, allowPublic)
		return []netip.Addr{addr}, ok
	case []any:
		return l.addressList(at, value, allowPublic)
	default:
		l.rep.add(at, faultf(`write "10.0.1.4" or ["10.0.1.4", "10.0.1.5"]`, "is %s, not an address", kindOf(value)))
		return nil, false
	}
}

// addressList reads a list of different addresses.
func (l *loader) addressList(at Place, list []any, allowPublic bool) (addrs []netip.Addr, ok bool) {
	if len(list) == 0 {
		l.rep.add(at, &fault{"is empty", `write at least one address, as in ["10.0.1.4"], or remove the name`})
		return nil, false
	}
	ok = true
	for i, element := range list {
		text, is := element.(string)
		if !is {
			l.rep.add(at.at(i), faultf(`write an address such as "10.0.1.4"`, "is %s, not an address", kindOf(element)))
			ok = false
			continue
		}
		addr, fine := l.address(at.at(i), text, allowPublic)
		if fine && slices.Contains(addrs, addr) {
			l.rep.add(at.at(i), alreadyFault(text))
			fine = false
		}
		ok = ok && fine
		addrs = append(addrs, addr)
	}
	return addrs, ok
}

// address reads one address.
func (l *loader) address(at Place, text string, allowPublic bool) (netip.Addr, bool) {
	addr, f := parseEndpointAddr(text, allowPublic)
	switch {
	case f != nil:
		l.rep.add(at, f)
	case addr.IsLoopback():
		l.rep.warn(at, faultf("write the address of the private endpoint", "%q is a loopback address: each client would ask itself", text))
	}
	return addr, f == nil
}

// ttl reads a TTL in seconds: a whole number, or a duration of whole seconds.
func (l *loader) ttl(at Place, value any) uint32 {
	remedy := fmt.Sprintf("write a whole number of seconds from 1 to %d", maxEndpointTTL)
	seconds := int64(math.MinInt64)
	switch value := value.(type) {
	case int64:
		seconds = value
	case string:
		if d, err := time.ParseDuration(value); err == nil && d%time.Second == 0 {
			seconds = int64(d / time.Second)
		}
	}
	if seconds < 1 || seconds > maxEndpointTTL {
		l.rep.add(at, faultf(remedy, "%v is no TTL", value))
		return zones.DefaultTTL
	}
	return uint32(seconds)
}
