package azurediscovery

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"pldns/config/azuregraph"
	"pldns/config/azureimport"
	"pldns/zones/azure"
)

// Kind is what a row is about.
type Kind string

// The kinds of row.
const (
	KindEndpoint  Kind = "endpoint"
	KindInterface Kind = "interface"
	KindLink      Kind = "link"
	KindRecord    Kind = "record"
	KindVNet      Kind = "vnet"
	KindGateway   Kind = "gateway"
)

// Listing is what an identity can read, at one time. Once made, it does not change.
type Listing struct {
	Taken         time.Time                `json:"taken"` // when it was complete
	Subscriptions map[string]*Subscription `json:"subscriptions"`
	Rows          map[string]*Row          `json:"rows,omitempty"` // by kind and id
	// Unread are rows of which the shape is not known: what is known of them stays.
	Unread map[string]string `json:"-"` // why, by key
}

// Subscription is a subscription that the identity can read, or could.
type Subscription struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	Tenant string    `json:"tenant"`
	Seen   time.Time `json:"seen"`
	// Gone is when a listing first lacked it; zero while it is there.
	Gone time.Time `json:"gone,omitzero"`
}

// Row is one resource. One of the pointers is set.
type Row struct {
	Kind  Kind      `json:"kind"`
	ID    string    `json:"id"`
	Seen  time.Time `json:"seen,omitzero"` // when it was last in a listing as it stands here; zero if it is in this one
	Since time.Time `json:"since"`         // since when its state is what it is
	// Missed is how many complete listings in a row lacked it, or lacked something that
	// it tells. Why says what they said instead.
	Missed int    `json:"missed,omitempty"`
	Why    string `json:"why,omitempty"`
	// Held says that it would be gone, and waits for an operator; Accepted that one has
	// agreed.
	Held     bool `json:"held,omitempty"`
	Accepted bool `json:"accepted,omitempty"`

	Endpoint  *Endpoint              `json:"endpoint,omitempty"`
	Interface *azureimport.Interface `json:"interface,omitempty"`
	Link      *azureimport.VNetLink  `json:"link,omitempty"`
	Record    *azureimport.Record    `json:"record,omitempty"`
	VNet      *VNet                  `json:"vnet,omitempty"`
	Gateway   *Gateway               `json:"gateway,omitempty"`

	known string // its key; empty where nobody has made one
}

// key is what a listing has the row by.
func (r *Row) key() string {
	if r.known == "" {
		return key(r.Kind, r.ID)
	}
	return r.known
}

// isListed tells whether the row is in its listing as it stands here.
func (r *Row) isListed() bool {
	return r.Seen.IsZero() && r.Missed == 0 && r.Why == "" && !r.Held && !r.Accepted
}

// sameFacts tells whether two rows of one resource say the same of it.
func (r *Row) sameFacts(other *Row) bool {
	return r == other || r.ID == other.ID &&
		reflect.DeepEqual(r.Endpoint, other.Endpoint) && reflect.DeepEqual(r.Interface, other.Interface) &&
		reflect.DeepEqual(r.Link, other.Link) && reflect.DeepEqual(r.Record, other.Record) &&
		reflect.DeepEqual(r.VNet, other.VNet) && reflect.DeepEqual(r.Gateway, other.Gateway)
}

// Endpoint is a private endpoint and what its tag "pldns" says.
type Endpoint struct {
	azureimport.PrivateEndpoint
	Tag string `json:",omitempty"`
}

// VNet is a virtual network.
type VNet struct {
	Location string         `json:"location"`
	Prefixes []netip.Prefix `json:"prefixes"`
	Peers    []Peer         `json:"peers,omitempty"`
}

// Peer is a VNet that is peered with another, and connected.
type Peer struct {
	ID       string         `json:"id"` // in lower case
	Prefixes []netip.Prefix `json:"prefixes"`
}

// Gateway is a VPN gateway.
type Gateway struct {
	VNet string         `json:"vnet"` // id in lower case
	Pool []netip.Prefix `json:"pool"` // of its point-to-site clients
}

// key is what a row is known by.
func key(kind Kind, id string) string { return string(kind) + " " + strings.ToLower(id) }

// SubscriptionOf is the subscription that a resource is in, in lower case; empty where it
// has none.
func SubscriptionOf(id string) string {
	rest, is := strings.CutPrefix(strings.ToLower(id), "/subscriptions/")
	if !is {
		return ""
	}
	subscription, _, _ := strings.Cut(rest, "/")
	return subscription
}

