package forward

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// What was learnt is forgotten within a minute, and what the server has shown since
// counts for more.
func TestWhatIsLearntIsForgotten(t *testing.T) {
	began := time.Now()
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	asked := func(name string) resolver.Question {
		return resolver.Question{Name: zones.MustName(name), Type: dns.TypeA}
	}
	without := func(l *learned, name string, now time.Time) (o queryOptions) {
		l.apply(&o, asked(name), now)
		return o
	}
	l := newLearned(began)
	for i := range agreeing {
		l.except(noEDNS, asked(fmt.Sprintf("www.example%d.com", i)), at(i))
		if agreed := l.agree(noEDNS, asked(fmt.Sprintf("www.example%d.com", i)), at(i)); agreed != (i == agreeing-1) {
			t.Errorf("%d domains agree: %v", i+1, agreed)
		}
	}
	if o := without(l, "www.contoso.com", at(30)); !o.noEDNS || o.sameCase || o.noCookie {
		t.Errorf("after half a minute the options are %+v", o)
	}
	if o := without(l, "www.contoso.com", at(64)); o.noEDNS {
		t.Error("after a minute the server is still asked without EDNS")
	}
	if o := without(l, "www.example3.com", at(64)); o.noEDNS {
		t.Error("after a minute a domain is still asked without EDNS")
	}
	if text, exceptions := l.state(at(64)); len(text) != 0 || exceptions != 0 {
		t.Errorf("after a minute the state is %v, %d", text, exceptions)
	}
	l.show(noEDNS, at(100))
	for i := range 2 * agreeing {
		if l.agree(noEDNS, asked(fmt.Sprintf("www.example%d.com", i)), at(101+i)) {
			t.Error("domains agree on what another one contradicts")
		}
	}
	// As many domains as there is no room for.
	for i := range 2 * learnedDomains {
		l.except(sameCase, asked(fmt.Sprintf("www.example%d.com", i)), at(200))
	}
	if n := l.domains.Len(); n != learnedDomains {
		t.Errorf("%d domains are remembered", n)
	}
}
