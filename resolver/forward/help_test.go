package forward_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// ample is a time within which everything happens on the busiest machine.
const ample = time.Minute

// question is a question for name.
func question(name string, qtype uint16) resolver.Question {
	return resolver.Question{Name: zones.MustName(name), Type: qtype}
}

// plain is a plain server at addr.
func plain(addr netip.AddrPort) forward.Server { return forward.Server{Addr: addr} }

// pool makes a group called "azure" of plain servers, which has ample time and
// asks nobody twice but for a failure, and which has a socket pool where
// there are such.
func pool(t testing.TB, servers ...*resolvertest.Upstream) *forward.Pool {
	t.Helper()
	p, empty := forward.Pooled(poolWithout(t, servers...))
	t.Cleanup(empty)
	return p
}

// poolWithout is a pool that opens a socket for each query.
func poolWithout(t testing.TB, servers ...*resolvertest.Upstream) *forward.Pool {
	t.Helper()
	config := forward.Config{Name: "azure", Timeout: ample}
	for _, u := range servers {
		config.Servers = append(config.Servers, plain(u.Addr))
	}
	return forward.Patient(newPool(t, config))
}

// newPool makes a group.
func newPool(t testing.TB, config forward.Config) *forward.Pool {
	t.Helper()
	p, err := forward.New(config)
	if err != nil {
		t.Fatalf("make the pool: %v", err)
	}
	return p
}

// exchange asks and waits.
func exchange(p *forward.Pool, q resolver.Question) (resolver.Reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), ample)
	defer cancel()
	return resolver.Exchange(ctx, p, q, resolver.Asker{})
}

// mustExchange asks and fails the test on an error.
func mustExchange(t testing.TB, p *forward.Pool, q resolver.Question) resolver.Reply {
	t.Helper()
	reply, err := exchange(p, q)
	if err != nil {
		t.Fatalf("ask about %s: %v", q.Name, err)
	}
	return reply
}

// message is a reply to q with the given sections, one record to a line.
func message(t testing.TB, q resolver.Question, answer, authority, additional string) *dns.Msg {
	t.Helper()
	msg := new(dns.Msg).SetQuestion(q.Name.FQDN(), q.Type)
	msg.Response, msg.RecursionAvailable = true, true
	msg.Answer = resolvertest.RRs(t, answer)
	msg.Ns = resolvertest.RRs(t, authority)
	msg.Extra = resolvertest.RRs(t, additional)
	return msg
}