// vnetOf is the id, in lower case, of the VNet of a subnet.
func vnetOf(subnet string) string {
	vnet, _, _ := strings.Cut(strings.ToLower(subnet), "/subnets/")
	return vnet
}

// Asker gives the rows of a query to a reader, all of them or an error. Again is called
// before the first one, and whenever what was given is to be forgotten.
// [azuregraph.Client] is one.
type Asker interface {
	List(ctx context.Context, query string, scope azuregraph.Scope, again func(), row func(map[string]any) error) error
}

// The queries. They use nothing but the type of resources, plain paths and an order, so
// that whatever reads these can stand in for Resource Graph; and no mv-expand, of which
// the default limit loses rows. Every one has the column id, which paging needs.
const (
	querySubscriptions = `resourcecontainers | where type =~ 'microsoft.resources/subscriptions' ` +
		`| project id, name, tenantId, subscriptionId | order by id asc`
	queryInterfaces = `resources | where type =~ 'microsoft.network/networkinterfaces' ` +
		`| project id, location, peId = properties.privateEndpoint.id, ipc = properties.ipConfigurations | order by id asc`
	queryEndpoints = `resources | where type =~ 'microsoft.network/privateendpoints' ` +
		`| project id, location, tags, subnet = properties.subnet.id, psc = properties.privateLinkServiceConnections, ` +
		`mpsc = properties.manualPrivateLinkServiceConnections, state = properties.provisioningState, ` +
		`custom = properties.customDnsConfigs ` +
		`| order by id asc`
	queryLinks = `resources | where type =~ 'microsoft.network/privatednszones/virtualnetworklinks' ` +
		`| project id, vnet = properties.virtualNetwork.id, policy = properties.resolutionPolicy, reg = properties.registrationEnabled ` +
		`| order by id asc`
	queryRecords = `dnsresources | where type in~ ('microsoft.network/privatednszones/a', 'microsoft.network/privatednszones/aaaa', ` +
		`'microsoft.network/privatednszones/cname') | project id, name, type, properties | order by id asc`
	queryVNets = `resources | where type =~ 'microsoft.network/virtualnetworks' ` +
		`| project id, location, prefixes = properties.addressSpace.addressPrefixes, peerings = properties.virtualNetworkPeerings ` +
		`| order by id asc`
	queryGateways = `resources | where type =~ 'microsoft.network/virtualnetworkgateways' ` +
		`| project id, ipc = properties.ipConfigurations, pool = properties.vpnClientConfiguration.vpnClientAddressPool.addressPrefixes ` +
		`| order by id asc`
)

// reader makes a listing of rows, one query after another. It holds few rows as they
// came, and shares with the listing before what is the same: an estate of many endpoints
// is large, and hardly changes.
type reader struct {
	*Listing
	before map[string]*Row // rows of the listing before
	source string
	export *azureimport.Export // of the newest rows of the present query
	held   int                 // how many rows it has
	fresh  []*Row              // of the present query
	unread map[string]string   // of it
	tags   map[string]string   // of the endpoints in export, by id in lower case
	texts  map[string]string   // what many rows say, by itself
}

// mostHeld is how many rows are held as they came.
const mostHeld = 200

// again forgets what was read of the present query.
func (r *reader) again() {
	r.fresh, r.unread = nil, make(map[string]string)
	_ = r.take()
}

// take gives the rows that are held as they came, and lets go of them.
func (r *reader) take() azureimport.Inventory {
	r.held = 0
	return r.export.Take()
}

