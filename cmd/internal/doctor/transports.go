package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// Over is a transport that the server is asked over.
type Over struct {
	Transport resolver.Transport
	// Port is where it listens. 0 is the port of the server for UDP and TCP; for others it
	// is what the server tells of itself, else the usual one.
	Port uint16
}

// ParseOver reads a transport as a user writes it, with a port or without one: doq,
// dot:8853. The error says what to write.
func ParseOver(text string) (Over, error) {
	name, port, given := strings.Cut(text, ":")
	transport, err := resolver.ParseTransport(name)
	if err != nil {
		return Over{}, err
	}
	o := Over{Transport: transport}
	if given {
		at, err := netip.ParseAddrPort("0.0.0.0:" + port)
		if err != nil || at.Port() == 0 {
			return Over{}, fmt.Errorf("%q has no port: write %s:853", text, name)
		}
		o.Port = at.Port()
	}
	return o, nil
}

// EveryTransport are all, at their usual ports.
func EveryTransport() (all []Over) {
	for _, transport := range resolver.Transports() {
		all = append(all, Over{Transport: transport})
	}
	return all
}

// usual are the transports that are asked where nothing is said.
func usual() []Over { return EveryTransport()[:2] }

// trust is whom certificates may be signed by.
func (e *examination) trust() Trust { return Trust{e.Roots, e.Now} }

// secured tells whether the server is asked over an encrypted transport.
func (c Config) secured() bool {
	return slices.ContainsFunc(c.Transports, func(o Over) bool { return o.Transport.IsEncrypted() })
}

// approach is how the server is asked over a transport: as it is named, else as it tells
// of itself, else by its address.
func (e *examination) approach(over Over) approach {
	if !over.Transport.IsEncrypted() {
		return approach{over: over.Transport, to: netip.AddrPortFrom(e.Server.Addr(), cmp.Or(over.Port, e.Server.Port()))}
	}
	a := approach{over: over.Transport, host: e.Server.Addr().WithZone("").String(), path: zones.DoHPath}
	port := over.Transport.Port()
	if told, is := e.told(over.Transport); is && e.ServerName.IsZero() {
		a.host, port = told.target.String(), told.port
		a.path = cmp.Or(told.path, a.path)
	} else if !e.ServerName.IsZero() {
		a.host = e.ServerName.String()
	}
	if e.Path != "" {
		a.path = zones.DoHPath + "/" + e.Path
	}
	a.to = netip.AddrPortFrom(e.Server.Addr(), cmp.Or(over.Port, port))
	return a
}

// askServer asks the server directly over each of the transports: over what is not
// encrypted first, because that also says how else the server is asked.
func (e *examination) askServer(ctx context.Context) {
	if !e.Server.IsValid() {
		e.add(Step{Name: "dns-" + e.Transports[0].Transport.Short(), Verdict: Skipped,
			Seen: "there is no server to ask: the system names none", Remedy: "name the address of pldns with --server"})
		return
	}
	e.askPlain(ctx)
	plain := len(e.asked)
	e.askSecured(ctx)
	for i, a := range e.asked {
		if i == plain && e.designation.Name != "" {
			e.add(e.designation)
		}
		e.add(e.serverStep(ctx, a))
		if i == 0 || a.err == nil && (!e.served || e.server.truncated) {
			e.server, e.served = a.answer, a.err == nil
		}
	}
	if e.served {
		e.finding = Inspect(e.Catalogue, e.server.chain)
	}
	e.followDesignated(ctx)
}

// heard is what was answered over one transport.
type heard struct {
	contact
	answer answer
}

// askPlain asks over UDP and TCP, and how else the server can be asked if that matters.
func (e *examination) askPlain(ctx context.Context) {
	var all sync.WaitGroup
	if e.secured() {
		all.Go(func() { e.askDesignated(ctx) })
	}
	for _, over := range e.Transports {
		if !over.Transport.IsEncrypted() {
			e.asked = append(e.asked, heard{contact: contact{approach: e.approach(over)}})
		}
	}
	e.askAll(ctx, e.asked, &all)
}

// askSecured asks over what is encrypted.
func (e *examination) askSecured(ctx context.Context) {
	first := len(e.asked)
	for _, over := range e.Transports {
		if over.Transport.IsEncrypted() {
			e.asked = append(e.asked, heard{contact: contact{approach: e.approach(over)}})
		}
	}
	e.askAll(ctx, e.asked[first:], new(sync.WaitGroup))
	e.contacts = make(map[approach]contact)
	for _, a := range e.asked[first:] {
		e.contacts[a.approach] = a.contact
	}
}

// askAll asks over several transports at once.
func (e *examination) askAll(ctx context.Context, list []heard, all *sync.WaitGroup) {
	for i := range list {
		h := &list[i]
		all.Go(func() {
			if h.over == resolver.OverUDP {
				h.answer = lookup(ctx, h.to, e.name, e.Timeout)
				h.err, h.met = h.answer.err, h.answer.err == nil
				return
			}
			h.contact = h.ask(ctx, e.trust(), e.Timeout, forAddresses(e.name)...)
			h.answer = h.contact.answer(e.name)
		})
	}
	all.Wait()
}

