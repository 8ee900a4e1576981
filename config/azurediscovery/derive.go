package azurediscovery

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pldns/config"
	"pldns/config/azureimport"
	"pldns/config/source"
	"pldns/zones/azure"
)

// Seen is what networks see of a listing.
type Seen struct {
	Set *source.Set
	// Left are endpoints and records that no network gets for a reason that somebody
	// should know: no name, a name that nothing can have, an unknown shape.
	Left []azureimport.Gap
	// Warnings are what is probably not meant, in a stable order.
	Warnings []string
}

// Derive finds what each network that learns from a source sees of its listing.
func Derive(l *Listing, name string, networks []config.Network, catalogue *azure.Catalogue) *Seen {
	d := &deriving{
		listing: l, catalogue: catalogue, source: source.AzureName(name),
		seen: &Seen{Set: &source.Set{Taken: l.Taken, Shares: make(map[string]*source.Share)}},
	}
	for i := range networks {
		n := &networks[i]
		if n.Azure == nil || !slices.Contains(n.Azure.From, name) {
			continue
		}
		share := &source.Share{Seen: make(map[config.Place]time.Time)}
		d.network(n, share)
		d.seen.Set.Shares[n.Name] = share
	}
	slices.Sort(d.seen.Warnings)
	d.seen.Warnings = slices.Compact(d.seen.Warnings)
	return d.seen
}

type deriving struct {
	listing   *Listing
	catalogue *azure.Catalogue
	source    string
	seen      *Seen
	sorted    []*Row // all rows, by key: made when it is first needed
}

func (d *deriving) warn(format string, args ...any) {
	d.seen.Warnings = append(d.seen.Warnings, fmt.Sprintf(format, args...))
}

// rows are the rows of a kind in a stable order.
func (d *deriving) rows(kind Kind) []*Row {
	if d.sorted == nil {
		d.sorted = make([]*Row, 0, len(d.listing.Rows))
		for _, id := range slices.Sorted(maps.Keys(d.listing.Rows)) {
			d.sorted = append(d.sorted, d.listing.Rows[id])
		}
	}
	begin, _ := slices.BinarySearchFunc(d.sorted, kind, func(r *Row, kind Kind) int { return cmp.Compare(r.Kind, kind) })
	end := begin
	for end < len(d.sorted) && d.sorted[end].Kind == kind {
		end++
	}
	return d.sorted[begin:end]
}

// network finds what one network sees.
func (d *deriving) network(n *config.Network, share *source.Share) {
	regions := make([]string, 0, len(n.Azure.VNets))
	for _, id := range n.Azure.VNets {
		if row := d.listing.Rows[key(KindVNet, id)]; row != nil {
			regions = append(regions, row.VNet.Location)
		}
	}
	if n.Azure.See == config.SeeLinks {
		d.links(n, share)
	} else {
		d.endpoints(n, regions, share)
	}
	if n.Azure.Clients {
		d.clients(n, share)
	}
}

// endpoints finds the mappings of the private endpoints in the network's VNets, and of
// those with its tag.
func (d *deriving) endpoints(n *config.Network, regions []string, share *source.Share) {
	var inventory azureimport.Inventory
	inside := make(map[string]bool)
	for _, row := range d.rows(KindEndpoint) {
		tagged := n.Azure.Tagged && row.Endpoint.Tag == n.Name
		if tagged || slices.Contains(n.Azure.VNets, vnetOf(row.Endpoint.SubnetID)) {
			inside[strings.ToLower(row.ID)] = true
			inventory.Endpoints = append(inventory.Endpoints, row.Endpoint.PrivateEndpoint)
		}
	}
	for _, row := range d.rows(KindInterface) {
		if inside[strings.ToLower(row.Interface.EndpointID)] {
			inventory.Interfaces = append(inventory.Interfaces, *row.Interface)
		}
	}
	inventory.Records = d.written(inventory.Interfaces)
	d.mappings(n, inventory, regions, share, KindEndpoint)
}

