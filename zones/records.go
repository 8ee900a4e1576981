package zones

import (
	"iter"

	"github.com/miekg/dns"
)

// Records ranges over the operator's own records, which endpoints are none of, in the order of
// the specification. Owners are in lower case; the records must not be changed.
func (n *Network) Records() iter.Seq[dns.RR] {
	return func(yield func(dns.RR) bool) {
		for i := range n.others {
			for _, rr := range n.others[i].records {
				if !yield(rr) {
					return
				}
			}
		}
	}
}
