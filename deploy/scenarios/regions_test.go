//go:build linux

package scenarios

import (
	"fmt"
	"strconv"
	"testing"

	"pldns/deploy/scenarios/lab"
)

func itoa(n int) string { return strconv.Itoa(n) }

const (
	eun        = "momenta-eun.database.windows.net"
	eunPrivate = "momenta-eun.privatelink.database.windows.net"
	aue        = "momenta-aue.database.windows.net"
	auePrivate = "momenta-aue.privatelink.database.windows.net"
)

// region is one of the two regions: a VNet with two resolvers and an endpoint for
// each database, and a gateway with a pool of VPN clients.
type region struct {
	name      string
	vnet      *lab.Host
	resolvers []*lab.Host // at .0.4 and .0.5 of the VNet
	eun, aue  *lab.Host   // the endpoints
	client    client
}

// plan is where the parts of a region are.
type plan struct {
	name, vnet, pool string // the first two bytes of the VNet, the first three of the pool
	eun, aue         string // addresses of the endpoints
}

func europe() plan    { return plan{"europe", "10.0", "172.16.10", "10.0.1.4", "10.0.1.5"} }
func australia() plan { return plan{"australia", "10.1", "172.16.20", "10.1.1.5", "10.1.1.4"} }

// regionsConfig is served by all resolvers of both regions.
const regionsConfig = `
[listen]
dns = [":53"]
[upstreams.azure]
servers = ["168.63.129.16"]
[forward]
"." = "azure"

[networks.europe]
clients = ["10.0.0.0/16", "172.16.10.0/25"]
[networks.europe.endpoints]
"momenta-eun.database.windows.net" = "10.0.1.4"
"momenta-aue.database.windows.net" = "10.0.1.5"

[networks.australia]
clients = ["10.1.0.0/16", "172.16.20.0/25"]
[networks.australia.endpoints]
"momenta-eun.database.windows.net" = "10.1.1.5"
"momenta-aue.database.windows.net" = "10.1.1.4"
`

// newRegion builds a region without its resolvers' programs. Its gateway offers
// its clients the way to both VNets, as Azure's does, but only carries them into
// its own.
func newRegion(t *testing.T, n *internet, p plan) *region {
	l := n.lab
	r := &region{name: p.name, vnet: l.Switch(p.name+" vnet", p.vnet+".0.1/16")}
	n.join(r.vnet)
	for i := range 2 {
		resolver := l.Host(fmt.Sprintf("%s resolver %d", p.name, i+1))
		r.vnet.Plug(resolver, fmt.Sprintf("%s.0.%d/16", p.vnet, 4+i))
		r.resolvers = append(r.resolvers, resolver)
	}
	certificate := n.authority.Issue("*.database.windows.net")
	endpoint := func(name, address string) *lab.Host {
		h := l.Host(p.name + " endpoint of " + name)
		r.vnet.Plug(h, address+"/16")
		h.Count(p.vnet+".0.4", p.vnet+".0.5") // the resolvers probe
		h.Site(address+":1433", p.name+" endpoint of "+name, certificate)
		return h
	}
	r.eun, r.aue = endpoint("momenta-eun", p.eun), endpoint("momenta-aue", p.aue)

	gateway, laptop := l.Host(p.name+" gateway"), l.Host(p.name+" vpn client")
	r.vnet.Plug(gateway, p.vnet+".255.4/16")
	gateway.Forwarding()
	laptop.Link("vpn", p.pool+".2/25", gateway, "pool", p.pool+".1/25")
	r.vnet.Route(p.pool+".0/25", p.vnet+".255.4")
	gateway.Firewall(`table ip transit {
	chain forward {
		type filter hook forward priority 0
		iifname "pool" ip daddr != ` + p.vnet + `.0.0/16 drop
	}
}
`)
	n.join(laptop) // its own way to the Internet
	laptop.Route("10.0.0.0/16", p.pool+".1")
	laptop.Route("10.1.0.0/16", p.pool+".1")
	laptop.Nameservers(p.vnet+".0.4", p.vnet+".0.5")
	r.client = client{T: t, Host: laptop, authority: n.authority.File}
	return r
}

// newRegions builds both and connects their VNets with each other, but not the
// pools: a VNet knows no way back to the pool of the other.
func newRegions(t *testing.T, n *internet) (one, two *region) {
	one, two = newRegion(t, n, europe()), newRegion(t, n, australia())
	one.vnet.Link("peering", "192.168.255.1/30", two.vnet, "peering", "192.168.255.2/30")
	one.vnet.Route("10.1.0.0/16", "192.168.255.2")
	two.vnet.Route("10.0.0.0/16", "192.168.255.1")
	return one, two
}

// Two regions, each with a VPN pool and an endpoint for both databases, and
// gateways that carry nobody on to the other region: every client opens both
// databases by their real names and reaches its own region's endpoints, and nobody
// else's.
func TestTwoRegions(t *testing.T) {
	n := newInternet(lab.New(t, "dig", "curl", "getent"))
	one, two := newRegions(t, n)
	file := n.lab.File("regions/pldns.toml", regionsConfig)
	for _, r := range []*region{one, two} {
		for _, resolver := range r.resolvers {
			resolver.Pldns(file)
		}
	}

	for _, here := range []struct {
		region, other *region
		plan, there   plan
	}{{one, two, europe(), australia()}, {two, one, australia(), europe()}} {
		c, name := here.region.client, here.region.name
		eunBefore, aueBefore := here.other.eun.Reached(), here.other.aue.Reached()
		c.resolves(eun, eunPrivate, here.plan.eun)
		c.resolves(aue, auePrivate, here.plan.aue)
		c.opens(eun, "1433", name+" endpoint of momenta-eun")
		c.opens(aue, "1433", name+" endpoint of momenta-aue")
		c.mistrusts(here.plan.eun, "1433")
		c.mistrusts(eunPrivate, "1433")
		c.cannotReach(here.there.eun, "1433")
		c.cannotReach(here.there.aue, "1433")
		reached(t, here.region.eun, true)
		reached(t, here.region.aue, true)
		if e, a := here.other.eun.Reached(), here.other.aue.Reached(); e != eunBefore || a != aueBefore {
			t.Errorf("%s: the client tried to reach the other region: %d and %d connections", name, e-eunBefore, a-aueBefore)
		}
	}
	reached(t, n.front, false)

	// What is not mapped is where the Internet says, and so are the databases for
	// whom asks the Internet: there is somebody to be led astray to.
	one.client.opens("www.contoso.com", "443", "the public address")
	two.client.Nameservers(publicDNS)
	two.client.opens(eun, "1433", "the public address")
	reached(t, n.front, true)

	// And the VNets do reach each other, where no gateway is in the way.
	_, err := one.resolvers[0].Try("curl", "-sS", "--max-time", "30", "--cacert", n.authority.File,
		"--resolve", eun+":1433:"+australia().eun, "https://"+eun+":1433/")
	if err != nil {
		t.Errorf("from VNet to VNet: %v", err)
	}
}
