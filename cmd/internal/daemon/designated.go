package daemon

import (
	"net/netip"
	"slices"

	"pldns/config"
	"pldns/resolver"
	"pldns/zones"
)

// designated is what clients are told who ask for the encrypted ways to this server. A
// listener whose port the system chooses is left out: nobody knows it yet.
func designated(c *config.Config) resolver.Designated {
	if len(c.TLS.Certificates) == 0 {
		return resolver.Designated{}
	}
	d := resolver.Designated{
		Addresses: c.Listen.Designated, Networks: make(map[string]resolver.DesignatedTo), Holds: make(map[zones.Name][]netip.Addr),
	}
	open := func(list []netip.AddrPort, http bool, alpn ...string) {
		for _, addr := range list {
			if addr.Port() != 0 {
				d.Listeners = append(d.Listeners, resolver.EncryptedListener{Addr: addr, ALPN: alpn, HTTP: http})
			}
		}
	}
	web := []string{"h2"}
	if c.Listen.H3 {
		web = append(web, "h3")
	}
	open(c.Listen.DoH, true, web...)
	open(c.Listen.DoT, false, "dot")
	open(c.Listen.DoQ, false, "doq")
	for _, certificate := range c.TLS.Certificates {
		for _, text := range certificate.Leaf().DNSNames {
			name, err := zones.ParseName(text)
			if _, known := d.Holds[name]; err == nil && !name.IsWildcard() && !known {
				d.Names, d.Holds[name] = append(d.Names, name), held(c.TLS.For(text))
			}
		}
	}
	for i := range c.Networks {
		n := &c.Networks[i]
		var names []zones.Name // without a certificate a client would go away
		for _, name := range n.ServerNames {
			if certificates := c.TLS.For(name.String()); len(certificates) > 0 {
				names, d.Holds[name] = append(names, name), held(certificates)
			}
		}
		d.Networks[n.Name] = resolver.DesignatedTo{Names: names, Paths: n.DoHPaths, Addresses: n.Designated}
	}
	return d
}

// held are the addresses that all of some certificates are for, of which it depends on the
// client which it is shown.
func held(certificates []*config.Certificate) (addresses []netip.Addr) {
	for i, certificate := range certificates {
		var all []netip.Addr
		for _, ip := range certificate.Leaf().IPAddresses {
			if addr, ok := netip.AddrFromSlice(ip); ok && (i == 0 || slices.Contains(addresses, addr.Unmap())) {
				all = append(all, addr.Unmap())
			}
		}
		addresses = all
	}
	return addresses
}
