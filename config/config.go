package config

import (
	"crypto/x509"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pldns/zones"
	"pldns/zones/azure"
	"pldns/zones/policy"
)

// Config is one configuration: valid, complete, and not changed by anybody.
type Config struct {
	Listen Listen
	TLS    Secure
	Trust  Trust
	Limit  Limit
	// Upstreams are the groups that can be asked, sorted by name. The built-in
	// group "system" is among them when something is forwarded to it.
	Upstreams []Upstream
	// Forward is the top-level forward table, sorted by suffix. It holds the root.
	Forward []Route
	Cache   Cache
	Probe   Probe
	// QueryLog and Dnstap say who is told of single queries.
	QueryLog QueryLog
	Dnstap   Dnstap
	// Shadow says with whom answers are compared.
	Shadow Shadow
	// Traffic says what is kept of traffic.
	Traffic Traffic
	// Clients says what clients are called.
	Clients Clients
	// Log says how the program writes its own log, and OTLP where telemetry is sent; nil
	// for nowhere.
	Log  Log
	OTLP *OTLP
	// Catalogue pairs public names with private ones: what is built in, and the rows
	// that the file adds.
	Catalogue *azure.Catalogue
	// Deadline is the time within which every query is answered.
	Deadline time.Duration
	// Secondary says how zones of others are held as copies, Copies which are, by id.
	Secondary Secondary
	Copies    []Copy
	// Catalogs list further zones that are held as copies; those of all networks come first.
	Catalogs []Catalog
	// PolicyZones are the policies that are taken from primaries.
	PolicyZones []PolicyZone
	// Keys sign what is transferred, sorted by name. Transfers say who may take zones, by
	// network and zone.
	Keys      []Key
	Transfers []Transfer
	// Networks are sorted by name.
	Networks []Network
	// Table says who sees which records: what [zones.Build] made of the networks.
	Table *zones.Table
	// Azure are the tenants that endpoints are learned from, sorted by name.
	Azure []Azure
	// Store is where the configuration that a fleet shares is; nil for nowhere. Release
	// is what of it is in this configuration; nil where there is none yet.
	Store   *Store
	Release *Release
	// Files are the files that were read, the main one first.
	Files []string
	// Warnings are what is probably not meant, in the order of files and lines.
	Warnings Problems
	// Patterns are what the key files says, as [filepath.Glob] takes it: files that
	// match them later belong to the configuration too.
	Patterns []string

	lines lines
}

// Listen holds the local addresses that are opened.
type Listen struct {
	// DNS are for UDP and TCP. The address [::] stands for every local address of
	// both families, 0.0.0.0 for every IPv4 address. Port 0 lets the system choose.
	DNS []netip.AddrPort
	// DoT are for DNS over TLS (RFC 7858), DoH for DNS over HTTPS (RFC 8484), in the
	// same form.
	DoT, DoH []netip.AddrPort
	// DoQ are for DNS over QUIC (RFC 9250), which is UDP, in the same form.
	DoQ []netip.AddrPort
	// H3 says that DoH is spoken over HTTP/3, too: at the ports of DoH over UDP.
	H3 bool
	// Admin is for HTTP, for operators. The zero value says that it is off.
	Admin netip.AddrPort
	// AdminToken is what whoever changes something over Admin must know, and
	// AdminTokenFile where it stands; empty when nobody may. An Admin that is no
	// loopback address has one.
	AdminToken, AdminTokenFile string
	// AdminHosts are the names that Admin is called by, in canonical form, besides
	// IP addresses and localhost.
	AdminHosts []string
	// Identity is what clients who ask are told that this server is called, and Version
	// says that they are told which program it runs. Empty and false tell nothing.
	Identity string
	Version  bool
	// Designated are where clients reach DoT and DoH, for networks that say nothing else.
	// Nil stands for the address that a client has asked; empty tells nobody of them.
	Designated []netip.Addr
}

// All are the addresses at which queries arrive, over whatever.
func (l Listen) All() []netip.AddrPort { return slices.Concat(l.DNS, l.DoT, l.DoH, l.DoQ) }

// Trust says who may say that somebody else asks.
type Trust struct {
	// ClientSubnet are forwarders, whose EDNS client subnet (RFC 7871) is the client.
	ClientSubnet []netip.Prefix
	// ProxyProtocol are load balancers, whose PROXY header names the client.
	ProxyProtocol []netip.Prefix
}

// Upstream is a named group of servers.
type Upstream struct {
	Name    string
	Servers []Server // at least one
	// Policy is how the group chooses among them: "ordered", "fastest" or "spread".
	Policy string
	// MaxQPS is how many queries a second the group is asked at most; 0 is no limit.
	MaxQPS float64
}

