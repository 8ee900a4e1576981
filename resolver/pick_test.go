package resolver_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/zones"
)

// ill are the addresses that cannot be reached.
type ill map[string]bool

func (i ill) Healthy(t zones.Target) bool { return !i[t.Addr.String()] || t.Probe.Spec().Port != 1433 }

func (ill) Fault(zones.Target) string { return "connection refused" }

// probe1433 is a probe of SQL Server.
func probe1433() zones.Probe { return zones.NewProbe(zones.ProbeSpec{Port: 1433}) }

func TestPick(t *testing.T) {
	db := sql("momenta-eun", "10.1.1.5")
	db.Addresses = append(db.Addresses, netip.MustParseAddr("10.0.1.4"), netip.MustParseAddr("fd00::4"))
	db.Probe, db.Pick = probe1433(), zones.PickFirstHealthy
	all := db
	all.Pick = zones.PickAll
	bare := db
	bare.Probe = zones.Probe{}
	bare.Pick = zones.PickAll
	const near, far = privateName + " 10 IN A 10.1.1.5", privateName + " 10 IN A 10.0.1.4"
	const farSoon = privateName + " 5 IN A 10.0.1.4"
	const nearSoon = privateName + " 5 IN A 10.1.1.5"
	for _, test := range []struct {
		name     string
		endpoint zones.Endpoint
		qtype    string
		ill      ill
		want     []string
		ede      int
	}{
		{"all are well", db, "A", ill{}, []string{near}, 0},
		{"the first is ill: the next, for a short time", db, "A", ill{"10.1.1.5": true}, []string{farSoon}, 0},
		{"the second is ill: the first, for a short time", db, "A", ill{"10.0.1.4": true}, []string{nearSoon}, 0},
		{"all are ill: the first, and it is said", db, "A", ill{"10.1.1.5": true, "10.0.1.4": true}, []string{nearSoon}, 1},
		{"the other family has a health of its own", db, "AAAA", ill{"10.1.1.5": true, "10.0.1.4": true}, []string{privateName + " 10 IN AAAA fd00::4"}, 0},
		{"all that are well", all, "A", ill{"10.1.1.5": true}, []string{farSoon}, 0},
		{"all, and all are ill", all, "A", ill{"10.1.1.5": true, "10.0.1.4": true}, []string{nearSoon, farSoon}, 1},
		{"nobody probes", bare, "A", ill{"10.1.1.5": true}, []string{near, far}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			table, err := zones.Build([]zones.NetworkSpec{{
				Name: "n", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Endpoints: []zones.Endpoint{test.endpoint},
			}})
			if err != nil {
				t.Fatal(err)
			}
			snapshot, err := resolver.NewSnapshot(resolver.Options{Table: table, Health: test.ill})
			if err != nil {
				t.Fatal(err)
			}
			answer := resolver.New(snapshot).Resolve(t.Context(), query("10.0.9.9", "momenta-eun.database.windows.net", test.qtype))
			q := query("10.0.9.9", "momenta-eun.database.windows.net", test.qtype)
			explained := resolver.NewExplanation(q, answer, new(resolver.Trace))
			if diff := cmp.Diff(test.want, explained.Answer[1:]); diff != "" || len(answer.Errors) != test.ede {
				t.Errorf("%d errors, addresses (-want +got):\n%s", len(answer.Errors), diff)
			}
			ptr := resolver.New(snapshot).Resolve(t.Context(), query("10.0.9.9", "5.1.1.10.in-addr.arpa", "PTR"))
			if len(ptr.Records) != 1 || ptr.Rcode != dns.RcodeSuccess {
				t.Errorf("the reverse name depends on health: %v", lines(ptr))
			}
		})
	}
}
