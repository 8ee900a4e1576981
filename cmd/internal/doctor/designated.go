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

// resolverName is asked for the encrypted ways to a server (RFC 9462 section 4).
const resolverName = "_dns.resolver.arpa"

// maxDesignated is how many of them are looked at.
const maxDesignated = 8

// designation is an encrypted way that a server tells of (RFC 9461).
type designation struct {
	target zones.Name
	over   resolver.Transport
	port   uint16
	path   string
	hints  []netip.Addr
}

// String is the designation in a list.
func (d designation) String() string {
	text := fmt.Sprintf("%s at %s port %d", d.over.Short(), d.target, d.port)
	if d.over.IsWeb() {
		text += " " + foreign(d.path)
	}
	return text
}

// designations reads what a server tells, in the order in which it prefers it. A record
// that names no server, or only protocols that nobody speaks here, is passed over.
func designations(reply *dns.Msg) (list []designation) {
	var records []*dns.SVCB
	for _, rr := range reply.Answer {
		if record, is := rr.(*dns.SVCB); is && record.Priority > 0 && zones.NameOf(record.Hdr.Name).String() == resolverName {
			records = append(records, record)
		}
	}
	slices.SortStableFunc(records, func(a, b *dns.SVCB) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, record := range records {
		list = append(list, designationsOf(record)...)
	}
	return list[:min(len(list), maxDesignated)]
}

// designationsOf are those of one record, by transport.
func designationsOf(record *dns.SVCB) (list []designation) {
	d := designation{target: zones.NameOf(record.Target)}
	if d.target.IsRoot() {
		return nil
	}
	var alpn []string
	for _, value := range record.Value {
		switch value := value.(type) {
		case *dns.SVCBAlpn:
			alpn = value.Alpn
		case *dns.SVCBPort:
			d.port = value.Port
		case *dns.SVCBDoHPath:
			d.path, _, _ = strings.Cut(value.Template, "{")
		case *dns.SVCBIPv4Hint:
			d.hints = append(d.hints, addressesOf(value.Hint)...)
		case *dns.SVCBIPv6Hint:
			d.hints = append(d.hints, addressesOf(value.Hint)...)
		}
	}
	for _, over := range resolver.Transports() {
		if !slices.ContainsFunc(over.ALPN(), func(p string) bool { return slices.Contains(alpn, p) }) {
			continue
		}
		of := d
		of.over, of.port = over, cmp.Or(d.port, over.Port())
		list = append(list, of)
	}
	return list
}

func addressesOf[IP ~[]byte](ips []IP) (addrs []netip.Addr) {
	for _, ip := range ips {
		if addr, is := netip.AddrFromSlice(ip); is {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

// askDesignated asks the server for the encrypted ways to it, and tells what it says.
func (e *examination) askDesignated(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	step := Step{Name: "ddr", Verdict: Note}
	const remedy = "clients that look for it stay with plain DNS; pldns tells of listen.dot, doh and doq by the names in its " +
		"certificate, unless listen.designated is empty"
	query := newQuery(zones.MustName(resolverName), dns.TypeSVCB)
	reply, err := askUDP(ctx, e.Server, query)
	if err != nil || reply.Truncated {
		c := approach{over: resolver.OverTCP, to: e.Server}.ask(ctx, Trust{}, e.Timeout, query)
		if err = c.err; err == nil {
			reply = c.replies[0]
		}
	}
	switch {
	case err != nil:
		step.Verdict = Skipped
		step.Seen = fmt.Sprintf("%s gives no answer about %s: %s", e.Server, resolverName, foreign(err.Error()))
	case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
		a := answer{rcode: reply.Rcode}
		a.readErrors(reply)
		step.Verdict, step.Cause, step.Seen = Skipped, causeOf(a), fmt.Sprintf("%s answers %s to %s", e.Server, a.text(), resolverName)
	default:
		e.designated = designations(reply)
		if len(e.designated) == 0 {
			step.Seen, step.Remedy = fmt.Sprintf("%s tells of no encrypted way to it (%s)", e.Server, resolverName), remedy
			break
		}
		texts := make([]string, len(e.designated))
		for i, d := range e.designated {
			texts[i] = d.String()
		}
		step.Verdict, step.Seen = OK, fmt.Sprintf("%s tells of %s", e.Server, strings.Join(texts, ", "))
	}
	e.designation = step
}

// told is the first designation for a transport.
func (e *examination) told(over resolver.Transport) (designation, bool) {
	i := slices.IndexFunc(e.designated, func(d designation) bool { return d.over == over })
	if i < 0 {
		return designation{}, false
	}
	return e.designated[i], true
}

// followDesignated goes each of the ways that the server tells of, as a client does that
// discovers it, if its transport is to be looked at.
func (e *examination) followDesignated(ctx context.Context) {
	steps := make([]Step, len(e.designated))
	var all sync.WaitGroup
	for i, d := range e.designated {
		if slices.ContainsFunc(e.Transports, func(o Over) bool { return o.Transport == d.over }) {
			all.Go(func() { steps[i] = e.followOne(ctx, d) })
		}
	}
	all.Wait()
	for _, step := range steps {
		if step.Name != "" {
			e.add(step)
		}
	}
}

// followOne goes one way, to the first address that is told.
func (e *examination) followOne(ctx context.Context, d designation) Step {
	step := Step{Name: "ddr-" + d.over.Short(), Verdict: Fail}
	addrs := d.hints
	if len(addrs) == 0 {
		addrs = lookup(ctx, e.Server, d.target, e.Timeout).addresses()
	}
	if len(addrs) == 0 {
		step.Seen = fmt.Sprintf("%s tells of %s, which has no address there", e.Server, d)
		step.Cause, step.Remedy = NoAddressTold, "give the name an address, or tell addresses with listen.designated"
		return step
	}
	way := approach{d.over, netip.AddrPortFrom(addrs[0], d.port), d.target.String(), d.path}
	step.Addresses = addrs[:1]
	c, known := e.contacts[way]
	if !known {
		c = way.ask(ctx, e.trust(), e.Timeout, newQuery(zones.MustName(resolverName), dns.TypeSVCB))
	}
	if c.err != nil {
		f := c.fault(e.Timeout, e.beside(ctx, c))
		step.Cause, step.Seen, step.Remedy = f.cause, f.seen, f.remedy
		if known {
			step.Verdict, step.Remedy = Skipped, ""
			step.Seen += ", as above"
		}
		return step
	}
	e.judgeDiscovery(&step, c)
	return step
}

// judgeDiscovery says whether a client that discovers the way may use it: if the
// certificate verifies and holds the address that was asked (RFC 9462 section 4.2), or, at
// one that is private, without that (section 4.3).
func (e *examination) judgeDiscovery(step *Step, c contact) {
	asked := e.Server.Addr()
	faults := slices.Clone(c.faults)
	if c.leaf.VerifyHostname(asked.WithZone("").String()) != nil {
		seen := fmt.Sprintf("the certificate does not hold %s, the address that was asked", asked)
		faults = append(faults, fault{CertificateNoAddress, seen, "put the address among its alternative names"})
	}
	if len(faults) == 0 {
		step.Verdict = OK
		step.Seen = fmt.Sprintf("%s is verified as %s, and clients that discover it may use it: the certificate holds %s, too",
			c.to, c.host, asked)
		return
	}
	step.Cause, step.Seen, step.Remedy = faults[0].cause, seenOf(faults), remediesOf(faults)
	if zones.IsPrivate(asked) && c.to.Addr() == asked {
		step.Verdict = Note
		step.Seen = fmt.Sprintf("%s answers, but is not verified, so that only clients use it that do without that at a private "+
			"address (RFC 9462 section 4.3): %s", c.to, step.Seen)
		return
	}
	step.Seen = fmt.Sprintf("%s answers, but clients that discover it must not use it: %s", c.to, step.Seen)
}