// mappings decides by the rules of the import what resources come to, and enters it.
// The resources of a mapping are of one kind.
func (d *deriving) mappings(n *config.Network, inventory azureimport.Inventory, regions []string, share *source.Share, kind Kind) {
	result := azureimport.FromInventory(inventory, azureimport.Options{Catalogue: d.catalogue}).
		Networks(azureimport.Layout{Split: azureimport.Whole, Any: true, Unchecked: true, Prefer: regions})
	d.leave(n, result)
	var learned []config.Learned
	for _, network := range result.Networks {
		for _, m := range network.Mappings {
			ids := m.Resources()
			place := config.LearnedAt(d.source, ids[0])
			if row := d.listing.Rows[key(kind, ids[0])]; row != nil && !row.Seen.IsZero() {
				share.Seen[place] = row.Seen
			}
			learned = append(learned, config.Learned{
				Name: m.Name, Private: m.Private, Addresses: m.Addresses, Place: place, FirstHealthy: len(ids) > 1,
			})
			if len(ids) > 1 {
				d.warn("network %s: %s has %d endpoints, %s: the first address is answered, the nearest region's; "+
					"write the name by hand with a probe if another should take over", n.Name, m.Name, len(ids), strings.Join(ids, " and "))
			}
		}
	}
	endpoints, problems := config.Learn(d.catalogue, learned)
	for _, p := range problems {
		d.warn("network %s: %s: %s: left out", n.Name, p.Key, p.Text)
	}
	share.Endpoints, share.Count = endpoints, len(endpoints)
}

// leave notes what is left out, but for endpoints of which the state says why.
func (d *deriving) leave(n *config.Network, result *azureimport.Result) {
	for _, gap := range result.Gaps {
		switch gap.Reason {
		case azureimport.Pending, azureimport.Rejected, azureimport.Disconnected, azureimport.Deleting, azureimport.Failed,
			azureimport.Registered, azureimport.Empty, azureimport.DeadAlias:
			continue
		}
		gap.Text = "network " + n.Name + ": " + gap.Text
		d.seen.Left = append(d.seen.Left, gap)
	}
}

// clients finds the prefixes of the network's VNets, of those peered with them and of
// point-to-site clients.
func (d *deriving) clients(n *config.Network, share *source.Share) {
	add := func(id string, distance int, prefixes []netip.Prefix) {
		for _, prefix := range prefixes {
			client := source.Client{Prefix: prefix.Masked(), Distance: distance, Place: config.LearnedAt(d.source, id)}
			share.Clients = append(share.Clients, client)
		}
	}
	for _, id := range n.Azure.VNets {
		row := d.listing.Rows[key(KindVNet, id)]
		if row == nil {
			continue
		}
		add(row.ID, 0, row.VNet.Prefixes)
		for _, peer := range row.VNet.Peers {
			prefixes := peer.Prefixes
			if own := d.listing.Rows[key(KindVNet, peer.ID)]; own != nil {
				prefixes = own.VNet.Prefixes // what the peering says may be older
			}
			add(peer.ID, 1, prefixes)
		}
	}
	for _, row := range d.rows(KindGateway) {
		if slices.Contains(n.Azure.VNets, row.Gateway.VNet) {
			add(row.ID, 1, row.Gateway.Pool)
		}
	}
}

// LossesOf tells what networks see no more of a second listing.
func LossesOf(name string, networks []config.Network, catalogue *azure.Catalogue) Losses {
	return func(before, after *Listing) (lost []Loss, of int) {
		was, is := facts(Derive(before, name, networks, catalogue).Set), facts(Derive(after, name, networks, catalogue).Set)
		resources := make(map[string]bool)
		for f, resource := range was {
			resources[resource] = true
			if _, still := is[f]; !still {
				lost = append(lost, Loss{f.network, f.what, resource})
			}
		}
		slices.SortFunc(lost, func(a, b Loss) int { return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.What, b.What)) })
		return lost, len(resources)
	}
}

// fact is something that a network is served.
type fact struct{ network, what string }

// facts are what networks are served by a set, and the resource that tells each.
func facts(set *source.Set) map[fact]string {
	all := make(map[fact]string)
	for network, share := range set.Shares {
		for _, e := range share.Endpoints {
			for _, addr := range e.Addresses {
				all[fact{network, e.Name.String() + " " + addr.String()}] = e.Place.Key()
			}
		}
		for _, client := range share.Clients {
			all[fact{network, "clients of " + client.Prefix.String()}] = client.Place.Key()
		}
		for _, z := range share.Zones {
			all[fact{network, "zone " + z.Name.String()}] = z.Place.Key()
			for _, rr := range z.Records {
				all[fact{network, strings.Join(strings.Fields(rr.String()), " ")}] = z.Place.Key()
			}
		}
	}
	return all
}
