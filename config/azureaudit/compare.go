package azureaudit

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// answer is what a client gets for a name.
type answer struct {
	addrs  []netip.Addr
	denied bool // NXDOMAIN
}

// String is the answer in words.
func (a answer) String() string {
	switch {
	case a.denied:
		return "NXDOMAIN"
	case len(a.addrs) == 0:
		return "the public address"
	default:
		return spell(a.addrs)
	}
}

// same reports whether a client gets the same, or one of the same.
func (a answer) same(b answer) bool {
	if len(a.addrs) == 0 || len(b.addrs) == 0 {
		return a.String() == b.String()
	}
	return slices.ContainsFunc(a.addrs, func(addr netip.Addr) bool { return slices.Contains(b.addrs, addr) })
}

// azureSays is what Azure DNS answers in a VNet for a private name. It is not known
// where the export lacks the records of the zone.
func (a *auditor) azureSays(v *vnet, private zones.Name) (said answer, known bool) {
	at := v.decides(private)
	if at == nil {
		n, ok := a.privateOf(private)
		if unknown := ok && a.mayBeLinked(&n); unknown {
			a.withheld.uncompared = append(a.withheld.uncompared, n.public.String())
			return answer{}, false
		}
		return answer{}, !a.partial
	}
	if found := at.zone.find(private); found != nil {
		return answer{addrs: found.addrs}, !found.alias
	}
	falls, _ := at.fallsBack()
	return answer{denied: !falls}, at.zone.whole && !a.partial
}

// pldnsSays is what pldns answers in a network for a private name.
func pldnsSays(n *zones.Network, private zones.Name) answer {
	var said answer
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		result := n.Lookup(private, qtype)
		if result.Kind == zones.NoName && result.Zone.Missing != zones.Forward {
			return answer{denied: true}
		}
		for _, rr := range result.Records {
			switch rr := rr.(type) {
			case *dns.A:
				addr, _ := netip.AddrFromSlice(rr.A)
				said.addrs = join(said.addrs, addr.Unmap())
			case *dns.AAAA:
				addr, _ := netip.AddrFromSlice(rr.AAAA)
				said.addrs = join(said.addrs, addr)
			}
		}
	}
	return said
}

// compare finds names that pldns answers otherwise than Azure DNS does, for each VNet
// whose network is known.
func (a *auditor) compare() {
	compared := make(map[string]bool)
	for _, key := range slices.Sorted(maps.Keys(a.vnets)) {
		v := a.vnets[key]
		if network, known := a.options.Table.Network(a.networkOf(v)); known && len(v.linked) > 0 {
			compared[network.Name()] = true
			a.compareVNet(v, network)
		}
	}
	for _, network := range a.options.Table.Networks() {
		if !compared[network.Name()] {
			a.note("network %s has no linked VNet of its name in %s, and was not compared: --map VNET=%[1]s names one",
				network.Name(), a.word)
		}
	}
}

// networkOf is the network that the clients of a VNet belong to.
func (a *auditor) networkOf(v *vnet) string {
	byName := lastPart(v.id)
	for named, network := range a.options.VNets {
		if strings.EqualFold(named, v.id) {
			return network
		}
		if strings.EqualFold(named, lastPart(v.id)) {
			byName = network
		}
	}
	return byName
}

// compareVNet holds the answers of a network against those of a VNet: for what the
// network maps, and for what the zones of the VNet have.
func (a *auditor) compareVNet(v *vnet, network *zones.Network) {
	names := make(map[zones.Name]bool) // private ones
	for _, at := range v.linked {
		for private, r := range at.zone.records {
			if !r.alias && !r.registered {
				names[private] = true
			}
		}
	}
	for mapped := range network.Endpoints() {
		if n, ok := a.privateOf(cmp.Or(mapped.Private(), mapped.Name())); ok {
			names[n.private] = true
		}
	}
	for _, private := range slices.SortedFunc(maps.Keys(names), zones.Name.Compare) {
		azureAnswer, known := a.azureSays(v, private)
		ours := pldnsSays(network, private)
		if !known || azureAnswer.same(ours) {
			continue
		}
		public := private
		if n, ok := a.privateOf(private); ok {
			public = n.public
		}
		a.find(Finding{
			ID: AnsweredOtherwise, Severity: Warning, Resource: v.id, VNets: []string{v.id}, Names: []zones.Name{public},
			Answer: azureAnswer.String(), Ours: ours.String(),
			Effect: fmt.Sprintf("clients in %s get %s for %s of Azure DNS, and %s of pldns, as clients of network %s",
				lastPart(v.id), azureAnswer, public, ours, network.Name()),
			Action: "see which is right: change the record or the link in Azure, or the mapping (pldns import, pldns export)",
		})
	}
}
