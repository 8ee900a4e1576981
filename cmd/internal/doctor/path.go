package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"pldns/zones"
)

// azureMonitor is the resource type whose names are shared by all its users.
const azureMonitor = "Microsoft.Insights/privateLinkScopes"

// maxNameservers is how many nameservers of the system are looked at.
const maxNameservers = 4

// findAlias finds the first place on the way from the server to the client at
// which the private answer is lost: the server itself, a nameserver of the system,
// or the system.
func (e *examination) findAlias(ctx context.Context) {
	step := Step{Name: "alias"}
	switch {
	case !e.served && e.system == nil, e.served && e.finding.Kind == NoAddress:
		step.Verdict, step.Seen = Skipped, "there is no answer to look at"
	case !e.served && slices.ContainsFunc(e.system, isPublic):
		step.Verdict, step.Seen = Fail, "the operating system answers publicly"
		step.Remedy = toServer(e.OS, e.name, e.Server)
	case !e.served:
		step.Verdict, step.Seen = Note, "the operating system answers privately; there is no answer of a server to compare with"
	case e.finding.Kind == Private, e.finding.Kind == Listed, e.leaksIPv6():
		e.compare(ctx, &step)
	default:
		step.Verdict = Fail
		step.Seen, step.Remedy = lostAtServer(e.Server, e.finding, e.name, e.known(ctx))
	}
	e.add(step)
}

// known are the private addresses that the server has for the privatelink name
// that its answer did not lead over.
func (e *examination) known(ctx context.Context) []netip.Addr {
	if e.finding.Kind != NoAlias || e.finding.Alias.IsZero() {
		return nil
	}
	a := lookup(ctx, e.Server, e.finding.Alias, e.Timeout)
	if a.err != nil || Inspect(e.Catalogue, a.chain).Kind != Private {
		return nil
	}
	return a.addresses()
}

// compare holds what the client gets against a private answer of the server.
func (e *examination) compare(ctx context.Context, step *Step) {
	step.Verdict, step.Seen = OK, e.kept()
	if e.finding.Kind == Listed {
		step.Verdict = Note
		step.Seen += "; the addresses are of a public range"
		step.Remedy = "check that they are those of the private endpoint"
	}
	if e.system == nil {
		return
	}
	others := e.askNameservers(ctx)
	first := slices.IndexFunc(others, func(a answer) bool { return !e.agrees(a.addresses()) })
	agreed := e.agrees(e.system)
	switch {
	case !agreed && first >= 0:
		step.Verdict = Fail
		step.Seen, step.Remedy = e.lostAtNameserver(others[first])
	case !agreed:
		step.Verdict = Fail
		step.Seen = fmt.Sprintf("the alias is lost in the operating system: it answers %s, and %s answers %s", list(e.system), e.Server,
			list(e.server.addresses()))
		step.Remedy = toServer(e.OS, e.name, e.Server)
	case first >= 0:
		step.Verdict = Note
		step.Seen = fmt.Sprintf("the operating system answers privately now, but its nameserver %s answers %s", others[first].server,
			others[first].text())
		step.Remedy = "leave only nameservers that answer alike: a client that turns to this one loses the private address"
	default:
		step.Seen += ", and the operating system answers the same"
	}
}

// kept says how the server leads to the private addresses.
func (e *examination) kept() string {
	if e.finding.Alias.IsZero() {
		return fmt.Sprintf("%s answers privately", e.Server)
	}
	return fmt.Sprintf("%s leads over %s to the private address", e.Server, e.finding.Alias)
}

// agrees tells whether addresses are among those of the server.
func (e *examination) agrees(addrs []netip.Addr) bool {
	own := e.server.addresses()
	return len(addrs) > 0 && !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !slices.Contains(own, a) })
}

