package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"pldns/cmd/internal/routes"
	"pldns/cmd/internal/vpn"
)

// RouteTable is what the operating system does with packets. [routes.System] is the
// one of this machine.
type RouteTable interface {
	// Lookup tells how packets to an address leave; it fails with routes.ErrNoRoute
	// where they do not.
	Lookup(to netip.Addr) (routes.Route, error)
	// Interfaces are those that are up; it fails where the system does not say.
	Interfaces() ([]routes.Interface, error)
}

// Cause is why packets to a private address, or those that come back, get lost. The
// names are for programs, and stay.
type Cause string

// The causes.
const (
	// NoRoute: the system, or a router on the way, has no route to the address.
	NoRoute Cause = "no-route"
	// NoTunnel: no VPN is known here, and the address is left to the default gateway.
	NoTunnel Cause = "no-tunnel"
	// TunnelDown: the VPN that would carry the address is not connected.
	TunnelDown Cause = "tunnel-down"
	// TunnelSilent: the other end of the tunnel never answered.
	TunnelSilent Cause = "tunnel-silent"
	// RouteNotApplied: the VPN client has a route into the tunnel, and the system
	// sends the packets elsewhere.
	RouteNotApplied Cause = "route-not-applied"
	// NotAllowed: the route leads into WireGuard, whose AllowedIPs lack the address.
	NotAllowed Cause = "not-in-allowed-ips"
	// PeeringWithoutTransit: the gateway handed out routes, but none to the network of
	// the address, as if that were peered without gateway transit.
	PeeringWithoutTransit Cause = "peering-without-transit"
	// WayBackMissing: packets leave by the right way, and none comes back.
	WayBackMissing Cause = "way-back-missing"
	// Overlap: the address lies in a network that this machine is plugged into, and
	// which is not that of the endpoint.
	Overlap Cause = "overlap"
)

// outcome is what came of a connection.
type outcome int

const (
	reached     outcome = iota // the right one answers, as far as can be told
	stranger                   // something answers, with another certificate or none
	refused                    // something answers, and listens not there
	silent                     // nothing comes back
	unreachable                // something says that there is no route
	notAllowed                 // WireGuard has no peer for it
	unclear                    // it says nothing about the way
)

// way is how packets to one address leave.
type way struct {
	routes.Route
	err error
}

// seat is the machine that connects, with what is known of its ways.
type seat struct {
	table      RouteTable // nil where routes are not looked at
	interfaces []routes.Interface
	profiles   []vpn.Profile
	os         string // by its GOOS
	server     bool   // it is that of the server, not of a client
	// answered are addresses from which something came back, by the way there.
	answered map[exit]netip.AddrPort
}

// exit is where packets leave.
type exit struct {
	device  string
	gateway netip.Addr
}

func exitOf(w way) exit { return exit{w.Interface, w.Gateway} }

// newSeat looks at the interfaces once.
func newSeat(table RouteTable, profiles []vpn.Profile, goos string, server bool) *seat {
	s := &seat{table: table, profiles: profiles, os: goos, server: server, answered: make(map[exit]netip.AddrPort)}
	if table != nil {
		s.interfaces, _ = table.Interfaces() // without them, the route itself is told
	}
	return s
}

// to is the way to an address.
func (s *seat) to(addr netip.Addr) way {
	route, err := s.table.Lookup(addr)
	route.To = addr
	return way{route, err}
}

// heard remembers that something came back from an address.
func (s *seat) heard(w way, from netip.AddrPort) {
	if w.err == nil && !s.answered[exitOf(w)].IsValid() {
		s.answered[exitOf(w)] = from
	}
}

// tunnels are the interfaces into which this machine sends what goes to private
// networks, or everything; one that carries only addresses of its own kind, as those
// of mesh networks do, is nothing that a gateway of Azure hands out routes for.
func (s *seat) tunnels() []routes.Interface {
	return slices.DeleteFunc(slices.Clone(s.interfaces), func(i routes.Interface) bool {
		return !i.Kind.IsTunnel() || !slices.ContainsFunc(i.Routes, isForNetworks)
	})
}

// isForNetworks tells whether a route is for private networks, or for everything.
func isForNetworks(prefix netip.Prefix) bool {
	return prefix.Bits() <= 1 || prefix.Addr().IsPrivate()
}

// covering is the profile that would have an address in its tunnel, and by which route;
// one whose tunnel is up comes first. A route for everything counts only where no other
// covers it.
func (s *seat) covering(addr netip.Addr) (best vpn.Profile, by netip.Prefix) {
	for _, p := range s.profiles {
		prefix, covers := p.Covers(addr)
		better := !by.IsValid() || s.isUp(p) && !s.isUp(best) || s.isUp(p) == s.isUp(best) && prefix.Bits() > by.Bits()
		if covers && better {
			best, by = p, prefix
		}
	}
	return best, by
}

// isUp tells whether the tunnel of a profile is up: an interface has its address, or
// its name; a profile that names neither may belong to any tunnel.
func (s *seat) isUp(p vpn.Profile) bool {
	if len(p.Addresses) == 0 && p.Interface == "" {
		return len(s.tunnels()) > 0
	}
	return slices.ContainsFunc(s.interfaces, func(i routes.Interface) bool {
		return i.Kind.IsTunnel() && i.Name == p.Interface || slices.ContainsFunc(i.Addresses, func(own netip.Prefix) bool {
			return slices.Contains(p.Addresses, own.Addr())
		})
	})
}

