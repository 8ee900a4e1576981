package resolver

import (
	"github.com/miekg/dns"

	"pldns/zones"
)

// minimalTTL is how long, in seconds, clients may keep the record that stands for all
// that a name has.
const minimalTTL = 300

// minimal answers a question for ANY, which is never put to the outside: who answers it
// is a lever for reflection, and few do (RFC 8482). The outside has been asked for
// addresses. What it has at the name, addresses or an alias, is one RRset of several
// and enough; where it has neither, the name still exists, and a HINFO record says so:
// programs that ask for ANY take an empty answer for a name that does not exist.
func (c *chain) minimal() Answer {
	reply := c.reply
	c.signed = c.signed && reply.Authenticated
	for _, rr := range reply.Unpacked().Answer {
		if zones.NameOf(rr.Header().Name) == c.name() {
			c.records = append(c.records, rr)
		}
	}
	switch {
	case len(c.records) > 0: // whatever became of the end of the chain
		return Answer{Records: c.records, Authenticated: c.signed}
	case reply.Rcode == dns.RcodeSuccess:
		c.altered = true
		c.records = append(c.records, &dns.HINFO{
			Hdr: dns.RR_Header{Name: c.name().FQDN(), Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: minimalTTL}, Cpu: "RFC8482",
		})
		return Answer{Records: c.records, Errors: reply.Errors}
	case reply.Rcode == dns.RcodeNameError:
		return c.end(reply)
	default:
		return unanswered(c.route.Group, reply)
	}
}
