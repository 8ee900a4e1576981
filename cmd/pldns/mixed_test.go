package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/resolvertest"
)

// 700 queries of three networks at once, over UDP and TCP, in random letter case,
// with and without EDNS, with a forged client subnet, for names that are there and
// names that are not: every reply is for its query and its asker.
func TestMixedQueries(t *testing.T) {
	upstream := azureDNS(t)
	r := start(t, regions(upstreamTable(upstream.Addr)))
	const queries, workers = 700, 10
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for range queries / workers {
				test := chains[random.IntN(len(chains))]
				query := new(dns.Msg).SetQuestion(randomCase(random, test.qname+"."), dns.TypeA)
				want := test.want
				switch random.IntN(3) {
				case 0:
					query.SetEdns0(uint16(random.IntN(5000)), false)
				case 1:
					query.SetEdns0(1232, false)
					forgeSubnet(query, []string{europe, australia, strict}[random.IntN(3)])
				default: // without EDNS there are no extended errors
					want = strings.ReplaceAll(strings.ReplaceAll(want, "EDE 18", ""), "EDE 0 | ", "")
				}
				network := []string{"udp", "tcp"}[random.IntN(2)]
				reply, err := r.exchange(network, test.from, r.addrs[0], query)
				if err != nil {
					t.Errorf("%s from %s: %v", test.qname, test.from, err)
					return
				}
				got := strings.ToLower(strings.Trim(says(reply), " |"))
				if got != strings.ToLower(strings.Trim(want, " |")) && !reply.Truncated {
					t.Errorf("%s from %s over %s\ngot  %s\nwant %s", test.qname, test.from, network, got, want)
				}
				if reply.Question[0] != query.Question[0] {
					t.Errorf("asked %v, the reply is for %v", query.Question[0], reply.Question[0])
				}
			}
		})
	}
	group.Wait()
	for _, q := range upstream.Queries() {
		if opt := q.Msg.IsEdns0(); opt != nil {
			for _, option := range opt.Option {
				if option.Option() == dns.EDNS0SUBNET {
					t.Fatal("a client subnet was passed on")
				}
			}
		}
	}
}

// randomCase is a name in random letter case (RFC 4343).
func randomCase(random *rand.Rand, name string) string {
	return strings.Map(func(c rune) rune {
		if random.IntN(2) == 0 {
			return c
		}
		return []rune(strings.ToUpper(string(c)))[0]
	}, name)
}

// forgeSubnet has the query claim to come from another address (RFC 7871).
func forgeSubnet(query *dns.Msg, address string) {
	opt := query.IsEdns0()
	opt.Option = append(opt.Option, &dns.EDNS0_SUBNET{
		Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 32, Address: net.ParseIP(address).To4(),
	})
}

// What explain says is what is served: from the running server, and from the
// file, for every chain.
func TestExplainIsTheServedAnswer(t *testing.T) {
	upstream := azureDNS(t)
	toml := regions(upstreamTable(upstream.Addr))
	r := start(t, toml)
	file := writeConfig(t, toml)
	for _, test := range chains {
		served := r.ask("udp", test.from, test.qname, dns.TypeA)
		for _, way := range [][]string{{"--server", r.admin}, {"-c", file}} {
			t.Run(test.name+" "+way[0], func(t *testing.T) {
				var stdout, stderr bytes.Buffer
				code := run(t.Context(), append([]string{"explain", test.qname, "--client", test.from, "--json"}, way...), &stdout, &stderr)
				var e resolver.Explanation
				if err := json.Unmarshal(stdout.Bytes(), &e); err != nil {
					t.Fatalf("%v: %s", err, stderr.String())
				}
				if got, want := withoutTTL(append(e.Answer, e.Authority...)), withoutTTL(presented(served)); got != want {
					t.Errorf("explained:\n%s\nserved:\n%s", got, want)
				}
				if e.Rcode != dns.RcodeToString[served.Rcode] {
					t.Errorf("explained %s, served %s", e.Rcode, dns.RcodeToString[served.Rcode])
				}
				if want := map[bool]int{true: exitFine, false: exitNo}[served.Rcode == dns.RcodeSuccess]; code != want {
					t.Errorf("exit code %d, want %d", code, want)
				}
			})
		}
	}
}

// presented are the records of a reply in master-file format.
func presented(reply *dns.Msg) []string {
	var lines []string
	for _, section := range [][]dns.RR{reply.Answer, reply.Ns} {
		for _, rr := range section {
			lines = append(lines, rr.String())
		}
	}
	return lines
}

// withoutTTL joins records in master-file format without their TTLs.
func withoutTTL(records []string) string {
	var text strings.Builder
	for _, record := range records {
		fields := strings.Fields(record)
		fmt.Fprintln(&text, fields[0], fields[2:])
	}
	return text.String()
}

// A name of another tenant that falls through is reported, by name and network,
// and so is a mapping that nobody asks for.
func TestUnmappedNames(t *testing.T) {
	r := start(t, regions(upstreamTable(azureDNS(t).Addr)))
	for range 2 {
		r.ask("udp", australia, "fabrikam.blob.core.windows.net", dns.TypeA)
	}
	r.ask("udp", australia, "momenta-eun.database.windows.net", dns.TypeA)
	r.ask("udp", strict, "fabrikam.blob.core.windows.net", dns.TypeA)

	var stdout, stderr bytes.Buffer
	var got string
	resolvertest.Until(t, "a name that was asked twice", func() bool { // what a client was told is noted just after
		stdout.Reset()
		code := run(t.Context(), []string{"unmapped", "--server", r.admin}, &stdout, &stderr)
		_, after, _ := strings.Cut(stdout.String(), "[networks.australia.endpoints]\n")
		got, _, _ = strings.Cut(after, "\n\n")
		return code == exitNo && strings.Contains(got, "asked 2 times") && !strings.Contains(got, "momenta-eun")
	}, &got)
	for _, want := range []string{`# "fabrikam.blob.core.windows.net" = "" # asked 2 times by 1 client, last `, ", answered 203.0.113.5",
		`# "momenta-aue.database.windows.net" is mapped, and nobody has asked for it`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "momenta-eun") {
		t.Errorf("an endpoint that was asked for is reported:\n%s", got)
	}
	if _, after, _ := strings.Cut(stdout.String(), "[networks.strict.endpoints]\n"); strings.Contains(after, "fabrikam") {
		t.Errorf("a name that was denied is reported as unmapped:\n%s", after)
	}
	stdout.Reset()
	run(t.Context(), []string{"leaks", "--server", r.admin, "--json"}, &stdout, &stderr) // by its old name
	if !strings.Contains(stderr.String(), `is called "pldns unmapped" now`) {
		t.Errorf("the old name is not said to be old: %s", stderr.String())
	}
	if !json.Valid(stdout.Bytes()) || !strings.Contains(stdout.String(), `"private_name": "fabrikam.privatelink.blob.core.windows.net"`) {
		t.Errorf("--json prints %s", stdout.String())
	}
}
