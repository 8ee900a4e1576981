package traffic_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/metrics"
	"pldns/resolver/traffic"
	"pldns/zones"
)

// clock is a clock that a test moves.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

// program is a program that counts: its traffic, and the counters beside it.
type program struct {
	*traffic.Traffic
	counters *metrics.Recorder
	observer listen.Observer
}

func start(c *clock) program {
	p := program{Traffic: traffic.New(traffic.Config{Now: c.read}), counters: metrics.New(metrics.Build{})}
	p.observer = p.Observe(p.counters)
	return p
}

// restart ends a program, which writes down what it knows, and starts it again.
func (p program) restart(t *testing.T, c *clock, away time.Duration) program {
	t.Helper()
	var state bytes.Buffer
	if err := p.Save(&state); err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(away)
	next := start(c)
	if err := next.Restore(&state); err != nil {
		t.Fatal(err)
	}
	return next
}

// counted are the queries that the counters have of a network.
func (p program) counted(t *testing.T, network string) (sum uint64) {
	t.Helper()
	families, err := p.counters.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "pldns_queries_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "network" && label.GetValue() == network {
					sum += uint64(metric.GetCounter().GetValue())
				}
			}
		}
	}
	return sum
}

func span(t testing.TB, name string) traffic.Span {
	t.Helper()
	span, known := traffic.ParseSpan(name)
	if !known {
		t.Fatal("there is no span", name)
	}
	return span
}

func local(network string) listen.Kind {
	return listen.Kind{Transport: "udp", Network: network, Source: resolver.FromLocal}
}

// question is a question section of type A for a name.
func question(t testing.TB, name string) []byte {
	t.Helper()
	packed := make([]byte, 300)
	end, err := dns.PackDomainName(dns.Fqdn(name), packed, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return append(packed[:end], 0, 1, 0, 1)
}

// exchange is a query by a client, and the reply to it.
func exchange(asked []byte, client string, network string, rcode int, took time.Duration) *listen.Exchange {
	e := &listen.Exchange{Transport: "udp", Question: asked, Took: took, Answer: resolver.Answer{Network: network, Rcode: rcode}}
	e.Query.Client = zones.NewClient(netip.MustParseAddr(client), netip.AddrPort{})
	return e
}