// Server is one server of a group.
type Server struct {
	// Text is the server as the operator wrote it, for messages and metrics.
	Text string
	// System says that the servers of the operating system are meant. Nothing else
	// is set then, and who serves looks them up.
	System bool
	// Transport is "udp", which takes TCP for what is truncated, "tcp", "tls" (RFC 7858),
	// "https" (RFC 8484), "quic" (RFC 9250) or "h3" (RFC 8484 over HTTP/3).
	Transport string
	// Addr is where the server is. It is the zero value for a server whose URL holds a
	// name.
	Addr netip.AddrPort
	// Name is what the certificate must be for: of a TLS or QUIC server, the name given
	// after "#", and the address when it is empty; of one with a URL, the URL's host.
	Name string
	// URL is where an HTTPS server is asked, or one over HTTP/3; it begins with https://.
	URL string
	// Bootstrap are the addresses of the name in URL, so that nobody needs to be
	// asked where the server is. Empty where Addr is set.
	Bootstrap []netip.AddrPort
}

// Route says which group is asked about a suffix. The longest suffix wins.
type Route struct {
	Suffix   zones.Name
	Upstream string
}

// Cache bounds what is remembered of upstream answers.
type Cache struct {
	Entries int           // at most so many answers; 0 turns the cache off
	Bytes   int64         // at most so much memory
	Stale   time.Duration // how long an expired answer may stand in for a failing upstream (RFC 8767); 0 turns it off
	// Late is how long after it was asked a question may still be replied to, for the
	// next who asks; at least the deadline.
	Late     time.Duration
	MinTTL   time.Duration // an answer is kept at least so long
	MaxTTL   time.Duration // and at most so long
	Prefetch bool          // whether an answer that is asked often is renewed before it expires
}

// Probe says how the addresses of endpoints are probed.
type Probe struct {
	Interval time.Duration // between two probes of an address
	Timeout  time.Duration // of one probe
	// Fall is how many probes in a row must fail for an address to be unhealthy, and
	// Rise how many must succeed for it to be healthy again.
	Fall, Rise int
	CA         string // the file that Roots has more authorities from; empty for none
	// Roots sign the certificates of endpoints: those of the system and those of CA.
	// Nil stands for those of the system.
	Roots *x509.CertPool
}

// Files are the files that were read.
func (p Probe) Files() []string {
	if p.CA == "" {
		return nil
	}
	return []string{p.CA}
}

// Network is one consumer network with everything that concerns it: shared
// endpoint sets, shared zones and the forward table are merged in.
type Network struct {
	Name string
	// Clients are canonical prefixes. Empty means every client of the listeners.
	Clients []netip.Prefix
	// Listeners are opened by Listen.DNS; [::] stands for every local address.
	Listeners []netip.AddrPort
	// LinkIDs, Certificates, DoHPaths and ServerNames are the other ingresses.
	LinkIDs      []uint32
	Certificates []zones.Name
	DoHPaths     []string
	ServerNames  []zones.Name
	Missing      zones.Missing // Inherit where the file is silent
	// Designated is as in Listen; nil where the file is silent.
	Designated []netip.Addr
	// RequirePrivate are the suffixes whose names have to have private addresses.
	RequirePrivate []zones.Name
	// DNS64 makes IPv6 addresses of those of IPv4; nil makes none.
	DNS64 *zones.DNS64
	// Policies are what names for the outside are held to, in the order in which they
	// count.
	Policies []*policy.Policy
	// Limit is how many queries a second each client is answered over UDP; 0 is no
	// limit.
	Limit int
	// Zones are sorted by name.
	Zones []zones.ZoneSpec
	// Forward is the network's effective forward table, sorted by suffix. It holds
	// the root.
	Forward []Route
	// Sets are the names of the endpoint sets that it includes, in the order of the file.
	Sets []string
	// Azure is what the network learns; nil for nothing.
	Azure *Discovery

	mapped *mappings
}

// Endpoints ranges over the endpoints of the network: its own, sorted by key, those of
// its hosts files, then those of its sets.
func (n *Network) Endpoints() iter.Seq[Endpoint] {
	return func(yield func(Endpoint) bool) {
		for _, e := range n.mapped.all() {
			if !yield(e) {
				return
			}
		}
	}
}

// Spec is the network as [zones.Build] takes it.
func (n *Network) Spec() zones.NetworkSpec {
	spec := zones.NetworkSpec{
		// The name is a part of the file's text, all of which it would keep.
		Name: strings.Clone(n.Name), Clients: n.Clients, Listeners: n.Listeners, Missing: n.Missing, Zones: n.Zones,
		Links: n.LinkIDs, Certificates: n.Certificates, Paths: n.DoHPaths, ServerNames: n.ServerNames,
		Mapped: n.mapped.list, DNS64: n.DNS64, RequirePrivate: n.RequirePrivate,
	}
	spec.LearnsClients = n.Azure != nil && n.Azure.Clients
	for _, route := range n.Forward {
		if !route.Suffix.IsRoot() {
			spec.Routes = append(spec.Routes, route.Suffix)
		}
	}
	return spec
}

// Endpoint is a mapping, and where it is written.
//
// A private name that several public names are aliases of makes one Endpoint for
// each of them. A private name without a public one stands for itself: Name is the
// private name, Private is zero and Zone is its zone.
type Endpoint struct {
	zones.Endpoint
	Place Place
}
