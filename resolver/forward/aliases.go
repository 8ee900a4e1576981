package forward

import (
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// aliases are the links of the chain that a failure comes with, in order: the failure
// is about what is at their end (RFC 6604 section 3), and the asker's network may own a
// name on the way there.
func aliases(q resolver.Question, answer []dns.RR) (chain []dns.RR) {
	if q.Type == dns.TypeCNAME || len(answer) == 0 {
		return nil
	}
	links := make(map[zones.Name]*dns.CNAME)
	for _, rr := range answer {
		if cname, is := rr.(*dns.CNAME); is && cname.Hdr.Class == dns.ClassINET {
			links[zones.NameOf(cname.Hdr.Name)] = cname
		}
	}
	for at := q.Name; ; {
		link, more := links[at]
		if !more || len(chain) == maxChain {
			return chain
		}
		delete(links, at) // so that a loop ends
		made := &dns.CNAME{Hdr: link.Hdr, Target: zones.NameOf(link.Target).FQDN()}
		made.Hdr.Name = at.FQDN()
		chain = append(chain, made)
		at = zones.NameOf(link.Target)
	}
}