// wireguardOf is the state that wg shows of an interface.
func (s *seat) wireguardOf(device string) (vpn.Profile, bool) {
	i := slices.IndexFunc(s.profiles, func(p vpn.Profile) bool {
		return p.Client == vpn.WireGuard && p.Assigned && p.Interface == device
	})
	if i < 0 {
		return vpn.Profile{}, false
	}
	return s.profiles[i], true
}

// ownNetwork is the network of an interface that an address lies in.
func (s *seat) ownNetwork(w way) netip.Prefix {
	for _, i := range s.interfaces {
		for _, own := range i.Addresses {
			if i.Name == w.Interface && own.Contains(w.To) {
				return own.Masked()
			}
		}
	}
	return w.Prefix
}

// isOutward tells whether the machine reaches everything else by the interface of a way.
func (s *seat) isOutward(w way) bool {
	return slices.ContainsFunc(s.interfaces, func(i routes.Interface) bool {
		return i.Name == w.Interface && slices.ContainsFunc(i.Routes, func(p netip.Prefix) bool { return p.Bits() == 0 })
	})
}

// cause is why packets to an address got lost, if its way is the reason; empty if it
// is not.
func (s *seat) cause(w way, came outcome) Cause {
	switch {
	case errors.Is(w.err, routes.ErrNoRoute):
		return s.absent(w.To, NoRoute)
	case w.err != nil, came == reached, came == unclear:
		return ""
	case w.OnLink():
		return s.onLink(w, came)
	case w.Kind == routes.Loopback:
		return ""
	case w.Tunnel:
		return s.inTunnel(w, came)
	case !w.IsDefault() && (came == stranger || came == refused):
		return "" // somebody meant this route, and something comes back
	case !s.server && s.isForVPN(w):
		return s.absent(w.To, WayBackMissing)
	case came == unreachable:
		return NoRoute
	case came != silent:
		return ""
	case !s.server && w.IsDefault():
		return NoTunnel
	default:
		return WayBackMissing
	}
}

// isForVPN tells whether a way over a gateway should have led into a tunnel: one would
// carry the address, or there are tunnels and nothing but the default gateway for it.
func (s *seat) isForVPN(w way) bool {
	_, by := s.covering(w.To)
	return by.IsValid() || w.IsDefault() && (len(s.tunnels()) > 0 || len(s.profiles) > 0)
}

// absent is the cause of a route that should lead into a tunnel and does not.
func (s *seat) absent(to netip.Addr, otherwise Cause) Cause {
	if s.server {
		return otherwise
	}
	p, by := s.covering(to)
	switch {
	case by.IsValid() && s.isUp(p):
		return RouteNotApplied
	case by.IsValid(), len(s.tunnels()) == 0 && len(s.profiles) > 0:
		return TunnelDown
	case len(s.tunnels()) > 0:
		return PeeringWithoutTransit
	default:
		return otherwise
	}
}

// onLink is the cause where an address was looked for on a link. At the server its own
// subnet may be that of the endpoint, and at a client without a VPN, too, if something
// answers.
func (s *seat) onLink(w way, came outcome) Cause {
	own := w.Kind != routes.Bridge && !w.Local
	answers := came == stranger || came == refused
	if own && (s.server && s.isOutward(w) || !s.server && answers && len(s.tunnels()) == 0 && len(s.profiles) == 0) {
		return ""
	}
	return Overlap
}

// inTunnel is the cause where an address was looked for in a tunnel.
func (s *seat) inTunnel(w way, came outcome) Cause {
	shown, is := s.wireguardOf(w.Interface)
	_, allowed := shown.Covers(w.To)
	switch {
	case came == notAllowed, came == silent && is && !allowed:
		return NotAllowed
	case came == silent && is && shown.Silent:
		return TunnelSilent
	case came == silent:
		return WayBackMissing
	case came == unreachable:
		return NoRoute
	default:
		return ""
	}
}

// step is the way to an address as a step, with what came of the connection.
func (s *seat) step(w way, to netip.AddrPort, came outcome) Step {
	step := Step{Name: "route", Verdict: OK, Addresses: []netip.Addr{to.Addr()}, Cause: s.cause(w, came)}
	if w.err == nil {
		step.Route = &w.Route
	} else if !errors.Is(w.err, routes.ErrNoRoute) {
		step.Verdict, step.Seen = Note, fmt.Sprintf("the system does not say how %s leaves: %s", to.Addr(), foreign(w.err.Error()))
		return step
	}
	step.Seen = leaving(w)
	if step.Cause != "" {
		seen, remedy := s.explain(step.Cause, w)
		step.Verdict, step.Remedy = Fail, remedy
		step.Seen += ": " + seen
	}
	return step
}

// walk finds the way to every address that was visited.
func (s *seat) walk(visits []*visit) {
	if s.table == nil {
		return
	}
	known := make(map[netip.Addr]way)
	for _, v := range visits {
		w, is := known[v.to.Addr()]
		if !is {
			w = s.to(v.to.Addr())
			known[v.to.Addr()] = w
		}
		v.way = w
		if v.came().answers() {
			s.heard(w, v.to)
		}
	}
}

// tell puts the way to an address into a result, and that it is the reason if it is.
func (s *seat) tell(r *Result, v *visit) {
	step := s.step(v.way, v.to, v.came())
	r.Route, r.Cause = step.Route, step.Cause
	if r.Cause == "" {
		return
	}
	r.Verdict, r.Remedy = Fail, clean(step.Remedy, maxText)
	r.Seen = clean(r.Seen+"; "+step.Seen, maxText)
}
