//go:build linux

package main

import (
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// What dnsperf prints becomes figures: rates, the processor's time for a million
// queries, the times of single queries, and what was not answered with NOERROR.
func TestReadLoad(t *testing.T) {
	const printed = `> NOERROR r1.database.windows.net A 0.000100
> NOERROR r2.database.windows.net A 0.000300
> NOERROR r3.database.windows.net A 0.000200
Statistics:

  Queries sent:         2000
  Queries completed:    1990 (99.50%)
  Queries lost:         10 (0.50%)

  Response codes:       SERVFAIL 30 (1.51%), NOERROR 1960 (98.49%)
  Queries per second:   995.000000
`
	got, err := readLoad(printed, 199*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if got.rate != 995 || got.cpu < 99.9 || got.cpu > 100.1 || got.lost < 1.99 || got.lost > 2.01 || got.p50 < 199 || got.p50 > 201 {
		t.Errorf("read %+v", got)
	}
	if _, err := readLoad("Queries sent: 10\n", time.Second); err == nil {
		t.Error("a server that never answers is measured")
	}
}

// The stub answers what is asked, so that a server in front of it can remember it.
func TestStubReply(t *testing.T) {
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		packet, err := new(dns.Msg).SetQuestion("u1.example.", kind).SetEdns0(1232, true).Pack()
		if err != nil {
			t.Fatal(err)
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(stubReply(packet)); err != nil {
			t.Fatal(err)
		}
		if !reply.Response || reply.Question[0].Qtype != kind || reply.IsEdns0() == nil || len(reply.Answer)+len(reply.Ns) != 1 {
			t.Errorf("the reply is %v", reply)
		}
	}
	if stubReply([]byte("short")) != nil {
		t.Error("what is no query is answered")
	}
}

// Every server can be given its files and its command for every workload it takes
// part in, and the certificate fits its key.
func TestCommands(t *testing.T) {
	dir := t.TempDir()
	if err := writeCertificate(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")); err != nil {
		t.Error(err)
	}
	taking := make(map[string]int)
	for _, w := range workloads() {
		if w.endpoints*w.networks > 10_000 {
			continue // they take long to write
		}
		for _, s := range servers("pldns", "bench") {
			if !s.takesPart(w) || s.name == "echo" {
				continue
			}
			taking[w.group]++
			if command, err := s.command(s, dir, w); err != nil || len(command) < 2 {
				t.Errorf("%s, %s: %q, %v", w.name, s.name, command, err)
			}
		}
	}
	for group, least := range map[string]int{"w1": 10, "w2": 8, "w5": 10, "w5dot": 7, "networks": 1} {
		if taking[group] < least {
			t.Errorf("%d servers take part in %s", taking[group], group)
		}
	}
}
