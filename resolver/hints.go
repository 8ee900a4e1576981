package resolver

import (
	"slices"

	"github.com/miekg/dns"

	"pldns/zones"
)

// withoutHints gives a reply with the address hints taken out of its records of type
// HTTPS and SVCB whose target the network owns (RFC 9460 section 7.3), or requires to have
// private addresses: a client would connect to the public ones. The target of an
// alias (section 2.4.2) is looked up by the client, which then comes back here.
//
// Everything else stays as it came, to the bit, but the signatures of what was changed.
func (c *chain) withoutHints(reply Reply) Reply {
	whole := reply.Unpacked()
	records := whole.Answer
	changed := records
	var owners []string
	for i, rr := range records {
		service, of := serviceOf(rr)
		if service == nil || !hinted(service) || !c.ownsTarget(service) {
			continue
		}
		if owners == nil {
			changed = slices.Clone(records)
		}
		changed[i] = of(unhinted(service))
		owners = append(owners, rr.Header().Name)
		c.trace.add("splice", "the addresses of the target of %s are for the network to tell: its hints are dropped", rr.Header().Name)
	}
	if owners == nil {
		return reply
	}
	c.altered = true
	whole.Answer = slices.DeleteFunc(changed, func(rr dns.RR) bool {
		signature, is := rr.(*dns.RRSIG)
		return is && signature.TypeCovered == c.query.Type && slices.Contains(owners, signature.Hdr.Name)
	})
	whole, _ = whole.Packed(c.asked) // it needs less room than before
	return whole
}

// serviceOf is what records of both types have in common, and what makes one of the
// same type of that; nil for records of other types.
func serviceOf(rr dns.RR) (service *dns.SVCB, of func(dns.SVCB) dns.RR) {
	switch rr := rr.(type) {
	case *dns.HTTPS:
		return &rr.SVCB, func(s dns.SVCB) dns.RR { return &dns.HTTPS{SVCB: s} }
	case *dns.SVCB:
		return rr, func(s dns.SVCB) dns.RR { return &s }
	default:
		return nil, nil
	}
}

// ownsTarget tells whether the addresses of the target are for the network to tell. A
// target of "." is the owner, in service mode.
func (c *chain) ownsTarget(service *dns.SVCB) bool {
	target := service.Target
	if target == "." {
		target = service.Hdr.Name
	}
	name := zones.NameOf(target)
	if _, required := c.network.RequiresPrivate(name); required {
		return true
	}
	return c.owns(name, dns.TypeA)
}

// isHint tells whether a parameter holds addresses.
func isHint(key dns.SVCBKey) bool { return key == dns.SVCB_IPV4HINT || key == dns.SVCB_IPV6HINT }

func hinted(service *dns.SVCB) bool {
	return slices.ContainsFunc(service.Value, func(value dns.SVCBKeyValue) bool { return isHint(value.Key()) })
}

// unhinted is a copy of a record without its hints. Where these were mandatory they are
// not any more, because a record that lacks what it calls mandatory is malformed (RFC
// 9460 section 8).
func unhinted(service *dns.SVCB) dns.SVCB {
	made := *service
	made.Value = nil
	for _, value := range service.Value {
		if isHint(value.Key()) {
			continue
		}
		if mandatory, is := value.(*dns.SVCBMandatory); is {
			left := slices.DeleteFunc(slices.Clone(mandatory.Code), isHint)
			if len(left) == 0 {
				continue
			}
			value = &dns.SVCBMandatory{Code: left}
		}
		made.Value = append(made.Value, value)
	}
	return made
}
