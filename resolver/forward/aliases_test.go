package forward_test

import (
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
)

// Of a failure that comes with a chain its links are kept, in order and in lower case, and
// nothing else.
func TestScrubKeepsTheChainOfAFailure(t *testing.T) {
	www := question("www.contoso.com", dns.TypeA)
	for _, test := range []struct{ name, answer, want string }{
		{"a chain", "A.contoso.com. CNAME B.example.\nWww.Contoso.com. CNAME A.contoso.com.\nb.example. A 192.0.2.1\nx.contoso.com. CNAME y.example.",
			"www.contoso.com. CNAME a.contoso.com.\na.contoso.com. CNAME b.example."},
		{"a loop", "www.contoso.com. CNAME a.contoso.com.\na.contoso.com. CNAME www.contoso.com.",
			"www.contoso.com. CNAME a.contoso.com.\na.contoso.com. CNAME www.contoso.com."},
		{"no chain of this name", "x.contoso.com. CNAME y.example.\nwww.contoso.com. A 192.0.2.1", ""},
	} {
		msg := message(t, www, test.answer, "", "")
		for _, msg.Rcode = range []int{dns.RcodeServerFailure, dns.RcodeRefused} {
			reply, err := forward.Scrub(www, msg)
			if err != nil || reply.Rcode != msg.Rcode || reply.Authenticated {
				t.Fatalf("%s: got %s, error %v", test.name, dns.RcodeToString[reply.Rcode], err)
			}
			resolvertest.SameRecords(t, test.name, reply.Answer, test.want)
		}
	}
}
