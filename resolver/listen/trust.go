package listen

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"pldns/zones"
)

// Trust says who may say that somebody else asks. The zero value is nobody.
type Trust struct {
	// ClientSubnet are the forwarders whose EDNS client subnet (RFC 7871) stands in
	// the place of their own address. What others send of the kind is ignored.
	ClientSubnet []netip.Prefix
	// Proxies are the load balancers that begin everything they send, over every
	// transport, with a header of the PROXY protocol version 2: without one it is
	// refused. From others, such a header is refused.
	Proxies []netip.Prefix
}

// trusted is a Trust in a form that is quick to ask.
type trusted struct{ subnets, proxies *bart.Lite }

// SetTrust replaces Config.Trust for what is read from here on. Connections that
// are open keep the client that they began with.
func (s *Server) SetTrust(t Trust) {
	s.trust.Store(&trusted{subnets: listed(t.ClientSubnet), proxies: listed(t.Proxies)})
}

func listed(prefixes []netip.Prefix) *bart.Lite {
	if len(prefixes) == 0 {
		return nil
	}
	list := new(bart.Lite)
	for _, prefix := range prefixes {
		list.Insert(prefix)
	}
	return list
}

// holds tells whether a list has an address.
func holds(list *bart.Lite, addr netip.Addr) bool {
	return list != nil && list.Contains(addr.Unmap().WithZone(""))
}

// proxy tells whether what comes from peer begins with a PROXY header.
func (s *Server) proxy(peer netip.AddrPort) bool { return holds(s.trust.Load().proxies, peer.Addr()) }

// client is who asks through a proxy, or the proxy for itself.
func (p proxied) client(proxy netip.Addr, local netip.AddrPort) zones.Client {
	client := zones.NewClient(proxy, local)
	if p.source.IsValid() {
		client = zones.NewClient(p.source, local)
	}
	if p.linked {
		client.Shown = &zones.Shown{Linked: true, Link: p.link}
	}
	return client
}

// subnetOf replaces the address of a forwarder by that of its client, for a request with a
// client subnet. It is false when the forwarder's option cannot be understood. An option of
// anybody else is counted and forgotten: nothing of the reply depends on it.
func (s *Server) subnetOf(transport string, r *request, client *zones.Client) bool {
	if !holds(s.trust.Load().subnets, client.Addr) {
		r.subnet = subnet{}
		s.config.Observer.SubnetIgnored(transport)
		return true
	}
	if !r.subnet.read() {
		r.subnet = subnet{}
		return false
	}
	if prefix := r.subnet.prefix; prefix.IsValid() {
		client.Addr, client.Bits = prefix.Addr(), 0
		if !prefix.IsSingleIP() {
			client.Bits = uint8(prefix.Bits())
		}
	}
	return true
}
