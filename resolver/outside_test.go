package resolver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/resolvertest"
)

// saying is an outside that answers questions "name TYPE", and denies all other names.
func saying(tb testing.TB, says map[string]said, asked *[]string) resolver.Exchanger {
	return resolvertest.Known(func(q resolver.Question) (resolver.Reply, error) {
		question := q.Name.String() + " " + dns.TypeToString[q.Type]
		if asked != nil {
			*asked = append(*asked, question)
		}
		s, known := says[question]
		if !known {
			s = said{rcode: dns.RcodeNameError, records: ". 60 IN SOA . . 1 1 1 1 60"}
		}
		reply := resolver.Reply{Rcode: s.rcode, Authenticated: s.authenticated, Source: resolver.FromUpstream}
		for _, rr := range parse(tb, s.records) {
			switch rr.Header().Rrtype {
			case dns.TypeSOA, dns.TypeNSEC:
				reply.Authority = append(reply.Authority, rr)
			default:
				reply.Answer = append(reply.Answer, rr)
			}
		}
		return reply, s.err
	})
}

// A chain of thirty links in one reply is followed to its end, in order; so is one in
// as many as a dozen replies. What is longer fails, and says so.
func TestLongChains(t *testing.T) {
	const name = "long.contoso.com"
	says := map[string]said{name + " A": {records: resolvertest.Chain(name, 30, "203.0.113.7")}}
	apart := make(map[string]said)
	for i := range 40 {
		apart[fmt.Sprintf("c%d.contoso.com A", i)] = said{records: fmt.Sprintf("c%d.contoso.com. 60 IN CNAME c%d.contoso.com.", i, i+1)}
	}
	apart["c40.contoso.com A"] = said{records: "c40.contoso.com. 60 IN A 203.0.113.8"}
	for _, test := range []struct {
		name  string
		says  map[string]said
		asked string
		links int // -1: it fails
	}{
		{"in one reply", says, name, 30},
		{"each in its own", apart, "c28.contoso.com", 12},
		{"too many of those", apart, "c0.contoso.com", -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			to := saying(t, test.says, nil)
			answer := resolver.New(estate(t, to, to)).Resolve(t.Context(), query("10.0.9.9", test.asked, "A"))
			if test.links < 0 {
				if answer.Rcode != dns.RcodeServerFailure || len(answer.Errors) != 1 || !strings.Contains(answer.Errors[0].Text, "CNAME chain") {
					t.Errorf("got %v, %v", lines(answer), answer.Errors)
				}
				return
			}
			if answer.Rcode != dns.RcodeSuccess || len(answer.Records) != test.links+1 || answer.Hops != test.links {
				t.Fatalf("got %v", lines(answer))
			}
			for i, rr := range answer.Records[:test.links] {
				if next := answer.Records[i+1].Header().Name; rr.(*dns.CNAME).Target != next {
					t.Errorf("after the link to %s comes %s", rr.(*dns.CNAME).Target, next)
				}
			}
		})
	}
}

