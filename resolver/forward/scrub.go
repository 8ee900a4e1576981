package forward

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"pldns/resolver"
)

// maxChain is how many names one reply may lead over. It is more than any chain
// that is followed to its end, and keeps the work for one message small.
const maxChain = 64

// errReferral says that a server only named others to ask (RFC 9471 binds
// authoritative servers; who was asked to recurse must not answer so).
var errReferral = errors.New("it refers to other servers and does not recurse: list a recursive resolver")

// errInvalid is how a reply contradicts itself.
type errInvalid string

func (e errInvalid) Error() string { return string(e) }

// scrub keeps of a reply what belongs to the question, and drops the rest: the
// chain of aliases from the asked name in order, the records asked for at its
// end, and of the authority what a negative answer or its proof needs. An answer
// is rebuilt from this, never passed on. The error is errReferral; a reply that
// contradicts itself becomes a server failure.
func scrub(q resolver.Question, msg *dns.Msg) (resolver.Reply, error) {
	reply := resolver.Reply{Rcode: kept(msg.Rcode)}
	if failing(reply.Rcode) {
		reply.Answer = aliases(q, msg.Answer)
		reply.Errors = extended(msg)
		return reply, nil
	}
	lowerCase(msg.Answer, q.DNSSEC)
	lowerCase(msg.Ns, q.DNSSEC)
	w := walk{question: q, sets: collect(msg.Answer), names: []string{q.Name.FQDN()}}
	if err := w.follow(); err != nil {
		return invalid(err), nil
	}
	if w.ended && reply.Rcode == dns.RcodeNameError {
		return invalid(errInvalid("it denies a name and gives its records")), nil
	}
	reply.Answer = w.answer
	reply.Authenticated = msg.AuthenticatedData
	reply.Authority = authority(q, msg.Ns, w.names, !w.ended)
	if reply.Rcode == dns.RcodeSuccess && len(reply.Answer) == 0 && refers(msg) {
		return resolver.Reply{}, errReferral
	}
	return reply, nil
}

// kept is the response code that a client may be told. The rcode belongs to the
// end of the chain (RFC 6604). Codes that speak of our own query to the server
// are failures of that server.
func kept(rcode int) int {
	switch rcode {
	case dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeRefused, dns.RcodeYXDomain:
		return rcode
	}
	return dns.RcodeServerFailure
}

// invalid is the reply in place of one that contradicts itself.
func invalid(err error) resolver.Reply {
	return resolver.Reply{
		Rcode:  dns.RcodeServerFailure,
		Errors: []resolver.Error{{Code: dns.ExtendedErrorCodeInvalidData, Text: "the reply is invalid: " + err.Error()}},
	}
}

// The bounds of what a server may say about its failures (RFC 8914).
const (
	maxErrors    = 4
	maxErrorText = 200
)

// extended are the extended errors of a message. Their texts may be anybody's, so
// they are made safe to show before anything else sees them.
func extended(msg *dns.Msg) []resolver.Error {
	opt := msg.IsEdns0()
	if opt == nil {
		return nil
	}
	var errs []resolver.Error
	for _, option := range opt.Option {
		ede, ok := option.(*dns.EDNS0_EDE)
		if ok && len(errs) < maxErrors {
			errs = append(errs, resolver.Error{Code: ede.InfoCode, Text: resolver.CleanText(ede.ExtraText, maxErrorText)})
		}
	}
	return errs
}

// holdsPrivate tells whether an answer has an address that is not public, as an
// attacker uses to turn a browser against its own network (DNS rebinding), and
// as every private zone of an upstream rightly has.
func holdsPrivate(answer []dns.RR) bool {
	return slices.ContainsFunc(answer, func(rr dns.RR) bool {
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A)
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA)
		}
		return addr.IsValid() && isPrivate(addr.Unmap())
	})
}

func isPrivate(addr netip.Addr) bool {
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified()
}