// serverStep is what came of asking over one transport.
func (e *examination) serverStep(ctx context.Context, h heard) Step {
	a := h.answer
	step := Step{Name: "dns-" + h.over.Short(), Verdict: OK, Addresses: a.addresses()}
	switch {
	case h.err != nil:
		f := h.fault(e.Timeout, e.beside(ctx, h.contact))
		step.Verdict, step.Cause, step.Seen, step.Remedy = Fail, f.cause, f.seen, f.remedy
	case len(h.faults) > 0:
		step.Verdict, step.Cause = Fail, h.faults[0].cause
		step.Seen = fmt.Sprintf("%s answers over %s, but not as %s: %s", h.to, h.over.Title(), h.host, seenOf(h.faults))
		step.Remedy = remediesOf(h.faults)
	case a.truncated && h.over == resolver.OverUDP:
		step.Seen = fmt.Sprintf("%s says that the answer is too long for UDP", h.to)
	case e.served && sameAnswer(e.server, a):
		step.Seen = fmt.Sprintf("%s gives the same answer over %s", h.to, h.over.Title()) + h.certified()
	case len(step.Addresses) == 0:
		step.Verdict, step.Cause, step.Seen = Fail, causeOf(a), fmt.Sprintf("%s answers %s", h.to, a.text())
		step.Remedy = noAddress(a, e.name)
	default:
		step.Seen = fmt.Sprintf("%s answers %s", h.to, a.text()) + h.certified()
	}
	return step
}

// certified says as whom a server is known.
func (c contact) certified() string {
	if c.leaf == nil {
		return ""
	}
	return fmt.Sprintf("; the certificate is valid for %s: %s", c.host, describe(c.leaf))
}

// beside is where something comes back from the server over TCP, if nothing does over UDP:
// at what was asked already, else at any port that it may have open.
func (e *examination) beside(ctx context.Context, c contact) netip.AddrPort {
	if !c.over.IsPackets() || c.met || !isTimeout(c.err) || c.to.Addr() != e.Server.Addr() {
		return netip.AddrPort{}
	}
	asked := false
	for _, h := range e.asked {
		if asked = asked || !h.over.IsPackets(); !h.over.IsPackets() && h.met {
			return h.to
		}
	}
	if !asked {
		e.lookedTCP.Do(func() { e.overTCP = e.anyOverTCP(ctx, c.to.Port()) })
	}
	return e.overTCP
}

// anyOverTCP is a port at which the server takes a connection, or refuses it.
func (e *examination) anyOverTCP(ctx context.Context, port uint16) netip.AddrPort {
	found := make(chan netip.AddrPort, 4)
	var all sync.WaitGroup
	for _, port := range []uint16{port, e.Server.Port(), resolver.OverTLS.Port(), resolver.OverHTTPS.Port()} {
		to := netip.AddrPortFrom(e.Server.Addr(), port)
		all.Go(func() {
			conn, err := dial(ctx, to, e.Timeout)
			if err == nil {
				conn.Close()
			}
			if err == nil || isRefused(err) {
				found <- to
			}
		})
	}
	all.Wait()
	close(found)
	return <-found
}

// sameAnswer tells whether two replies come to the same.
func sameAnswer(a, b answer) bool {
	return a.err == nil && b.err == nil && !a.truncated && !b.truncated &&
		a.rcode == b.rcode && slices.Equal(a.addresses(), b.addresses()) && slices.Equal(a.chain.Names(), b.chain.Names())
}

// Reach asks a server over each transport whether it answers at all, and tells it in one
// step for each. Any reply will do; the certificate is judged where the configuration has
// a server name. It ends within three times the timeout.
func Reach(ctx context.Context, config Config) Report {
	e := &examination{Config: config.withDefaults(), name: zones.MustName(resolverName)}
	e.report = Report{Server: e.Server.String(), Steps: []Step{}, OK: true}
	e.asked = make([]heard, len(e.Transports))
	var all sync.WaitGroup
	for i, over := range e.Transports {
		a := e.approach(over)
		if e.ServerName.IsZero() {
			a.host = ""
		}
		h := &e.asked[i]
		all.Go(func() { h.contact = e.reach(ctx, a) })
	}
	all.Wait()
	for _, h := range e.asked {
		e.add(e.reachStep(ctx, h.contact))
	}
	return e.report
}

// reach asks for what every server has an answer to, be it a refusal.
func (e *examination) reach(ctx context.Context, a approach) contact {
	query := newQuery(e.name, dns.TypeSVCB)
	if a.over != resolver.OverUDP {
		return a.ask(ctx, e.trust(), e.Timeout, query)
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	reply, err := askUDP(ctx, a.to, query)
	return contact{approach: a, replies: []*dns.Msg{reply}, err: err, met: err == nil}
}

func (e *examination) reachStep(ctx context.Context, c contact) Step {
	step := Step{Name: "dns-" + c.over.Short(), Verdict: OK, Addresses: []netip.Addr{c.to.Addr()}}
	switch {
	case c.err != nil:
		f := c.fault(e.Timeout, e.beside(ctx, c))
		step.Verdict, step.Cause, step.Seen, step.Remedy = Fail, f.cause, f.seen, f.remedy
	case len(c.faults) > 0:
		step.Verdict, step.Cause = Fail, c.faults[0].cause
		step.Seen = fmt.Sprintf("%s answers over %s, but not as %s: %s", c.to, c.over.Title(), c.host, seenOf(c.faults))
		step.Remedy = remediesOf(c.faults)
	default:
		step.Seen = fmt.Sprintf("%s answers over %s", c.to, c.over.Title()) + c.certified()
		a := answer{rcode: c.replies[0].Rcode}
		a.readErrors(c.replies[0])
		if step.Cause = causeOf(a); step.Cause != "" {
			step.Verdict, step.Remedy = Note, noAddress(a, e.name)
			step.Seen += ": " + a.text()
		}
	}
	return step
}
