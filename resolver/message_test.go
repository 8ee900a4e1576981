package resolver_test

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

// reply is the reply to a query for the A records of name, which asks for more as it is
// changed, over EDNS or not.
func reply(a resolver.Answer, name string, edns bool, change func(*resolver.Query)) *dns.Msg {
	q := resolver.NewClientQuery(zones.MustName(name), dns.TypeA, zones.Client{})
	if q.Spelling = name; change != nil {
		change(&q)
	}
	return a.Message(q, edns)
}

func TestMessage(t *testing.T) {
	answer := resolver.Answer{
		Records:       resolvertest.RRs(t, "www.contoso.com. 300 IN A 203.0.113.80"),
		Authenticated: true,
		Errors:        []resolver.Error{{Code: dns.ExtendedErrorCodeStaleAnswer, Text: "stale"}},
	}
	for _, test := range []struct {
		name   string
		edns   bool
		change func(*resolver.Query)
		want   func(*dns.Msg) bool
	}{
		{"RA is set, RD copied (RFC 1035)", false, nil, func(m *dns.Msg) bool { return m.RecursionAvailable && m.RecursionDesired && m.Response }},
		{"RD clear stays clear", false, func(q *resolver.Query) { q.RecursionDesired = false }, func(m *dns.Msg) bool { return !m.RecursionDesired }},
		{"CD is copied (RFC 4035)", false, func(q *resolver.Query) { q.CheckingDisabled = true }, func(m *dns.Msg) bool { return m.CheckingDisabled }},
		{"Z is cleared", false, nil, func(m *dns.Msg) bool { return !m.Zero }},
		{"AD is not volunteered (RFC 6840 section 5.8)", false, nil, func(m *dns.Msg) bool { return !m.AuthenticatedData }},
		{"AD to who sets AD", false, func(q *resolver.Query) { q.WantsAD = true }, func(m *dns.Msg) bool { return m.AuthenticatedData }},
		{"AD to who sets DO", true, func(q *resolver.Query) { q.DNSSEC = true }, func(m *dns.Msg) bool { return m.AuthenticatedData && m.IsEdns0().Do() }},
		{"no OPT to who sent none (RFC 6891)", false, nil, func(m *dns.Msg) bool { return m.IsEdns0() == nil }},
		{"OPT with the error to who sent one (RFC 8914)", true, nil, func(m *dns.Msg) bool {
			opt := m.IsEdns0()
			return opt.UDPSize() == resolver.UDPSize && !opt.Do() && len(opt.Option) == 1 && opt.Option[0].(*dns.EDNS0_EDE).InfoCode == 3
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if reply := reply(answer, "www.contoso.com.", test.edns, test.change); !test.want(reply) {
				t.Errorf("got\n%v", reply)
			}
		})
	}
}

// RFC 4343: the question comes back letter by letter, and the records stand at
// that spelling of it.
func TestMessageKeepsTheSpelling(t *testing.T) {
	records := resolvertest.RRs(t, "www.contoso.com. 300 IN CNAME a.contoso.com.\na.contoso.com. 300 IN A 203.0.113.80")
	reply := reply(resolver.Answer{Records: records}, "wWw.ConToso.com.", false, nil)
	if reply.Question[0].Name != "wWw.ConToso.com." || reply.Answer[0].Header().Name != "wWw.ConToso.com." {
		t.Errorf("got\n%v", reply)
	}
	if records[0].Header().Name != "www.contoso.com." {
		t.Error("the shared record was changed")
	}
	if reply.Answer[1].Header().Name != "a.contoso.com." {
		t.Errorf("the second owner is %s", reply.Answer[1].Header().Name)
	}
}

func TestTraceNamesEachRoom(t *testing.T) {
	azure := &outside{tb: t, says: map[string]said{
		"db.contoso.com": {records: "db.contoso.com. 60 IN CNAME momenta-eun.database.windows.net."},
	}}
	_, trace := estate(t, azure, azure).Explain(t.Context(), query("10.0.9.9", "db.contoso.com", "A"))
	var text []string
	for _, step := range trace.Steps {
		text = append(text, step.Room+": "+step.Text)
	}
	for _, want := range []string{
		"network: europe: client 10.0.9.9 is in 10.0.0.0/16",
		"zone: db.contoso.com A: in no zone of the network",
		`upstream: db.contoso.com A: upstream azure, by forward entry ".": NOERROR from upstream of 192.0.2.53`,
		"splice: momenta-eun.database.windows.net is owned by the network",
		"zone: momenta-eun.database.windows.net A: an alias of momenta-eun.privatelink.database.windows.net, by endpoint momenta-eun.database.windows.net",
		"zone: momenta-eun.privatelink.database.windows.net A: answered by endpoint momenta-eun.database.windows.net in zone privatelink.database.windows.net",
		"answer: NOERROR from local, records: 3, CNAMEs followed: 2",
	} {
		if !strings.Contains(strings.Join(text, "\n"), want) {
			t.Errorf("no step %q in\n%s", want, strings.Join(text, "\n"))
		}
	}
}
