package resolver

import (
	"fmt"
	"iter"
	"net"
	"net/netip"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
	"pldns/zones"
	"pldns/zones/policy"
)

// Verdict is what a policy has said of a query: the entry that decided the answer or let it
// pass, else the first that is only counted. The zero Verdict is none.
type Verdict struct {
	Policy string
	Entry  string // as it would be written
	Action policy.Action
}

// Decided tells whether the policy has decided the answer.
func (v Verdict) Decided() bool {
	return v.Policy != "" && v.Action != policy.Log && v.Action != policy.Passthru
}

// held is how a chain is held to policies. It is apart from the chain, which is kept small,
// because most are held to none.
type held struct {
	policies []*policy.Policy // that count yet
	verdict  Verdict
	code     uint16       // the extended error that goes with it
	found    policy.Match // for the name where the chain has come to; zero where that was not looked for
}

// heldTo is how a chain of a network begins; nil where it is held to no policy.
func (s *Snapshot) heldTo(network *zones.Network) *held {
	if s.policies == nil {
		return nil
	}
	if policies := s.policies[network]; len(policies) > 0 {
		return &held{policies: policies}
	}
	return nil
}

// ends tells whether a policy has said what holds for every type of address.
func (h *held) ends() bool {
	return h != nil && h.verdict.Decided() && h.verdict.Action != policy.Data && h.verdict.Action != policy.Redirect
}

// screened finds the entry that decides about a name that is for the outside: of the first
// policy that has one.
func (c *chain) screened(name zones.Name) (policy.Match, bool) {
	if c.held == nil || !c.query.RecursionDesired {
		return policy.Match{}, false
	}
	if m := c.held.found; m.Rule != nil {
		c.held.found = policy.Match{}
		return m, true
	}
	for i, p := range c.held.policies {
		if m, found := p.Match(name); found {
			if decides, last := c.weigh(m, i, name.String()); decides || last {
				return m, decides
			}
		}
	}
	return policy.Match{}, false
}

// screenedAddresses finds the entry that decides about the addresses in a reply: of the
// first policy that has one, the one with the longest prefix.
func (c *chain) screenedAddresses(reply Reply) (policy.Match, bool) {
	if c.held == nil {
		return policy.Match{}, false
	}
	for i, p := range c.held.policies {
		if !p.HasAddresses() {
			continue
		}
		if m, text := longest(p, reply.Wire); m.Rule != nil {
			if decides, last := c.weigh(m, i, text); decides || last {
				return m, decides
			}
		}
	}
	return policy.Match{}, false
}

// longest is the entry of a policy with the longest prefix that holds for an address in
// the answer section, and that address.
func longest(p *policy.Policy, m wire.Message) (best policy.Match, text string) {
	most := -1
	for addr := range addressesIn(m) {
		if found, bits, is := p.MatchAddress(addr); is && bits > most {
			best, text, most = found, addr.String(), bits
		}
	}
	return best, text
}

// addressesIn are the addresses in the answer section of a message, and those that HTTPS and
// SVCB records give as hints, which a client may connect to without asking further.
func addressesIn(m wire.Message) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for addr := range recordedIn(m) {
			if !yield(addr.Unmap()) {
				return
			}
		}
		hints := false
		for record := range m.In(wire.Answer) {
			hints = hints || record.Type == dns.TypeHTTPS || record.Type == dns.TypeSVCB
		}
		if !hints {
			return
		}
		answer, _ := unpacked(m)
		for _, rr := range answer {
			for _, ip := range hintsOf(rr) {
				if addr, is := netip.AddrFromSlice(ip); is && !yield(addr.Unmap()) {
					return
				}
			}
		}
	}
}

// hintsOf are the address hints of a record (RFC 9460 section 7.3).
func hintsOf(rr dns.RR) (all []net.IP) {
	service, _ := serviceOf(rr)
	if service == nil {
		return nil
	}
	for _, value := range service.Value {
		switch hint := value.(type) {
		case *dns.SVCBIPv4Hint:
			all = append(all, hint.Hint...)
		case *dns.SVCBIPv6Hint:
			all = append(all, hint.Hint...)
		}
	}
	return all
}

// weigh takes note of an entry of the policy with a number, and tells whether it decides,
// or is the last that counts. Policies before the one that lets a name pass still hold for
// what is behind it.
func (c *chain) weigh(m policy.Match, number int, what string) (decides, last bool) {
	action := m.Rule.Action
	if action == policy.TCPOnly && c.query.Stream {
		action = policy.Passthru
	}
	if action == policy.Redirect && m.Rule.Target == c.name() && !m.Rule.Wildcard {
		action = policy.Passthru // as it was written once, of a name below a wildcard
	}
	c.trace.add("policy", "%s: entry %s of policy %s: %s", what, m.Entry, m.Policy.Name(), action)
	if c.held.verdict.Policy == "" || action != policy.Log {
		c.held.verdict = Verdict{m.Policy.Name(), m.Entry, action}
	}
	if action == policy.Passthru {
		c.held.policies = c.held.policies[:number]
	}
	return action != policy.Log && action != policy.Passthru, action != policy.Log
}

// obey does what an entry says. It is done unless that is an alias. What a policy has said
// once is final: no policy is asked about where it leads.
func (c *chain) obey(m policy.Match) (answer Answer, done bool) {
	c.held.policies, c.held.code, c.altered = nil, m.Policy.Code(), true
	if m.Rule.Action == policy.Redirect {
		if target, leads := m.Rule.TargetOf(c.name()); leads {
			header := dns.RR_Header{Name: c.name().FQDN(), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: m.Rule.TTL}
			c.records = append(c.records, &dns.CNAME{Hdr: header, Target: target.FQDN()})
			if c.query.Type != dns.TypeCNAME && c.query.Type != dns.TypeANY {
				return c.step(target)
			}
			c.local = true
			return Answer{Records: c.records}, true
		}
	}
	c.local, c.last, c.suffix = true, Reply{}, zones.Name{}
	switch m.Rule.Action {
	case policy.Drop:
		return Answer{Rcode: dns.RcodeRefused, Silent: true}, true
	case policy.TCPOnly:
		return Answer{Truncated: true}, true
	case policy.NXDomain, policy.Redirect:
		if !c.network.HasBelow(c.name()) { // else it exists: see end
			answer.Rcode = dns.RcodeNameError
		}
	}
	found := m.Rule.Answer(c.name(), c.query.Type)
	if c.records = append(c.records, found...); len(found) == 0 {
		answer.Authority = []dns.RR{m.Policy.SOA(c.name())}
	}
	answer.Records = c.records
	return answer, true
}

// aliases takes the aliases of a reply to where the chain has come to.
func (c *chain) aliases(reply Reply) {
	for _, rr := range reply.Unpacked().Answer {
		if rr.Header().Rrtype == dns.TypeCNAME {
			c.records = append(c.records, rr)
		}
	}
}

// policed completes an answer to which policies have something to say.
func (h *held) policed(answer Answer) Answer {
	answer.Verdict = h.verdict
	if h.verdict.Decided() {
		answer.Authoritative, answer.Authenticated = false, false
		why := Error{h.code, fmt.Sprintf("policy %s", h.verdict.Policy)}
		answer.Errors = append([]Error{why}, answer.Errors...)
	}
	return answer
}
