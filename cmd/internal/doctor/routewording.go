package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"pldns/cmd/internal/routes"
	"pldns/cmd/internal/vpn"
)

// addRoute is where a route into the tunnel is written, by client.
const addRoute = "custom routes of the gateway, includeroutes in azurevpnconfig.xml, AllowedIPs of WireGuard, route of OpenVPN"

// leaving says how packets leave.
func leaving(w way) string {
	if errors.Is(w.err, routes.ErrNoRoute) {
		return fmt.Sprintf("the system has no route to %s", w.To)
	}
	device := foreign(w.Interface)
	if w.Local {
		return fmt.Sprintf("%s is an address of this machine, at %s", w.To, device)
	}
	text := fmt.Sprintf("%s leaves by %s (%s", w.To, device, w.Kind)
	if w.Tunnel {
		text += ", a tunnel"
	}
	text += ")"
	if w.Source.IsValid() {
		text += " from " + w.Source.String()
	}
	switch {
	case w.Gateway.IsValid():
		text += " over gateway " + w.Gateway.String()
	case !w.Tunnel:
		text += " on its own link"
	}
	if w.Prefix.IsValid() {
		text += ", by the route " + w.Prefix.String()
	}
	return text
}

// explain says why packets to an address get lost, and what to do.
func (s *seat) explain(cause Cause, w way) (seen, remedy string) {
	switch cause {
	case NoRoute:
		return s.explainNoRoute(w)
	case NoTunnel:
		return "no tunnel is up and no VPN profile was found, so that it is left to the default gateway",
			fmt.Sprintf("connect the VPN (--vpn names its log or profile where it is not found); where the site has a connection to "+
				"Azure, its router needs a route for the endpoint's subnet, and the network there the way back to %s", s.origin(w))
	case TunnelDown:
		return s.wanted(w.To) + ", and no such tunnel is up", "connect the VPN"
	case TunnelSilent:
		return fmt.Sprintf("no peer of %s has ever answered", foreign(w.Interface)),
			"check the peer's endpoint and UDP port, the public keys on both sides, and that no firewall drops UDP on the way"
	case NotAllowed:
		return fmt.Sprintf("no peer of %s has it among its AllowedIPs", foreign(w.Interface)),
			"add the prefix of the endpoint's subnet to AllowedIPs of that peer"
	case RouteNotApplied:
		return s.wanted(w.To) + ", and the system sends it elsewhere",
			fmt.Sprintf("reconnect, with the rights to set routes; then look with %s for a route that is as long or longer and belongs to "+
				"something else", s.listing())
	case PeeringWithoutTransit:
		return s.explainTransit(w)
	case Overlap:
		return s.explainOverlap(w)
	default:
		return s.explainWayBack(w)
	}
}

func (s *seat) explainNoRoute(w way) (seen, remedy string) {
	seen = "a router on the way says that it has none"
	if w.err != nil {
		seen = "nothing is sent"
	}
	if s.server {
		return seen, "give this machine a route to the endpoint's subnet, or peer its network with this one"
	}
	return seen, "connect the VPN, and add the prefix of the endpoint's subnet to its routes: " + addRoute
}

func (s *seat) explainTransit(w way) (seen, remedy string) {
	var carried []string
	for _, t := range s.tunnels() {
		carried = append(carried, fmt.Sprintf("%s: %s", foreign(t.Name), some(t.Routes)))
	}
	seen = fmt.Sprintf("the tunnel has no route to it (%s)", strings.Join(carried, "; "))
	return seen, "where the endpoint's network is peered with that of the gateway, set \"allow gateway transit\" in the peering of the " +
		"gateway's network and \"use remote gateways\" in that of the endpoint's, which then has no gateway of its own; download the " +
		"profile again and reconnect. A gateway with BGP, or with a connection to the other network, may hand out no route to it: add " +
		"one (" + addRoute + "), and the way back to " + s.origin(w) + ". Or make a private endpoint in the gateway's own network, " +
		"which needs no peering"
}

func (s *seat) explainOverlap(w way) (seen, remedy string) {
	network := s.ownNetwork(w)
	seen = fmt.Sprintf("it lies in %s, a network of this machine, so that packets never go to Azure", network)
	if p, by := s.covering(w.To); by.IsValid() && !s.server {
		seen += fmt.Sprintf(", though %s has %s for its tunnel", p.Client.Title(), by)
	}
	other := "give this network another range (at home, in the settings of the router)"
	if w.Kind == routes.Bridge {
		other = fmt.Sprintf("give the containers or virtual machines behind %s another range (default-address-pools of Docker)",
			foreign(w.Interface))
	}
	single := netip.PrefixFrom(w.To, w.To.BitLen())
	if s.server {
		return seen, fmt.Sprintf("where this is not the endpoint's own network: %s, or make the endpoint in a network whose range is used "+
			"only once", other)
	}
	return seen, fmt.Sprintf("where this is not the endpoint's own network: %s; or have the tunnel carry %s, which is longer and wins "+
		"(%s); or make the endpoint in a network whose range is used only once", other, single, addRoute)
}