// refers tells whether a message without an answer is a referral: servers in the
// authority section, no SOA, and neither authority nor recursion claimed.
func refers(msg *dns.Msg) bool {
	servers := false
	for _, rr := range msg.Ns {
		switch rr.Header().Rrtype {
		case dns.TypeSOA:
			return false
		case dns.TypeNS:
			servers = true
		}
	}
	return servers && !msg.Authoritative && !msg.RecursionAvailable
}

// walk follows the chain of a question through an answer section.
type walk struct {
	question resolver.Question
	sets     sets
	names    []string // the asked name and the targets of the aliases
	answer   []dns.RR
	ended    bool // the records asked for were found
}

// follow walks until the records asked for, or the end of the aliases.
func (w *walk) follow() error {
	seen := map[string]bool{w.names[0]: true}
	for {
		name := w.names[len(w.names)-1]
		if w.end(name) {
			return nil
		}
		target, err := w.alias(name)
		if err != nil || target == "" {
			return err
		}
		if seen[target] {
			return errInvalid("its chain of aliases comes back to " + target)
		}
		if len(w.names) > maxChain {
			return errInvalid(fmt.Sprintf("its chain has more than %d aliases", maxChain))
		}
		seen[target] = true
		w.names = append(w.names, target)
	}
}

// end takes the records asked for, if the chain ends at name. A name with an
// alias has nothing else (RFC 1034 section 3.6.2) but what may stand beside one.
func (w *walk) end(name string) bool {
	t := w.question.Type
	if t == dns.TypeANY {
		w.answer = append(w.answer, w.sets.any(name, w.question.DNSSEC)...)
		w.ended = len(w.answer) > 0
		return true
	}
	if !besideAlias(t) && len(w.sets.by[setKey{name, dns.TypeCNAME, false}]) > 0 {
		return false
	}
	w.ended = w.take(name, t)
	return w.ended || t == dns.TypeCNAME
}

// besideAlias tells whether a type may stand at a name that is an alias.
func besideAlias(t uint16) bool {
	return t == dns.TypeCNAME || t == dns.TypeRRSIG || t == dns.TypeNSEC
}

// take appends one record set, with its signatures if they are wanted.
func (w *walk) take(name string, t uint16) bool {
	set := w.sets.get(name, t, w.question.DNSSEC)
	w.answer = append(w.answer, set...)
	return len(set) > 0
}

// alias takes the alias at name, or the DNAME above it with the alias that
// follows from it (RFC 6672), and gives its target; empty if there is none.
func (w *walk) alias(name string) (string, error) {
	synthesised := w.substitute(name)
	set := w.sets.get(name, dns.TypeCNAME, w.question.DNSSEC)
	if len(set) == 0 {
		if synthesised == nil {
			return "", nil
		}
		set = []dns.RR{synthesised}
	}
	target := dns.CanonicalName(set[0].(*dns.CNAME).Target)
	for i, rr := range set {
		if other, ok := rr.(*dns.CNAME); ok && dns.CanonicalName(other.Target) != target {
			return "", errInvalid(name + " is an alias of two names")
		} else if !ok || i == 0 {
			w.answer = append(w.answer, rr)
		}
	}
	return target, nil
}

// substitute takes the DNAME closest above name and makes the alias it stands for.
func (w *walk) substitute(name string) *dns.CNAME {
	if !w.sets.has(dns.TypeDNAME) {
		return nil
	}
	for off, end := dns.NextLabel(name, 0); !end; off, end = dns.NextLabel(name, off) {
		set := w.sets.get(name[off:], dns.TypeDNAME, w.question.DNSSEC)
		if len(set) == 0 {
			continue
		}
		dname := set[0].(*dns.DNAME)
		target := name[:off] + dname.Target
		if dname.Target == "." {
			target = name[:off]
		}
		w.answer = append(w.answer, set...)
		if _, ok := dns.IsDomainName(target); !ok {
			return nil // too long: the server says YXDOMAIN
		}
		return &dns.CNAME{
			Hdr:    dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: dname.Hdr.Ttl},
			Target: target,
		}
	}
	return nil
}
