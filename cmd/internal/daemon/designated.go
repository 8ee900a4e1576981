package daemon

import (
	"crypto/x509"
	"net/netip"

	"pldns/config"
	"pldns/resolver"
	"pldns/zones"
)

// designated is what clients are told who ask for the encrypted ways to this server. A
// listener whose port the system chooses is left out: nobody knows it yet.
func designated(c *config.Config) resolver.Designated {
	leaf := c.TLS.Certificate.Leaf
	if leaf == nil {
		return resolver.Designated{}
	}
	d := resolver.Designated{Addresses: c.Listen.Designated, Networks: make(map[string]resolver.DesignatedTo)}
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
	for _, text := range leaf.DNSNames {
		if name, err := zones.ParseName(text); err == nil && !name.IsWildcard() {
			d.Names = append(d.Names, name)
		}
	}
	for _, ip := range leaf.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			d.Holds = append(d.Holds, addr.Unmap())
		}
	}
	for i := range c.Networks {
		n := &c.Networks[i]
		d.Networks[n.Name] = resolver.DesignatedTo{Names: shown(leaf, n.ServerNames), Paths: n.DoHPaths, Addresses: n.Designated}
	}
	return d
}

// shown are those names that a certificate is for: with another, a client would go away.
func shown(leaf *x509.Certificate, names []zones.Name) (list []zones.Name) {
	for _, name := range names {
		if leaf.VerifyHostname(name.String()) == nil {
			list = append(list, name)
		}
	}
	return list
}
