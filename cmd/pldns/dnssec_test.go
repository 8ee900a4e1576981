package main

import (
	"crypto"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// signedZone is a zone with a key of its own, as master-file text, and the
// record that makes it trusted.
func signedZone(t *testing.T) (text, anchor string) {
	t.Helper()
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: "signed.example.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300},
		Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	private, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	rrsets := [][]dns.RR{{key},
		resolvertest.RRs(t, "www.signed.example. 300 IN A 203.0.113.42"),
		resolvertest.RRs(t, "alias.signed.example. 300 IN CNAME momenta-eun.database.windows.net."),
		resolvertest.RRs(t, "signed.example. 300 IN SOA ns.signed.example. h.signed.example. 1 3600 300 86400 60"),
		resolvertest.RRs(t, "signed.example. 300 IN NS ns.signed.example."),
	}
	var lines []string
	for _, rrset := range rrsets {
		signature := &dns.RRSIG{
			Hdr:       dns.RR_Header{Ttl: 300},
			Algorithm: key.Algorithm, KeyTag: key.KeyTag(), SignerName: "signed.example.",
			Inception: uint32(time.Now().Add(-time.Hour).Unix()), Expiration: uint32(time.Now().Add(time.Hour).Unix()),
		}
		if err := signature.Sign(private.(crypto.Signer), rrset); err != nil {
			t.Fatal(err)
		}
		for _, rr := range append(rrset, signature) {
			lines = append(lines, rr.String())
		}
	}
	return strings.Join(lines, "\n"), strings.ReplaceAll(key.ToDS(dns.SHA256).String(), "\t", " ")
}

// DNSSEC is transparent: signatures reach those who want them and nobody else, and
// the AD bit never covers an answer with a local part.
func TestSignaturesPass(t *testing.T) {
	zone, _ := signedZone(t)
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData, zone)
	upstream.Always(resolvertest.Changed(func(reply *dns.Msg) { reply.AuthenticatedData = true }))
	r := start(t, regions(upstreamTable(upstream.Addr)))
	do := func(m *dns.Msg) { m.IsEdns0().SetDo() }
	for _, test := range []struct {
		name, qname string
		change      func(*dns.Msg)
		signatures  int
		ad          bool
	}{
		{"wanted", "www.signed.example", do, 1, true},
		{"not wanted, from a memory that has them", "www.signed.example", func(*dns.Msg) {}, 0, false},
		{"with CD", "www.signed.example", func(m *dns.Msg) { do(m); m.CheckingDisabled = true }, 1, true},
		{"a chain into an owned name", "alias.signed.example", do, 1, false},
		{"an owned name", "momenta-eun.database.windows.net", do, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			reply := r.ask("udp", europe, test.qname, dns.TypeA, test.change)
			signatures := 0
			for _, rr := range reply.Answer {
				if rr.Header().Rrtype == dns.TypeRRSIG {
					signatures++
				}
			}
			if signatures != test.signatures || reply.AuthenticatedData != test.ad {
				t.Errorf("%d signatures, AD %v:\n%v", signatures, reply.AuthenticatedData, reply)
			}
			if want := test.name == "with CD"; reply.CheckingDisabled != want {
				t.Errorf("CD is %v, want %v", reply.CheckingDisabled, want)
			}
		})
	}
}

// A validating forwarder behind pldns finds signed names secure and owned names
// insecure, none bogus.
func TestBehindAValidator(t *testing.T) {
	zone, anchor := signedZone(t)
	upstream := resolvertest.StartUpstream(t, resolvertest.AzureData, zone)
	r := start(t, regions(upstreamTable(upstream.Addr)))
	validator := peer{"unbound", "unbound", func(dir string, at, ask netip.AddrPort, source string) (map[string]string, []string) {
		files, args := unboundArguments(dir, at, ask, source)
		for file, text := range files {
			files[file] = strings.Replace(text, `module-config: "iterator"`,
				fmt.Sprintf("module-config: \"validator iterator\"\n  trust-anchor: %q", anchor), 1)
		}
		return files, args
	}}
	at := startPeer(t, validator, r.addrs[0], europe, upstream)
	for _, test := range []struct {
		name, qname, want string
		secure            bool
	}{
		{"signed", "www.signed.example.", "A 203.0.113.42", true},
		{"owned", "momenta-eun.database.windows.net.", "A 10.0.1.4", false},
		{"signed alias of an owned name", "alias.signed.example.", "A 10.0.1.4", false},
		{"unsigned", "www.contoso.com.", "A 203.0.113.80", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			query := new(dns.Msg).SetQuestion(test.qname, dns.TypeA)
			query.AuthenticatedData = true
			reply, err := r.exchange("udp", "127.0.0.1", at, query)
			if err != nil {
				t.Fatal(err)
			}
			if got := says(reply); !strings.HasSuffix(got, test.want) || reply.AuthenticatedData != test.secure {
				t.Errorf("AD %v: %s", reply.AuthenticatedData, got)
			}
		})
	}
}