// List lists all that an identity can read in scopes, as of now. A listing is complete,
// or there is an error. What the listing before says as well is shared with it; nil where
// there was none.
func List(ctx context.Context, ask Asker, source string, scopes []string, before *Listing, now func() time.Time) (*Listing, error) {
	r := &reader{
		Listing: &Listing{Subscriptions: make(map[string]*Subscription), Rows: make(map[string]*Row), Unread: make(map[string]string)},
		export:  azureimport.NewExport(azureimport.Options{Catalogue: azure.New()}), source: source,
		tags: make(map[string]string), texts: make(map[string]string),
	}
	if before != nil {
		r.before = before.Rows
	}
	if err := r.subscriptions(ctx, ask, scopes); err != nil {
		return nil, err
	}
	readable := slices.Sorted(maps.Keys(r.Subscriptions))
	for batch := range slices.Chunk(readable, azuregraph.MostSubscriptions) {
		for _, q := range []struct {
			text, what string
			read       func(row map[string]any) error
		}{
			// Interfaces after endpoints, so that an endpoint in the making has none
			// rather than an interface without an endpoint.
			{queryEndpoints, "private endpoints", r.endpoint}, {queryInterfaces, "network interfaces", r.nic},
			{queryLinks, "links of private zones", r.link}, {queryRecords, "record sets", r.record},
			{queryVNets, "VNets", r.vnet}, {queryGateways, "VPN gateways", r.gateway},
		} {
			if err := ask.List(ctx, q.text, azuregraph.Scope{Subscriptions: batch}, r.again, q.read); err != nil {
				return nil, fmt.Errorf("list %s: %w", q.what, err)
			}
			r.enter()
		}
	}
	r.Taken = now()
	for id, row := range r.Rows {
		if row != r.before[id] {
			row.Since = r.Taken
		}
	}
	for _, s := range r.Subscriptions {
		s.Seen = r.Taken
	}
	return r.Listing, nil
}

// subscriptions learns which subscriptions the identity can read.
func (r *reader) subscriptions(ctx context.Context, ask Asker, scopes []string) error {
	var all azuregraph.Scope
	for _, scope := range scopes {
		if id, is := strings.CutPrefix(scope, "/subscriptions/"); is {
			all.Subscriptions = append(all.Subscriptions, id)
		} else {
			all.Groups = append(all.Groups, scope[strings.LastIndexByte(scope, '/')+1:])
		}
	}
	var parts []azuregraph.Scope
	for batch := range slices.Chunk(all.Subscriptions, azuregraph.MostSubscriptions) {
		parts = append(parts, azuregraph.Scope{Subscriptions: batch})
	}
	for _, group := range all.Groups {
		parts = append(parts, azuregraph.Scope{Groups: []string{group}})
	}
	for _, part := range parts {
		var found []*Subscription
		err := ask.List(ctx, querySubscriptions, part, func() { found = nil }, func(row map[string]any) error {
			s := &Subscription{Name: text(row, "name"), Tenant: strings.ToLower(text(row, "tenantId"))}
			s.ID = cmp.Or(strings.ToLower(text(row, "subscriptionId")), SubscriptionOf(text(row, "id")))
			if s.ID == "" {
				return errors.New("a row does not tell which one it is")
			}
			found = append(found, s)
			return nil
		})
		if err != nil {
			return fmt.Errorf("list subscriptions: %w", err)
		}
		for _, s := range found {
			r.Subscriptions[s.ID] = s
		}
	}
	return nil
}

func text(row map[string]any, key string) string {
	value, _ := row[key].(string)
	return value
}

// row has the import's reader read a row. One of a shape that is not known says nothing
// new, and nothing that is known is dropped for it.
func (r *reader) row(kind Kind, row map[string]any) {
	if err := r.export.Row(r.source, row); err != nil {
		r.unread[key(kind, text(row, "id"))] = err.Error()
	}
	if r.held++; r.held == mostHeld {
		r.convert()
	}
}

func (r *reader) endpoint(row map[string]any) error {
	tags, _ := row["tags"].(map[string]any)
	for name, value := range tags {
		if strings.EqualFold(name, "pldns") {
			r.tags[strings.ToLower(text(row, "id"))], _ = value.(string)
		}
	}
	r.row(KindEndpoint, row)
	return nil
}

// nic reads a network interface. Those of machines are of no interest.
func (r *reader) nic(row map[string]any) error {
	if text(row, "peId") != "" {
		r.row(KindInterface, row)
	}
	return nil
}

func (r *reader) link(row map[string]any) error {
	if text(row, "vnet") == "" {
		r.unread[key(KindLink, text(row, "id"))] = "it does not tell its VNet"
		return nil
	}
	properties := map[string]any{
		"virtualNetwork": map[string]any{"id": row["vnet"]}, "registrationEnabled": row["reg"], "resolutionPolicy": row["policy"],
	}
	const kind = "microsoft.network/privatednszones/virtualnetworklinks"
	r.row(KindLink, map[string]any{"id": row["id"], "type": kind, "properties": properties})
	return nil
}

func (r *reader) record(row map[string]any) error {
	r.row(KindRecord, row)
	return nil
}

