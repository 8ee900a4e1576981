package main

import (
	"crypto"
	"fmt"
	"net/netip"
	"os"
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

// With the upstream server of deploy/dnssec, which checks signatures, what is signed comes
// with AD, and what is bogus fails and says why, unless the client checks itself. A mapped
// name depends on none of that.
func TestBeforeAValidator(t *testing.T) {
	zone, anchor := signedZone(t)
	bogus := strings.ReplaceAll(strings.ReplaceAll(zone, "signed.example.", "corp.contoso.com."), "203.0.113.42", "203.0.113.43")
	behind := resolvertest.StartUpstream(t, resolvertest.AzureData, zone, bogus)
	behind.Always(resolvertest.Changed(func(reply *dns.Msg) {
		if !strings.EqualFold(reply.Question[0].Name, "wrong.signed.example.") {
			return
		}
		reply.Rcode, reply.Ns = dns.RcodeSuccess, nil
		reply.Answer = resolvertest.RRs(t, "wrong.signed.example. 300 IN A 203.0.113.66")
	}))
	validator := peer{"unbound", "unbound", func(dir string, at, ask netip.AddrPort, source string) (map[string]string, []string) {
		text, err := os.ReadFile("../../deploy/dnssec/unbound.conf")
		if err != nil {
			t.Fatal(err)
		}
		files, args := unboundArguments(dir, at, ask, source)
		for file, here := range files {
			recipe := strings.NewReplacer("interface: 10.0.0.5", "", "port: 53", "", "10.0.0.4/32", "127.0.0.0/8",
				`auto-trust-anchor-file: "/var/lib/unbound/root.key"`, fmt.Sprintf("trust-anchor: %q", anchor)).Replace(string(text))
			files[file] = strings.Replace(here, `module-config: "iterator"`, "", 1) + recipe
		}
		return files, args
	}}
	at := startPeer(t, validator, behind.Addr, "127.0.0.1", behind)
	r := start(t, regions(upstreamTable(at)))
	do, cd := func(m *dns.Msg) { m.IsEdns0().SetDo() }, func(m *dns.Msg) { m.IsEdns0().SetDo(); m.CheckingDisabled = true }
	for _, test := range []struct {
		name, qname string
		change      func(*dns.Msg)
		rcode       int
		ad          bool
		bogus       bool // by an extended error
	}{
		{"signed", "www.signed.example", do, dns.RcodeSuccess, true, false},
		{"bogus", "wrong.signed.example", do, dns.RcodeServerFailure, false, true},
		{"bogus, for one who checks", "wrong.signed.example", cd, dns.RcodeSuccess, false, false},
		{"a negative trust anchor", "www.corp.contoso.com", do, dns.RcodeSuccess, false, false},
		{"unsigned", "www.contoso.com", do, dns.RcodeSuccess, false, false},
		{"mapped", "momenta-eun.database.windows.net", do, dns.RcodeSuccess, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			reply := r.ask("udp", europe, test.qname, dns.TypeA, test.change)
			bogus := false
			for _, option := range reply.IsEdns0().Option {
				if ede, is := option.(*dns.EDNS0_EDE); is {
					bogus = bogus || ede.InfoCode >= dns.ExtendedErrorCodeDNSBogus && ede.InfoCode <= dns.ExtendedErrorCodeNSECMissing
				}
			}
			if reply.Rcode != test.rcode || reply.AuthenticatedData != test.ad || bogus != test.bogus {
				t.Errorf("AD %v, bogus %v:\n%v", reply.AuthenticatedData, bogus, reply)
			}
		})
	}
}