func (s *seat) explainWayBack(w way) (seen, remedy string) {
	seen = "nothing comes back"
	if other, is := s.answered[exitOf(w)]; is {
		seen += fmt.Sprintf(", while %s answers over the same way", other)
	}
	const filters = "then look at network security groups, firewalls and route tables at the endpoint's subnet"
	source := s.origin(w)
	switch {
	case s.server:
		return seen, fmt.Sprintf("check that the endpoint's network is peered with this one in both directions, or that its gateway knows "+
			"the way back to %s; %s", source, filters)
	case w.Tunnel:
		return seen, fmt.Sprintf("the route into the tunnel is there, so give the endpoint's network the way back to %s: with peering, "+
			"\"allow gateway transit\" at the gateway's network and \"use remote gateways\" at the endpoint's; with a connection "+
			"between gateways, the client pool among the prefixes that the other side sends there (bytes go out and none come in "+
			"until it is); %s", source, filters)
	default:
		return seen, fmt.Sprintf("give the endpoint's network the way back to %s, in the connection between this site and Azure; %s",
			source, filters)
	}
}

// origin is what packets come from, in a sentence.
func (s *seat) origin(w way) string {
	var pools []string
	for _, t := range s.tunnels() {
		for _, own := range t.Addresses {
			if w.Tunnel && own.Addr() == w.Source || !w.Tunnel && !s.server {
				pools = append(pools, own.Masked().String())
			}
		}
	}
	switch {
	case len(pools) > 0 && w.Tunnel && !strings.HasSuffix(pools[0], "/32"):
		return fmt.Sprintf("%s (%s)", w.Source, strings.Join(pools, ", "))
	case len(pools) > 0 && !w.Tunnel:
		return strings.Join(slices.Compact(pools), ", ")
	case w.Source.IsValid():
		return w.Source.String()
	default:
		return "this machine"
	}
}

// wanted says which VPN would carry an address.
func (s *seat) wanted(to netip.Addr) string {
	p, by := s.covering(to)
	if !by.IsValid() {
		p = s.profiles[0]
		return fmt.Sprintf("%s is set up (%s)", p.Client.Title(), p.Origin)
	}
	if p.Assigned {
		return fmt.Sprintf("%s assigned %s to its tunnel (%s)", p.Client.Title(), by, source(p))
	}
	return fmt.Sprintf("%s is to carry %s (%s)", p.Client.Title(), by, p.Origin)
}

// source is where a profile was found, and of which time it is.
func source(p vpn.Profile) string {
	if p.When == "" {
		return p.Origin
	}
	return p.Origin + ", " + p.When
}

// listing is the command that lists routes.
func (s *seat) listing() string {
	switch s.os {
	case "windows":
		return "route print"
	case "darwin":
		return "netstat -rn"
	default:
		return "ip route show table all"
	}
}

// maxListed is how many prefixes a sentence lists.
const maxListed = 8

func some(prefixes []netip.Prefix) string {
	if len(prefixes) == 0 {
		return "no route"
	}
	text := list(prefixes[:min(len(prefixes), maxListed)])
	if more := len(prefixes) - maxListed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// tunnelStep says which tunnels there are, what they carry, and which of it this
// machine looks for in a network of its own.
func (s *seat) tunnelStep() Step {
	step := Step{Name: "tunnel", Verdict: OK}
	var texts []string
	for _, t := range s.tunnels() {
		texts = append(texts, fmt.Sprintf("%s (%s) is up from %s and carries %s", foreign(t.Name), t.Kind, list(addresses(t)),
			some(t.Routes)))
	}
	if len(texts) == 0 {
		step.Verdict = Skipped
		texts = append(texts, "no tunnel to a private network is up")
	}
	for _, p := range s.profiles {
		verb := "has"
		if p.Assigned {
			verb = "was assigned"
		}
		texts = append(texts, fmt.Sprintf("%s %s %s (%s)", p.Client.Title(), verb, some(p.Routes), source(p)))
	}
	step.Seen = strings.Join(texts, "; ")
	if own, of := s.overlap(); own.IsValid() {
		step.Verdict, step.Cause = Note, Overlap
		step.Seen += fmt.Sprintf("; addresses of %s in %s are looked for in a network of this machine, and not in the tunnel", of, own)
		step.Remedy = "give that network another range, if anything in Azure has such an address"
	}
	return step
}

func addresses(i routes.Interface) []netip.Addr {
	var all []netip.Addr
	for _, own := range i.Addresses {
		all = append(all, own.Addr())
	}
	return all
}

// overlap finds a network of this machine inside one that a tunnel carries.
func (s *seat) overlap() (own, of netip.Prefix) {
	for _, t := range s.tunnels() {
		for _, carried := range t.Routes {
			for _, i := range s.interfaces {
				for _, network := range i.Addresses {
					inside := carried.Bits() > 1 && carried.Contains(network.Addr()) && carried.Bits() <= network.Bits()
					if inside && !network.IsSingleIP() && !i.Kind.IsTunnel() && i.Kind != routes.Loopback {
						return network.Masked(), carried
					}
				}
			}
		}
	}
	return netip.Prefix{}, netip.Prefix{}
}
