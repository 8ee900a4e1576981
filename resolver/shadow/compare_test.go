package shadow

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

const (
	alias = "db.database.windows.net. 60 IN CNAME db.privatelink.database.windows.net.\n"
	mine  = alias + "db.privatelink.database.windows.net. 60 IN A 10.0.1.4"
)

// What a migrating operator would want to know is a difference, and nothing else is.
func TestCompare(t *testing.T) {
	for _, test := range []struct {
		name         string
		ours, theirs string // records, or a response code
		own          bool
		want         Result
	}{
		{"the same", mine, mine, true, Same},
		{"other TTLs, another letter case", mine, strings.ToUpper(strings.ReplaceAll(mine, " 60 ", " 10 ")), true, Same},
		{"another order", "a. 1 IN A 10.0.0.1\na. 1 IN A 10.0.0.2", "a. 1 IN A 10.0.0.2\na. 1 IN A 10.0.0.1", true, Same},
		{"one of several, since the other is not healthy", "a. 1 IN A 10.0.0.1", "a. 1 IN A 10.0.0.1\na. 1 IN A 10.0.0.2", true, Same},
		{"one that the other does not know", "a. 1 IN A 10.0.0.1\na. 1 IN A 10.0.0.2", "a. 1 IN A 10.0.0.1", true, AddressesDiffer},
		{"another private address", mine, strings.Replace(mine, "10.0.1.4", "10.0.1.5", 1), true, AddressesDiffer},
		{"the public address", mine, alias + "db.privatelink.database.windows.net. 60 IN A 203.0.113.5", true, AddressesDiffer},
		{"a private one in place of a public one", alias + "db.privatelink.database.windows.net. 60 IN A 203.0.113.5", mine, false, AddressesDiffer},
		{"a mapping to a public address", "a. 1 IN A 203.0.113.5", "a. 1 IN A 203.0.113.6", true, AddressesDiffer},
		{"another load balancer", "a. 1 IN A 203.0.113.5", "a. 1 IN CNAME b.\nb. 1 IN A 198.51.100.7", false, Same},
		{"another private address from two upstreams", "a. 1 IN A 10.0.0.1", "a. 1 IN A 10.0.0.2", false, AddressesDiffer},
		{"the shared address space is private", "a. 1 IN A 100.64.0.1", "a. 1 IN A 203.0.113.5", false, AddressesDiffer},
		{"the same address under another name", mine, "db.database.windows.net. 60 IN A 10.0.1.4", true, AliasDiffers},
		{"the name does not exist there", mine, "NXDOMAIN", true, RcodeDiffers},
		{"the name does not exist here", "NXDOMAIN", mine, true, RcodeDiffers},
		{"it exists nowhere", "NXDOMAIN", "NXDOMAIN", true, Same},
		{"no record there", mine, alias, true, NoData},
		{"no record here", "", "a. 1 IN A 203.0.113.5", false, NoData},
		{"no record at all", alias, alias, true, Same},
		{"it fails there", mine, "SERVFAIL", true, Failed},
		{"it is refused there", mine, "REFUSED", true, Failed},
		{"it fails here alone", "SERVFAIL", mine, false, RcodeDiffers},
		{"it is refused here alone", "REFUSED", mine, true, RcodeDiffers},
		{"it fails at both", "SERVFAIL", "SERVFAIL", false, Failed},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := compare(dns.TypeA, answer(t, dns.TypeA, test.ours), answer(t, dns.TypeA, test.theirs), test.own); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// Of other types it counts whether there are records.
func TestCompareOtherTypes(t *testing.T) {
	srv := answer(t, dns.TypeSRV, "_ldap._tcp.corp. 60 IN SRV 0 0 389 a.corp.")
	other := answer(t, dns.TypeSRV, "_ldap._tcp.corp. 60 IN SRV 0 0 389 b.corp.")
	if got := compare(dns.TypeSRV, srv, other, false); got != Same {
		t.Errorf("other records: %s", got)
	}
	if got := compare(dns.TypeSRV, srv, answer(t, dns.TypeSRV, ""), false); got != NoData {
		t.Errorf("none: %s", got)
	}
}

func answer(t *testing.T, qtype uint16, text string) Answer {
	t.Helper()
	if rcode, is := dns.StringToRcode[text]; is {
		return Answer{Rcode: rcode}
	}
	return answerOf(qtype, dns.RcodeSuccess, resolvertest.RRs(t, text))
}

// An answer is one line for people, whatever is in it.
func TestAnswerText(t *testing.T) {
	for text, want := range map[string]string{
		mine: "10.0.1.4 of db.privatelink.database.windows.net", alias: "NODATA of db.privatelink.database.windows.net",
		"": "NODATA", "NXDOMAIN": "NXDOMAIN", "a. 1 IN A 10.0.0.2\na. 1 IN A 10.0.0.1": "10.0.0.1, 10.0.0.2",
		`a. 1 IN CNAME \027[31m\010.b.` + "\n" + `\027[31m\010.b. 1 IN A 10.0.0.1`: `10.0.0.1 of \027[31m\010.b`,
	} {
		if got := answer(t, dns.TypeA, text).String(); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if got := answer(t, dns.TypeSRV, "_ldap._tcp.corp. 60 IN SRV 0 0 389 a.corp.").String(); got != "records" {
		t.Errorf("other records are %q", got)
	}
}