// ANY is never asked outside, and never answered with nothing where the name exists (RFC
// 8482): programs such as those that use JNDI take that for no name.
func TestAnyOutside(t *testing.T) {
	says := map[string]said{
		"www.contoso.com A":   {records: "www.contoso.com. 300 IN A 203.0.113.80\nwww.contoso.com. 300 IN A 203.0.113.81", authenticated: true},
		"alias.contoso.com A": {records: "alias.contoso.com. 60 IN CNAME www.contoso.com.\nwww.contoso.com. 300 IN A 203.0.113.80"},
		"db.contoso.com A":    {records: "db.contoso.com. 60 IN CNAME momenta-eun.database.windows.net."},
		"mail.contoso.com A":  {records: "contoso.com. 60 IN SOA a. b. 1 1 1 1 60", authenticated: true},
		"dead.contoso.com A":  {rcode: dns.RcodeServerFailure},
	}
	for name, want := range map[string][]string{
		"www.contoso.com":   {"NOERROR AD", "www.contoso.com. A 203.0.113.80", "www.contoso.com. A 203.0.113.81"},
		"alias.contoso.com": {"NOERROR", "alias.contoso.com. CNAME www.contoso.com."},
		"db.contoso.com":    {"NOERROR", "db.contoso.com. CNAME momenta-eun.database.windows.net."},
		"mail.contoso.com":  {"NOERROR", `mail.contoso.com. HINFO "RFC8482" ""`},
		"none.contoso.com":  {"NXDOMAIN", ". SOA . . 1 1 1 1 60"},
		"dead.contoso.com":  {"SERVFAIL EDE 0"},
	} {
		var asked []string
		to := saying(t, says, &asked)
		if diff := cmp.Diff(want, lines(resolver.New(estate(t, to, to)).Resolve(t.Context(), query("10.0.9.9", name, "ANY")))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff([]string{name + " A"}, asked); diff != "" {
			t.Errorf("%s: asked (-want +got):\n%s", name, diff)
		}
	}
}

// Addresses in HTTPS and SVCB records are dropped where the network owns their target,
// with the signatures over them; all else passes as it came (RFC 9460).
func TestServiceHints(t *testing.T) {
	const mapped, private = "momenta-eun.database.windows.net.", "momenta-eun.privatelink.database.windows.net."
	signature := "svc.contoso.com. 300 IN RRSIG HTTPS 13 3 300 20300101000000 20200101000000 1 contoso.com. c2ln"
	for _, test := range []struct {
		name, qtype, records string
		want                 []string
	}{
		{"a mapped target", "HTTPS", `svc.contoso.com. 300 IN HTTPS 1 ` + mapped + ` alpn="h2" ipv4hint="20.1.2.3" ipv6hint="2001:db8::1"` + "\n" + signature,
			[]string{"NOERROR", `svc.contoso.com. HTTPS 1 ` + mapped + ` alpn="h2"`}},
		{"a private name as target", "HTTPS", `svc.contoso.com. 300 IN HTTPS 1 ` + private + ` port="8443" ipv4hint="20.1.2.3"`,
			[]string{"NOERROR", `svc.contoso.com. HTTPS 1 ` + private + ` port="8443"`}},
		{"hints that are mandatory", "SVCB", `svc.contoso.com. 300 IN SVCB 1 ` + mapped + ` mandatory="alpn,ipv4hint" alpn="h2" ipv4hint="20.1.2.3"`,
			[]string{"NOERROR", `svc.contoso.com. SVCB 1 ` + mapped + ` mandatory="alpn" alpn="h2"`}},
		{"only hints that are mandatory", "HTTPS", `svc.contoso.com. 300 IN HTTPS 1 ` + mapped + ` mandatory="ipv4hint" ipv4hint="20.1.2.3"`,
			[]string{"NOERROR", `svc.contoso.com. HTTPS 1 ` + mapped}},
		{"behind an alias, of its owner", "HTTPS", `svc.contoso.com. 300 IN CNAME edge.contoso.com.` + "\n" + `edge.contoso.com. 300 IN HTTPS 1 ` + mapped + ` ipv4hint="20.1.2.3"`,
			[]string{"NOERROR", "svc.contoso.com. CNAME edge.contoso.com.", `edge.contoso.com. HTTPS 1 ` + mapped}},
		{"a chain in alias mode, to a mapped owner", "HTTPS", `svc.contoso.com. 300 IN HTTPS 0 ` + mapped + "\n" + mapped + ` 300 IN HTTPS 1 . alpn="h2" ipv4hint="20.1.2.3"`,
			[]string{"NOERROR AD", `svc.contoso.com. HTTPS 0 ` + mapped, mapped + ` HTTPS 1 . alpn="h2"`}},
		{"alias mode passes as it came", "HTTPS", `svc.contoso.com. 300 IN HTTPS 0 ` + mapped + "\n" + signature,
			[]string{"NOERROR AD", `svc.contoso.com. HTTPS 0 ` + mapped, "svc.contoso.com. RRSIG HTTPS 13 3 300 20300101000000 20200101000000 1 contoso.com. c2ln"}},
		{"another target passes as it came", "HTTPS", `svc.contoso.com. 300 IN HTTPS 1 www.contoso.com. alpn="h2" ipv4hint="20.1.2.3"` + "\n" + signature,
			[]string{"NOERROR AD", `svc.contoso.com. HTTPS 1 www.contoso.com. alpn="h2" ipv4hint="20.1.2.3"`, "svc.contoso.com. RRSIG HTTPS 13 3 300 20300101000000 20200101000000 1 contoso.com. c2ln"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			records := resolvertest.RRs(t, test.records)
			before := fmt.Sprint(records)
			to := resolvertest.Known(func(q resolver.Question) (resolver.Reply, error) {
				return resolver.Reply{Answer: records, Authenticated: true, Source: resolver.FromUpstream}, nil
			})
			answer := resolver.New(estate(t, to, to)).Resolve(t.Context(), query("10.0.9.9", "svc.contoso.com", test.qtype))
			want := test.want
			if strings.Contains(before, "hint") && !strings.Contains(strings.Join(want, " "), "hint") {
				want[0] = "NOERROR" // nobody vouches for what was changed
			}
			if diff := cmp.Diff(want, lines(answer)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if fmt.Sprint(records) != before {
				t.Error("the shared records were changed")
			}
			elsewhere := resolver.New(estate(t, to, to)).Resolve(t.Context(), query("10.2.9.9", "svc.contoso.com", test.qtype))
			if got := fmt.Sprint(elsewhere.Records); strings.Contains(before, "hint") && !strings.Contains(got, "hint") && !strings.Contains(before, "privatelink") {
				t.Errorf("a network that does not own the target gets %s", got)
			}
		})
	}
}

// RFC 8020: whoever is told that a name does not exist takes what is below it for
// missing, too; so it is never said of a name above one that is mapped.
func TestNoDenialAboveMappedNames(t *testing.T) {
	says := map[string]said{"windows.net A": {rcode: dns.RcodeNameError, records: `
		net. 60 IN SOA a. b. 1 1 1 1 60
		windows.net. 60 IN NSEC x.net. A`, authenticated: true}}
	for client, want := range map[string][]string{
		"10.0.9.9": {"NOERROR", "net. SOA a. b. 1 1 1 1 60"},
		"10.2.9.9": {"NOERROR", "net. SOA a. b. 1 1 1 1 60"},
	} {
		to := saying(t, says, nil)
		for _, qtype := range []string{"A"} {
			if diff := cmp.Diff(want, lines(resolver.New(estate(t, to, to)).Resolve(t.Context(), query(client, "windows.net", qtype)))); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", client, qtype, diff)
			}
		}
	}
	to := saying(t, nil, nil)
	if answer := resolver.New(estate(t, to, to)).Resolve(t.Context(), query("10.0.9.9", "windows.org", "A")); answer.Rcode != dns.RcodeNameError {
		t.Errorf("another name: %v", lines(answer))
	}
}

// RFC 6604: a failure is about the end of the chain that comes with it. So an alias to a
// mapped name in it is followed, and nothing else of it counts.
func TestAliasInFailure(t *testing.T) {
	says := map[string]said{
		"db.contoso.com A":     {rcode: dns.RcodeServerFailure, records: "db.contoso.com. 60 IN CNAME momenta-eun.database.windows.net."},
		"denied.contoso.com A": {rcode: dns.RcodeRefused, records: "denied.contoso.com. 60 IN CNAME momenta-eun.database.windows.net."},
		"www.contoso.com A":    {rcode: dns.RcodeServerFailure, records: "www.contoso.com. 60 IN CNAME srv.corp.contoso.com."},
	}
	end := []string{aliasEUN, privateName + " A 10.0.1.4"}
	for name, want := range map[string][]string{
		"db.contoso.com":     append([]string{"NOERROR", "db.contoso.com. CNAME momenta-eun.database.windows.net."}, end...),
		"denied.contoso.com": append([]string{"NOERROR", "denied.contoso.com. CNAME momenta-eun.database.windows.net."}, end...),
		"www.contoso.com":    {"SERVFAIL EDE 0"},
	} {
		to := saying(t, says, nil)
		if diff := cmp.Diff(want, lines(resolver.New(estate(t, to, to)).Resolve(t.Context(), query("10.0.9.9", name, "A")))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
