package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"pldns/zones"
)

// Network is a consumer network, as /api/networks shows it.
type Network struct {
	Name      string           `json:"name"`
	Clients   []netip.Prefix   `json:"clients"`
	Listeners []netip.AddrPort `json:"listeners"`
	// LinkIDs, Certificates, DoHPaths and ServerNames are what else it is known by, as
	// the configuration file has them.
	LinkIDs      []uint32 `json:"link_ids,omitempty"`
	Certificates []string `json:"certificates,omitempty"`
	DoHPaths     []string `json:"doh_paths,omitempty"`
	ServerNames  []string `json:"server_names,omitempty"`
	// Sets are the endpoint sets that it includes, and Forward is where what it does not
	// answer goes, by suffix.
	Sets           []string `json:"sets,omitempty"`
	Forward        []Route  `json:"forward,omitempty"`
	RequirePrivate []string `json:"require_private,omitempty"` // suffixes whose names have to have private addresses
	DNS64          string   `json:"dns64,omitempty"`           // prefix of the NAT64 of its clients
	// Policies are what names for the outside are held to, in the order in which they count.
	Policies  []Policy `json:"policies,omitempty"`
	Missing   string   `json:"missing"` // what is done with missing names where the zone says nothing
	Limit     int      `json:"limit"`   // queries a second that each client is answered over UDP; 0 is no limit
	Endpoints int      `json:"endpoints"`
	Probed    int      `json:"probed"`    // endpoints whose addresses are probed
	Unhealthy int      `json:"unhealthy"` // of these, those with an address that is not healthy
	// Unreachable are those of the unhealthy ones that have no healthy address, so that
	// they are answered as if all were well.
	Unreachable int `json:"unreachable"`
	// unhealthySince and unreachableSince are when the first of each became so; zero
	// where there is none, or that is not known.
	unhealthySince, unreachableSince time.Time
}

// Route says which upstream group is asked for the names below a suffix.
type Route struct {
	Suffix   string `json:"suffix"`
	Upstream string `json:"upstream"`
}

// Policy is a response policy, and how many entries it has.
type Policy struct {
	Name    string `json:"name"`
	Entries int    `json:"entries"`
}

// Ingress says in words where queries of the network arrive, and what they show there;
// nothing for a network that is known by its clients alone.
func (n Network) Ingress() []string {
	var all []string
	for _, listener := range n.Listeners {
		all = append(all, "listener "+listener.String())
	}
	for _, id := range n.LinkIDs {
		all = append(all, fmt.Sprint("link id ", id))
	}
	for _, name := range n.Certificates {
		all = append(all, "certificate "+name)
	}
	for _, path := range n.DoHPaths {
		all = append(all, "path "+zones.DoHPath+"/"+path)
	}
	for _, name := range n.ServerNames {
		all = append(all, "server name "+name)
	}
	return all
}

// Path is where the page of the network is.
func (n Network) Path() string { return networkPath(n.Name) }

// Client is an address that the network's queries come from, for examples; it is
// not valid where the network takes every client of its listeners.
func (n Network) Client() netip.Addr {
	if len(n.Clients) == 0 {
		return netip.Addr{}
	}
	prefix := n.Clients[0]
	if next := prefix.Addr().Next(); prefix.Contains(next) {
		return next
	}
	return prefix.Addr()
}

// Endpoint is a mapping of one network, as /api/endpoints shows it.
type Endpoint struct {
	Network   string    `json:"network"`
	Name      string    `json:"name"`
	Private   string    `json:"private_name,omitempty"`
	Addresses []Address `json:"addresses"`
	TTL       uint32    `json:"ttl"`
	Pick      string    `json:"pick"`
	Probe     string    `json:"probe,omitempty"`      // absent: its addresses are not probed
	ProbeName string    `json:"probe_name,omitempty"` // what its certificate must be for, where that is not Name
	Origin    string    `json:"origin,omitempty"`     // file and line, or the resource that it was learned of
}