// askNameservers asks the nameservers of the system all at once, and gives the
// replies in the order of the system. Those that do not answer lose no alias.
func (e *examination) askNameservers(ctx context.Context) []answer {
	servers := slices.DeleteFunc(slices.Clone(e.Nameservers), func(s netip.AddrPort) bool { return s == e.Server })
	servers = servers[:min(len(servers), maxNameservers)]
	all := make([]answer, len(servers))
	var asked sync.WaitGroup
	for i, server := range servers {
		asked.Go(func() { all[i] = lookup(ctx, server, e.name, e.Timeout) })
	}
	asked.Wait()
	return slices.DeleteFunc(all, func(a answer) bool { return a.err != nil || a.truncated })
}

// lostAtNameserver says what a nameserver of the system makes of the name.
func (e *examination) lostAtNameserver(a answer) (seen, remedy string) {
	seen = fmt.Sprintf("the alias is lost at nameserver %s, which the operating system asks: it answers %s", a.server, a.text())
	f := Inspect(e.Catalogue, a.chain)
	switch f.Kind {
	case AliasLeft:
		seen += fmt.Sprintf("; it goes public after %s", f.At)
	case NoAlias:
		seen += fmt.Sprintf("; it has no alias at %s", f.At)
	}
	return seen, fmt.Sprintf("have that server forward the public zone, and not only the privatelink zone, to %s; or %s", e.Server.Addr(),
		toServer(e.OS, e.name, e.Server))
}

// askPublic says what somebody outside would be told: what a public resolver
// says if one is named, else what the answers give away.
func (e *examination) askPublic(ctx context.Context) {
	step := Step{Name: "public", Verdict: Note}
	switch {
	case e.Public.IsValid():
		a := lookup(ctx, e.Public, e.name, e.Timeout)
		if a.err != nil {
			step.Seen, _ = noReply(a, "UDP", e.Timeout)
			break
		}
		step.Addresses = a.addresses()
		step.Seen = fmt.Sprintf("%s answers %s: %s", e.Public, a.text(), e.outside(Inspect(e.Catalogue, a.chain)))
	case e.served && (e.finding.Kind == AliasLeft || e.finding.Kind == NoAlias || e.finding.Kind == Unlisted):
		step.Seen = "the answer above is a public one: " + e.outside(e.finding)
	default:
		step.Verdict, step.Seen = Skipped, e.expected()
	}
	e.add(step)
}

// outside says what a public answer gives away.
func (e *examination) outside(f Finding) string {
	switch f.Kind {
	case AliasLeft:
		text := fmt.Sprintf("the alias %s shows that somebody has an approved private endpoint for it", f.At)
		if match, _ := e.Catalogue.ZoneOf(f.At); match.Entry.ResourceType == azureMonitor {
			return fmt.Sprintf("the alias %s is there for everybody, as with all shared names of Azure Monitor", f.At)
		}
		if derived := e.derived(); !derived.IsZero() && !f.At.IsZero() && derived != f.At {
			text += fmt.Sprintf(", though the catalogue derives %s: believe the alias, and give it as private_name", derived)
		}
		return text
	case NoAlias:
		return "there is no privatelink alias, so no private endpoint of it is approved anywhere, or the alias was dropped on the way"
	case Private, Mixed, Listed:
		return "this resolver knows private addresses, so it is no public one"
	case NoAddress:
		return "it has no public address"
	default:
		return "no name of the chain is one of Azure Private Link"
	}
}

// expected is what the catalogue says a public answer would look like.
func (e *examination) expected() string {
	if derived := e.derived(); !derived.IsZero() {
		return fmt.Sprintf("no public resolver was asked (--public names one); its answer would lead over %s to a public address", derived)
	}
	return "no public resolver was asked (--public names one)"
}

// derived is the privatelink name that the catalogue has for the name; zero where
// it has none.
func (e *examination) derived() zones.Name {
	match, err := e.Catalogue.Derive(e.name)
	if err != nil {
		return zones.Name{}
	}
	return match.Private
}

func isPublic(addr netip.Addr) bool { return !zones.IsPrivate(addr) }
