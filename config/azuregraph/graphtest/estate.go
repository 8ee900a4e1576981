package graphtest

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// Tenant is the tenant of an estate, until it says otherwise.
const Tenant = "11111111-2222-3333-4444-555555555555"

// Estate are the resources of subscriptions. Its methods may be called while they are
// listed.
type Estate struct {
	mutex     sync.Mutex
	resources map[string]map[string]any // by id in lower case
	names     map[string]string         // of subscriptions, by id
	hidden    map[string]bool           // subscriptions that the identity may not read
	blind     map[string]bool           // types of resources that it may not read
	tenantID  string
}

func newEstate() *Estate {
	return &Estate{
		resources: make(map[string]map[string]any), names: make(map[string]string),
		hidden: make(map[string]bool), blind: make(map[string]bool),
		tenantID: Tenant,
	}
}

// Subscription is the id of a subscription with a number, which is there from now on.
func (e *Estate) Subscription(number int) string {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	id := fmt.Sprintf("00000000-0000-0000-0000-%012d", number)
	e.names[id] = fmt.Sprintf("subscription %d", number)
	return id
}

// Move makes all of it another tenant's.
func (e *Estate) Move(tenant string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.tenantID = tenant
}

// Hide says whether the identity has lost its role on a subscription: it is left out
// then, without an error.
func (e *Estate) Hide(subscription string, hidden bool) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.hidden[subscription] = hidden
}

// Blind says whether the identity may not read resources of a type.
func (e *Estate) Blind(kind string, blind bool) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.blind[strings.ToLower(kind)] = blind
}

// Put adds a resource, or changes it.
func (e *Estate) Put(id, kind, location string, properties map[string]any) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	name := id[strings.LastIndexByte(id, '/')+1:]
	e.resources[strings.ToLower(id)] = map[string]any{
		"id": id, "name": name, "type": kind, "location": location, "tags": map[string]any{}, "properties": properties,
	}
}

// Tag tags a resource.
func (e *Estate) Tag(id, name, value string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.resources[strings.ToLower(id)]["tags"] = map[string]any{name: value}
}

// Delete deletes resources, whatever there is of each: an endpoint goes with its
// interface.
func (e *Estate) Delete(ids ...string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for _, id := range ids {
		delete(e.resources, strings.ToLower(id))
		delete(e.resources, strings.ToLower(nicID(id)))
	}
}

// Endpoint is a private endpoint.
type Endpoint struct {
	Subscription, Name string
	VNet               string // id
	Region             string
	Target             string // id; made up where it is empty
	Group              string // sqlServer where it is empty
	Status             string // Approved where it is empty
	State              string // Succeeded where it is empty
	Address            string
	Names              []string
}

// ID is the id of the endpoint.
func (p Endpoint) ID() string {
	return "/subscriptions/" + p.Subscription + "/resourceGroups/rg/providers/Microsoft.Network/privateEndpoints/" + p.Name
}

func nicID(endpoint string) string {
	return strings.Replace(endpoint, "/privateEndpoints/", "/networkInterfaces/", 1) + ".nic"
}

// Add adds a private endpoint and its network interface, or changes them.
func (e *Estate) Add(p Endpoint) string {
	p.Region, p.Group = cmp.Or(p.Region, "westeurope"), cmp.Or(p.Group, "sqlServer")
	p.Target = cmp.Or(p.Target, "/subscriptions/"+p.Subscription+"/resourceGroups/rg/providers/Microsoft.Sql/servers/"+p.Name)
	subnet := map[string]any{"id": p.VNet + "/subnets/endpoints"}
	e.Put(p.ID(), "microsoft.network/privateendpoints", p.Region, map[string]any{
		"provisioningState": cmp.Or(p.State, "Succeeded"), "subnet": subnet, "customDnsConfigs": []any{},
		"manualPrivateLinkServiceConnections": []any{},
		"networkInterfaces":                   []any{map[string]any{"id": nicID(p.ID())}},
		"privateLinkServiceConnections": []any{map[string]any{"name": p.Name, "properties": map[string]any{
			"privateLinkServiceId": p.Target, "groupIds": []any{p.Group},
			"privateLinkServiceConnectionState": map[string]any{"status": cmp.Or(p.Status, "Approved"), "description": ""},
		}}},
	})
	names := make([]any, len(p.Names))
	for i, name := range p.Names {
		names[i] = name
	}
	e.Put(nicID(p.ID()), "microsoft.network/networkinterfaces", p.Region, map[string]any{
		"privateEndpoint": map[string]any{"id": p.ID()},
		"ipConfigurations": []any{map[string]any{"name": "ip", "properties": map[string]any{
			"privateIPAddress": p.Address, "subnet": subnet,
			"privateLinkConnectionProperties": map[string]any{"groupId": p.Group, "requiredMemberName": p.Group, "fqdns": names},
		}}},
	})
	return p.ID()
}

