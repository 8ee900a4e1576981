package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"pldns/zones"
)

// connect looks at the way to the private addresses, connects to them, and looks at
// the certificates there.
func (e *examination) connect(ctx context.Context) {
	seat := newSeat(e.Routes, e.Profiles, e.OS, false)
	addrs := e.reachable()
	ways := e.ways(seat, addrs[:min(len(addrs), maxAddresses)])
	if len(addrs) == 0 {
		names := []string{"connect", "certificate"}
		if e.Routes != nil {
			names = slices.Insert(names, 0, "route")
		}
		for _, step := range names {
			e.add(Step{Name: step, Verdict: Skipped, Seen: "there is no private address to connect to"})
		}
		return
	}
	probes := make([]probe, min(len(addrs), maxAddresses))
	var all sync.WaitGroup
	for i := range probes {
		all.Go(func() { probes[i] = e.probe(ctx, netip.AddrPortFrom(addrs[i], e.report.Port)) })
	}
	all.Wait()
	for i, p := range probes {
		if e.Routes != nil && p.came.answers() {
			seat.heard(ways[i], p.to)
		}
	}
	for i, p := range probes {
		if e.Routes != nil {
			p.follow(seat.step(ways[i], p.to, p.came))
		}
		for _, step := range p.steps {
			e.add(step)
		}
	}
	if more := len(addrs) - maxAddresses; more > 0 {
		e.add(Step{Name: "connect", Verdict: Note, Seen: fmt.Sprintf("%d more addresses were not connected to", more),
			Addresses: addrs[maxAddresses:]})
	}
}

// ways are those to addresses. What is told before them is which tunnels there are,
// and, if the server is silent, why the way to it may be the reason.
func (e *examination) ways(seat *seat, addrs []netip.Addr) []way {
	if e.Routes == nil {
		return nil
	}
	ways := make([]way, len(addrs))
	outside := false
	for i, addr := range addrs {
		ways[i] = seat.to(addr)
		outside = outside || !addr.IsLoopback()
	}
	private := e.Server.IsValid() && zones.IsPrivate(e.Server.Addr()) && !e.Server.Addr().IsLoopback()
	var server way
	if private {
		server = seat.to(e.Server.Addr())
	}
	if e.served && private {
		seat.heard(server, e.Server)
	}
	if outside || private && !e.served {
		e.report.Tunnels, e.report.Profiles = seat.tunnels(), seat.profiles
		e.add(seat.tunnelStep())
	}
	if private && isTimeout(e.server.err) {
		if step := seat.step(server, e.Server, silent); step.Cause != "" {
			step.Seen = fmt.Sprintf("the server: %s", step.Seen)
			e.add(step)
		}
	}
	return ways
}

// reachable are the addresses to connect to: those of the server, or where it
// gives none those of the system. Public ones are left out, except where the
// privatelink name itself has them.
func (e *examination) reachable() []netip.Addr {
	if e.served && e.finding.Kind == Listed {
		return e.server.addresses()
	}
	addrs := e.server.addresses()
	if !e.served || len(addrs) == 0 {
		addrs = slices.Clone(e.system)
	}
	return slices.DeleteFunc(addrs, func(addr netip.Addr) bool { return !zones.IsPrivate(addr) })
}

// probe is what came of connecting to one address.
type probe struct {
	to    netip.AddrPort
	came  outcome
	steps []Step
}

// probe connects to one address and looks at its certificate.
func (e *examination) probe(ctx context.Context, to netip.AddrPort) probe {
	here := []netip.Addr{to.Addr()}
	conn, err := dial(ctx, to, e.Timeout)
	if err != nil {
		seen, remedy := dialFault(to, err, e.Timeout)
		return probe{to, outcomeOf(err), []Step{
			{Name: "connect", Verdict: Fail, Seen: seen, Remedy: remedy, Addresses: here},
			{Name: "certificate", Verdict: Skipped, Seen: fmt.Sprintf("there is no connection to %s", to), Addresses: here},
		}}
	}
	shown, err := handshake(ctx, conn, e.report.Protocol, e.name, e.Timeout)
	look := newLook(shown, err, e.name, e.Roots, e.Now())
	step := look.step(e.Catalogue, e.name, e.report.Protocol, e.Timeout)
	if look.leaf != nil && !look.named {
		step.Remedy += "; at the server, pldns verify finds endpoints that were swapped"
	}
	step.Seen, step.Addresses = fmt.Sprintf("%s: %s", to, step.Seen), here
	accepts := Step{Name: "connect", Verdict: OK, Seen: fmt.Sprintf("%s accepts connections", to), Addresses: here}
	return probe{to, look.came(), []Step{accepts, step}}
}

// answers tells whether something came back from the address itself.
func (o outcome) answers() bool { return o == reached || o == stranger || o == refused }

// follow puts the step of the way before the others. If the way is wrong, whatever
// failed on it follows from that.
func (p *probe) follow(route Step) {
	if route.Cause != "" {
		for i := range p.steps {
			if step := &p.steps[i]; step.Verdict == Fail {
				step.Verdict, step.Remedy = Skipped, ""
				step.Seen += ", which follows from the route"
			}
		}
	}
	p.steps = slices.Insert(p.steps, 0, route)
}

// outcomeOf is what a failed connection says of the way.
func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return reached
	case isRefused(err), isReset(err):
		return refused
	case isErrno(err, syscall.ENETUNREACH, 10051), isErrno(err, syscall.EHOSTUNREACH, 10065):
		return unreachable
	case isNotAllowed(err):
		return notAllowed
	case isTimeout(err):
		return silent
	default:
		return unclear
	}
}

// came is what a certificate says of the way: one for another name, or none, is that of
// somebody else.
func (l look) came() outcome {
	if l.leaf != nil && l.named {
		return reached
	}
	return stranger
}