// plain is a row in the shape that into has.
func plain(row map[string]any, into any) error {
	data, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

func (r *reader) vnet(row map[string]any) error {
	var read struct {
		ID, Location string
		Prefixes     []netip.Prefix
		Peerings     []struct {
			Properties struct {
				PeeringState         string
				RemoteVirtualNetwork struct{ ID string }
				RemoteAddressSpace   struct{ AddressPrefixes []netip.Prefix }
			}
		}
	}
	if err := plain(row, &read); err != nil {
		r.unread[key(KindVNet, text(row, "id"))] = "it is no VNet: " + err.Error()
		return nil
	}
	v := &VNet{Location: read.Location, Prefixes: read.Prefixes}
	for _, p := range read.Peerings {
		if strings.EqualFold(p.Properties.PeeringState, "Connected") {
			remote := strings.ToLower(p.Properties.RemoteVirtualNetwork.ID)
			v.Peers = append(v.Peers, Peer{remote, p.Properties.RemoteAddressSpace.AddressPrefixes})
		}
	}
	r.add(&Row{Kind: KindVNet, ID: read.ID, VNet: v})
	return nil
}

func (r *reader) gateway(row map[string]any) error {
	var read struct {
		ID  string
		IPC []struct {
			Properties struct{ Subnet struct{ ID string } }
		}
		Pool []netip.Prefix
	}
	if err := plain(row, &read); err != nil {
		r.unread[key(KindGateway, text(row, "id"))] = "it is no gateway: " + err.Error()
		return nil
	}
	g := &Gateway{Pool: read.Pool}
	for _, c := range read.IPC {
		g.VNet = vnetOf(c.Properties.Subnet.ID)
	}
	r.add(&Row{Kind: KindGateway, ID: read.ID, Gateway: g})
	return nil
}

// add adds a row of the present query, or what the listing before has of it.
func (r *reader) add(row *Row) {
	row.known = key(row.Kind, row.ID)
	old := r.before[row.known]
	switch {
	case old == nil || !old.sameFacts(row):
	case old.isListed():
		row = old
	default:
		row = &Row{
			Kind: old.Kind, ID: old.ID, known: old.key(), Endpoint: old.Endpoint, Interface: old.Interface, Link: old.Link,
			Record: old.Record, VNet: old.VNet, Gateway: old.Gateway,
		}
	}
	r.fresh = append(r.fresh, row)
}

// one is a text, which is held once however many rows say it.
func (r *reader) one(text *string) {
	known, is := r.texts[*text]
	if !is {
		known = *text
		r.texts[known] = known
	}
	*text = known
}

// convert makes rows of what is held.
func (r *reader) convert() {
	inventory := r.take()
	for _, p := range inventory.Endpoints {
		p.InterfaceIDs = nil // interfaces tell their endpoint
		r.one(&p.Location)
		r.one(&p.SubnetID)
		r.one(&p.Provisioning)
		for i := range p.Connections {
			r.one(&p.Connections[i].Status)
			for j := range p.Connections[i].Groups {
				r.one(&p.Connections[i].Groups[j])
			}
		}
		r.add(&Row{Kind: KindEndpoint, ID: p.ID, Endpoint: &Endpoint{p, r.tags[strings.ToLower(p.ID)]}})
	}
	for _, n := range inventory.Interfaces {
		if endpoint := r.Rows[key(KindEndpoint, n.EndpointID)]; endpoint != nil && endpoint.ID == n.EndpointID {
			n.EndpointID = endpoint.ID // one text for both
		}
		r.one(&n.Location)
		r.one(&n.SubnetID)
		for i := range n.Configurations {
			r.one(&n.Configurations[i].Group)
			r.one(&n.Configurations[i].Member)
		}
		r.add(&Row{Kind: KindInterface, ID: n.ID, Interface: &n})
	}
	for _, l := range inventory.Links {
		r.one(&l.VNetID)
		r.one(&l.Resolution)
		r.one(&l.State)
		r.add(&Row{Kind: KindLink, ID: l.ID, Link: &l})
	}
	for _, record := range inventory.Records {
		r.one(&record.ZoneID)
		r.one(&record.Zone)
		r.add(&Row{Kind: KindRecord, ID: record.ID, Record: &record})
	}
	clear(r.tags)
}

// enter enters what the present query gave.
func (r *reader) enter() {
	r.convert()
	for _, row := range r.fresh {
		r.Rows[row.key()] = row
	}
	maps.Copy(r.Unread, r.unread)
}
