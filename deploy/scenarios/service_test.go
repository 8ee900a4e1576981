//go:build linux

package scenarios

import (
	"strings"
	"testing"

	"pldns/deploy/scenarios/lab"
)

const api = "api.contoso.com"

const serviceConfig = `
[listen]
dns = ["10.0.0.4:53"]
[upstreams.azure]
servers = ["168.63.129.16"]
[forward]
"." = "azure"
[trust]
proxy_protocol = ["192.168.7.0/24", "10.0.0.20"]

[networks.fabrikam]
link_ids = [536872066]
[networks.fabrikam.endpoints]
"api.contoso.com" = "10.0.7.9"

[networks.tailspin]
link_ids = [536872067]
[networks.tailspin.endpoints]
"api.contoso.com" = "10.0.8.9"

[networks.contoso]
clients = ["10.0.0.0/16"]
[networks.contoso.endpoints]
"api.contoso.com" = "10.0.0.9"
`

// consumer is a customer of the provider's service: a VNet like the provider's,
// with two private endpoints, one of the service and one of its DNS.
type consumer struct {
	name, address string
	endpoint      *lab.Host
	client        client
}

// newConsumer builds one. The endpoints come out at an address of their own in the
// provider's VNet, behind which is its load balancer.
func newConsumer(t *testing.T, n *internet, provider *lab.Host, name, address, nat string, linkID int) consumer {
	l := n.lab
	vnet := l.Switch(name+" vnet", "10.0.0.1/16")
	n.join(vnet)
	c := consumer{name: name, address: address, endpoint: l.Host(name + " endpoint of " + api)}
	resolver := l.Host(name + " endpoint of the resolver")
	vnet.Plug(c.endpoint, address+"/16")
	vnet.Plug(resolver, "10.0.5.53/16")
	c.endpoint.Link("service", nat+"2/30", provider, name, nat+"1/30")
	resolver.Link("service", nat+"6/30", provider, name+"-dns", nat+"5/30")
	c.endpoint.Count()
	c.endpoint.PrivateEndpoint(address+":443", nat+"1:443", 0)
	resolver.PrivateEndpoint("10.0.5.53:53", nat+"5:53", linkID)

	user := l.Host(name + " client")
	vnet.Plug(user, "10.0.0.7/16")
	user.NameserversOverTCP("10.0.5.53")
	c.client = client{T: t, Host: user, authority: n.authority.File, tcp: true}
	return c
}

// The provider's own application, and its resolver, behind a Private Link Service.
// Customers with the provider's own address range reach both by private endpoints
// of theirs; a link id in the PROXY header tells the resolver whose they are. The
// provider's own clients come over HAProxy, whose header says who they are.
func TestServiceBehindPrivateLink(t *testing.T) {
	l := lab.New(t, "dig", "curl", "getent", "haproxy")
	n := newInternet(l, "api.contoso.com. 300 IN A 203.0.113.30")
	provider := l.Switch("contoso vnet", "10.0.0.1/16")
	n.join(provider)
	app, resolver, balancer, user := l.Host("application"), l.Host("resolver"), l.Host("balancer"), l.Host("contoso client")
	provider.Plug(app, "10.0.0.9/16")
	provider.Plug(resolver, "10.0.0.4/16")
	provider.Plug(balancer, "10.0.0.20/16")
	provider.Plug(user, "10.0.0.7/16")
	app.Count()
	app.Site("10.0.0.9:443", "the application of contoso", n.authority.Issue(api))
	resolver.Pldns(l.File("pldns.toml", serviceConfig))

	// The frontend of the load balancer that the Private Link Service stands before.
	provider.Firewall(`table ip frontend {
	chain pre {
		type nat hook prerouting priority -100
		ip daddr 192.168.7.0/24 tcp dport 443 dnat to 10.0.0.9
		ip daddr 192.168.7.0/24 tcp dport 53 dnat to 10.0.0.4
	}
}
`)
	fabrikam := newConsumer(t, n, provider, "fabrikam", "10.0.7.9", "192.168.7.", 536872066)
	tailspin := newConsumer(t, n, provider, "tailspin", "10.0.8.9", "192.168.7.2", 536872067)
	haproxy(l, balancer)
	user.NameserversOverTCP("10.0.0.20")
	own := client{T: t, Host: user, authority: n.authority.File, tcp: true}

	reached(t, app, false)
	for _, here := range []struct{ c, other consumer }{{fabrikam, tailspin}, {tailspin, fabrikam}} {
		before := here.other.endpoint.Reached()
		here.c.client.resolves(api, "", here.c.address)
		here.c.client.opens(api, "443", "the application of contoso")
		here.c.client.mistrusts(here.c.address, "443")
		here.c.client.cannotReach(here.other.address, "443")
		reached(t, here.c.endpoint, true)
		if now := here.other.endpoint.Reached(); now != before {
			t.Errorf("%s: %d connections to the endpoint of %s", here.c.name, now-before, here.other.name)
		}
	}
	before := fabrikam.endpoint.Reached() + tailspin.endpoint.Reached()
	own.resolves(api, "", "10.0.0.9")
	own.opens(api, "443", "the application of contoso")
	own.mistrusts("10.0.0.9", "443")
	if now := fabrikam.endpoint.Reached() + tailspin.endpoint.Reached(); now != before {
		t.Errorf("the provider's own client went over a customer's endpoint")
	}
	reached(t, n.front, false)

	// Whoever is not trusted to name its client, is not believed: from the address of
	// no balancer, the header is no query.
	liar := l.Host("liar")
	provider.Plug(liar, "10.0.0.66/16")
	liar.PrivateEndpoint("127.0.0.1:53", "10.0.0.4:53", 536872066)
	if got, err := liar.TryPlay("ask", "-over", "tcp", "-server", "127.0.0.1:53", api, "A"); err == nil && strings.Contains(got, "10.0.7.9") {
		t.Errorf("a PROXY header from anywhere is believed: %s", got)
	}
}

// haproxy makes a host a load balancer of DNS over TCP that names its clients.
func haproxy(l *lab.Lab, h *lab.Host) {
	file := l.File("haproxy.cfg", `
global
  maxconn 100
defaults
  mode tcp
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend dns
  bind 10.0.0.20:53
  default_backend resolvers
backend resolvers
  server one 10.0.0.4:53 send-proxy-v2
`)
	p := h.Start("haproxy", "-db", "-f", file)
	l.Until("HAProxy listens", func() bool {
		_, err := h.TryPlay("ask", "-over", "tcp", "-server", "10.0.0.20:53", "www.contoso.com", "A")
		return err == nil || p.Ended()
	})
}