// Address is an address of an endpoint, and how it is.
type Address struct {
	Address string `json:"address"`
	Health  string `json:"health"`
	// Fault and Since are what is wrong with it and since when, if it is unhealthy.
	Fault string    `json:"fault,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// What is known of an address.
const (
	healthy   = "healthy"
	unhealthy = "unhealthy"
	unprobed  = "not probed"
)

// Endpoints is a part of all endpoints that a search found.
type Endpoints struct {
	window
	Endpoints []Endpoint `json:"endpoints"`
}

// search says which endpoints are wanted.
type search struct {
	Network string // empty for all
	Text    string // part of a name, an address or a prefix; empty for all
	Health  string // healthy, unhealthy or not probed; empty for all
	prefix  netip.Prefix
}

// searchOf reads a search from its parameters.
func searchOf(values url.Values) (search, error) {
	s := search{Network: values.Get("network"), Text: strings.TrimSpace(values.Get("search")), Health: values.Get("health")}
	if s.Health != "" && s.Health != healthy && s.Health != unhealthy && s.Health != unprobed {
		return s, fmt.Errorf("health: write %q, %q or %q", healthy, unhealthy, unprobed)
	}
	if addr, err := netip.ParseAddr(s.Text); err == nil {
		s.prefix = netip.PrefixFrom(addr, addr.BitLen())
	} else if prefix, err := netip.ParsePrefix(s.Text); err == nil {
		s.prefix = prefix
	}
	return s, nil
}

// everything tells whether every endpoint is wanted, its network apart.
func (s search) everything() bool { return s.Text == "" && s.Health == "" }

// finds tells whether an endpoint is wanted, its network and health apart.
func (s search) finds(e zones.Mapping) bool {
	switch {
	case s.Text == "":
		return true
	case s.prefix.IsValid():
		for _, addr := range e.Addresses() {
			if s.prefix.Contains(addr) {
				return true
			}
		}
		return false
	}
	text := strings.ToLower(strings.TrimSuffix(s.Text, "."))
	return strings.Contains(e.Name().String(), text) || strings.Contains(e.Private().String(), text)
}

// health is how an address of an endpoint is.
func (s *Server) health(e zones.Mapping, addr netip.Addr) string {
	switch {
	case e.Probe().IsZero():
		return unprobed
	case s.options.Health.Healthy(zones.Target{Addr: addr, Probe: e.Probe()}):
		return healthy
	default:
		return unhealthy
	}
}

// worst is how an endpoint is: as its address that is worst.
func (s *Server) worst(e zones.Mapping) string {
	worst := healthy
	for _, addr := range e.Addresses() {
		if worst = s.health(e, addr); worst != healthy {
			break
		}
	}
	return worst
}

// endpointsFor looks through all endpoints, and puts only those that are shown
// into words: there may be a million.
func (s *Server) endpointsFor(want search, w window) Endpoints {
	part := Endpoints{Endpoints: make([]Endpoint, 0)}
	for _, f := range s.options.Index().part(&w, want, s.worst) {
		part.Endpoints = append(part.Endpoints, s.endpoint(f))
	}
	part.window = w
	return part
}

func (s *Server) endpoint(f found) Endpoint {
	e := f.endpoint
	name, probe := e.Name(), e.Probe()
	shown := Endpoint{
		Network: f.network, Name: name.String(), Private: e.Private().String(), TTL: e.TTL(), Pick: e.Pick().String(),
		Addresses: make([]Address, 0, len(e.Addresses())),
	}
	if s.options.Origin != nil {
		shown.Origin = s.options.Origin(f.network, name)
	}
	shown.Probe = probe.String()
	if name := probe.Spec().Name; name != e.Name() {
		shown.ProbeName = name.String()
	}
	for _, addr := range e.Addresses() {
		a := Address{Address: addr.String(), Health: s.health(e, addr)}
		if a.Health == unhealthy {
			target := zones.Target{Addr: addr, Probe: e.Probe()}
			a.Fault, a.Since = s.options.Health.Fault(target), s.options.Health.Since(target)
		}
		shown.Addresses = append(shown.Addresses, a)
	}
	return shown
}

// networks gives all networks with the health of their endpoints.
func (s *Server) networks() []Network {
	networks := append([]Network{}, s.options.Networks()...)
	at := make(map[string]*Network, len(networks))
	for i := range networks {
		at[networks[i].Name] = &networks[i]
	}
	for _, indexed := range s.options.Index().networks {
		network := at[indexed.Name()]
		if network == nil {
			continue // a reload came between
		}
		network.Endpoints, network.Probed = indexed.CountEndpoints(), len(indexed.probed())
		for _, e := range indexed.probed() {
			s.count(network, e)
		}
	}
	return networks
}

// count adds an endpoint that is probed to the figures of its network.
func (s *Server) count(n *Network, e zones.Mapping) {
	var first, last time.Time // when an address became unhealthy
	ill := 0
	for _, addr := range e.Addresses() {
		if s.health(e, addr) != unhealthy {
			continue
		}
		ill++
		since := s.options.Health.Since(zones.Target{Addr: addr, Probe: e.Probe()})
		first, last = earlier(first, since), later(last, since)
	}
	if ill == 0 {
		return
	}
	n.Unhealthy++
	n.unhealthySince = earlier(n.unhealthySince, first)
	if ill == len(e.Addresses()) {
		n.Unreachable++
		n.unreachableSince = earlier(n.unreachableSince, last)
	}
}

// listNetworks answers /api/networks with every network.
func (s *Server) listNetworks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.networks())
}

// The sizes of a page of /api/endpoints.
const (
	usualPart = 100
	maxPart   = 1000
)

// listEndpoints answers /api/endpoints[?network=NAME][&search=TEXT][&health=HEALTH]
// [&page=N][&per_page=N] with a part of the endpoints that match, or 400 and
// {"error": ...}. A page past the last one is the last one.
func (s *Server) listEndpoints(w http.ResponseWriter, r *http.Request) {
	want, err := searchOf(r.URL.Query())
	part, err2 := windowOf(r.URL.Query(), usualPart, maxPart)
	if err := errors.Join(err, err2); err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, s.endpointsFor(want, part))
}