// VNet adds a VNet with prefixes, or changes it, and gives its id. Peers are ids of VNets
// that it is peered with, each with the prefixes that the peering tells.
func (e *Estate) VNet(subscription, name, region string, prefixes []string, peers map[string][]string) string {
	id := "/subscriptions/" + subscription + "/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/" + name
	var peerings []any
	for _, peer := range slices.Sorted(maps.Keys(peers)) {
		peerings = append(peerings, map[string]any{"name": "peering", "properties": map[string]any{
			"peeringState": "Connected", "remoteVirtualNetwork": map[string]any{"id": peer},
			"remoteAddressSpace": map[string]any{"addressPrefixes": peers[peer]},
		}})
	}
	e.Put(id, "microsoft.network/virtualnetworks", region, map[string]any{
		"addressSpace": map[string]any{"addressPrefixes": prefixes}, "virtualNetworkPeerings": peerings,
	})
	return id
}

// Gateway adds a VPN gateway with point-to-site clients.
func (e *Estate) Gateway(subscription, name, vnet string, pool ...string) string {
	id := "/subscriptions/" + subscription + "/resourceGroups/rg/providers/Microsoft.Network/virtualNetworkGateways/" + name
	subnet := map[string]any{"subnet": map[string]any{"id": vnet + "/subnets/GatewaySubnet"}}
	e.Put(id, "microsoft.network/virtualnetworkgateways", "westeurope", map[string]any{
		"ipConfigurations":       []any{map[string]any{"properties": subnet}},
		"vpnClientConfiguration": map[string]any{"vpnClientAddressPool": map[string]any{"addressPrefixes": pool}},
	})
	return id
}

func zoneID(subscription, zone string) string {
	return "/subscriptions/" + subscription + "/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/" + zone
}

// Link links a private zone to a VNet. The policy is Default or NxDomainRedirect.
func (e *Estate) Link(subscription, zone, vnet, policy string) string {
	id := zoneID(subscription, zone) + "/virtualNetworkLinks/to-" + vnet[strings.LastIndexByte(vnet, '/')+1:]
	e.Put(id, "microsoft.network/privatednszones/virtualnetworklinks", "global", map[string]any{
		"virtualNetwork": map[string]any{"id": vnet}, "registrationEnabled": false,
		"resolutionPolicy": policy, "virtualNetworkLinkState": "Completed",
	})
	return id
}

// Record adds a record set: addresses of one family, or one name that it is an alias of.
func (e *Estate) Record(subscription, zone, name string, values ...string) string {
	kind, records := "A", make([]any, 0, len(values))
	for _, value := range values {
		addr, err := netip.ParseAddr(value)
		switch {
		case err != nil:
			kind = "CNAME"
			records = append(records, map[string]any{"cname": value})
		case addr.Is4():
			records = append(records, map[string]any{"ipv4Address": value})
		default:
			kind = "AAAA"
			records = append(records, map[string]any{"ipv6Address": value})
		}
	}
	id := zoneID(subscription, zone) + "/" + kind + "/" + name
	e.Put(id, "microsoft.network/privatednszones/"+strings.ToLower(kind), "global", map[string]any{
		"fqdn": strings.TrimPrefix(name, "@.") + "." + zone + ".", "ttl": 10, "records": records,
	})
	return id
}

// Wrote says that a record set was written by the zone group of an endpoint.
func (e *Estate) Wrote(endpoint, record string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	name := endpoint[strings.LastIndexByte(endpoint, '/')+1:]
	e.resources[strings.ToLower(record)]["properties"].(map[string]any)["metadata"] = map[string]any{
		"creator": "created by private endpoint " + name + " with resource guid " + Tenant,
	}
}

// find are the resources that a query finds, by id.
func (e *Estate) find(q query, r request) []map[string]any {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	readable := func(subscription string) bool {
		inScope := len(r.ManagementGroups) > 0 || slices.Contains(r.Subscriptions, subscription)
		return inScope && !e.hidden[subscription]
	}
	var found []map[string]any
	if q.table == "resourcecontainers" {
		for id, name := range e.names {
			if readable(id) {
				row := map[string]any{"id": "/subscriptions/" + id, "name": name, "subscriptionId": id, "tenantId": e.tenantID}
				found = append(found, row)
			}
		}
	} else {
		for _, resource := range e.resources {
			kind := resource["type"].(string)
			id := strings.ToLower(resource["id"].(string))
			subscription, _, _ := strings.Cut(strings.TrimPrefix(id, "/subscriptions/"), "/")
			isRecord := strings.HasPrefix(kind, "microsoft.network/privatednszones/") && !strings.HasSuffix(kind, "links")
			if slices.Contains(q.types, kind) && !e.blind[kind] && isRecord == (q.table == "dnsresources") && readable(subscription) {
				found = append(found, resource)
			}
		}
	}
	slices.SortFunc(found, func(a, b map[string]any) int { return cmp.Compare(a["id"].(string), b["id"].(string)) })
	return found
}
