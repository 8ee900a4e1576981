package forward_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
)

// with sets DO.
func with(q resolver.Question) resolver.Question {
	q.DNSSEC = true
	return q
}

// signature is an RRSIG over the set of type at owner, made by signer.
func signature(owner, covered, signer string) string {
	return fmt.Sprintf("%s 300 IN RRSIG %s 13 2 300 20300101000000 20260101000000 12345 %s c2lnbmF0dXJl\n", owner, covered, signer)
}

const soaContoso = "contoso.com. 300 IN SOA ns1.contoso.com. hostmaster.contoso.com. 1 3600 300 2419200 300\n"

// scrubCase is a message and what is kept of it.
type scrubCase struct {
	name                 string
	asked                resolver.Question
	answer, authority    string
	additional           string
	wantAnswer, wantAuth string
}

// runScrub runs cases that end in success.
func runScrub(t *testing.T, tests []scrubCase) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply, err := forward.Scrub(tt.asked, message(t, tt.asked, tt.answer, tt.authority, tt.additional))
			if err != nil || reply.Rcode != dns.RcodeSuccess {
				t.Fatalf("got %s, error %v, %v", dns.RcodeToString[reply.Rcode], err, reply.Errors)
			}
			resolvertest.SameRecords(t, "answer", reply.Answer, tt.wantAnswer)
			resolvertest.SameRecords(t, "authority", reply.Authority, tt.wantAuth)
		})
	}
}

func TestScrubKeepsTheChain(t *testing.T) {
	www := question("www.contoso.com", dns.TypeA)
	chain := "www.contoso.com. CNAME a.contoso.com.\na.contoso.com. CNAME b.example.\nb.example. A 192.0.2.1\n"
	runScrub(t, []scrubCase{
		{
			name: "a chain out of order is put in order", asked: www,
			answer:     "b.example. A 192.0.2.1\na.contoso.com. CNAME b.example.\nwww.contoso.com. CNAME a.contoso.com.",
			wantAnswer: chain,
		},
		{
			name: "records off the chain are dropped", asked: www,
			answer: chain + "momenta-eun.privatelink.database.windows.net. A 192.0.2.66\nwww.contoso.com. A 192.0.2.66\n" +
				"a.contoso.com. TXT \"x\"\nb.example. AAAA 2001:db8::1",
			authority:  "contoso.com. NS ns.evil.example.\n. NS ns.evil.example.",
			additional: "ns.evil.example. A 192.0.2.66\nwww.contoso.com. A 192.0.2.66",
			wantAnswer: chain,
		},
		{
			name: "the alias itself is asked for", asked: question("www.contoso.com", dns.TypeCNAME),
			answer: chain, wantAnswer: "www.contoso.com. CNAME a.contoso.com.",
		},
		{
			name: "a chain without an end", asked: www,
			answer:     "www.contoso.com. CNAME a.contoso.com.",
			wantAnswer: "www.contoso.com. CNAME a.contoso.com.",
		},
		{
			name: "DNAME and what follows from it (RFC 6672)", asked: question("www.old.example", dns.TypeA),
			answer:     "old.example. DNAME contoso.com.\nwww.old.example. CNAME www.contoso.com.\nwww.contoso.com. A 192.0.2.1\nexample. DNAME evil.example.",
			wantAnswer: "old.example. DNAME contoso.com.\nwww.old.example. CNAME www.contoso.com.\nwww.contoso.com. A 192.0.2.1",
		},
		{
			name: "DNAME alone", asked: question("www.old.example", dns.TypeA),
			answer:     "old.example. DNAME contoso.com.\nwww.contoso.com. A 192.0.2.1",
			wantAnswer: "old.example. DNAME contoso.com.\nwww.old.example. CNAME www.contoso.com.\nwww.contoso.com. A 192.0.2.1",
		},
		{
			name: "40 links in any order", asked: question("long.example", dns.TypeA),
			answer:     backwards(resolvertest.Chain("long.example", 40, "192.0.2.1")),
			wantAnswer: resolvertest.Chain("long.example", 40, "192.0.2.1"),
		},
		{
			name: "20 links", asked: question("long.example", dns.TypeA),
			answer: resolvertest.Chain("long.example", 20, "192.0.2.1"), wantAnswer: resolvertest.Chain("long.example", 20, "192.0.2.1"),
		},
	})
}

// backwards are lines in the opposite order.
func backwards(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Reverse(lines)
	return strings.Join(lines, "\n")
}

// RFC 8482: who asks for ANY gets one record set.
func TestScrubAnswersAnyWithOneSet(t *testing.T) {
	runScrub(t, []scrubCase{
		{
			name: "the first", asked: question("contoso.com", dns.TypeANY),
			answer: signature("contoso.com.", "TXT", "contoso.com.") +
				"contoso.com. TXT a\ncontoso.com. A 192.0.2.1\ncontoso.com. TXT b\ncontoso.com. MX 1 m.contoso.com.",
			wantAnswer: "contoso.com. TXT a\ncontoso.com. TXT b",
		},
		{
			name: "with its signature", asked: with(question("contoso.com", dns.TypeANY)),
			answer:     "contoso.com. A 192.0.2.1\ncontoso.com. TXT a\n" + signature("contoso.com.", "A", "contoso.com."),
			wantAnswer: "contoso.com. A 192.0.2.1\n" + signature("contoso.com.", "A", "contoso.com."),
		},
		{
			name: "an alias", asked: question("www.contoso.com", dns.TypeANY),
			answer:     "www.contoso.com. NSEC z.contoso.com. CNAME\nwww.contoso.com. CNAME a.contoso.com.",
			wantAnswer: "www.contoso.com. CNAME a.contoso.com.",
		},
	})
}

// The texts of an upstream are safe to show, wherever they end up.
func TestExtendedErrorsAreSafeToShow(t *testing.T) {
	asked := question("www.contoso.com", dns.TypeA)
	for text, want := range map[string]string{
		"no servers could be reached":         "no servers could be reached",
		"\x1b]0;pwned\a\x1b[31m\r\nfake line": `\x1b]0;pwned\a\x1b[31m\r\nfake line`,
		"\u202etxt.exe \xff":                  `\u202etxt.exe \xff`,
		strings.Repeat("y", 5000):             strings.Repeat("y", 200) + "...",
	} {
		msg := message(t, asked, "", "", "")
		msg.Rcode = dns.RcodeServerFailure
		msg.SetEdns0(1232, false)
		msg.IsEdns0().Option = append(msg.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: 22, ExtraText: text})
		reply, err := forward.Scrub(asked, msg)
		if err != nil || len(reply.Errors) != 1 || reply.Errors[0] != (resolver.Error{Code: 22, Text: want}) {
			t.Errorf("%q became %+v, error %v", text, reply.Errors, err)
		}
	}
}

func TestScrubKeepsWhatWasAskedFor(t *testing.T) {
	www := question("www.contoso.com", dns.TypeA)
	runScrub(t, []scrubCase{
		{
			name: "duplicates are dropped (RFC 2181 section 5)", asked: www,
			answer: "www.contoso.com. CNAME A.contoso.com.\nwww.contoso.com. CNAME a.contoso.com.\n" +
				"a.contoso.com. A 192.0.2.1\nA.contoso.com. 60 A 192.0.2.1\na.contoso.com. A 192.0.2.2",
			wantAnswer: "www.contoso.com. CNAME a.contoso.com.\na.contoso.com. A 192.0.2.1\na.contoso.com. A 192.0.2.2",
		},
		{
			name: "another class is not of the chain", asked: www,
			answer:     "www.contoso.com. 60 CH A 192.0.2.66\nwww.contoso.com. 60 IN A 192.0.2.1",
			wantAnswer: "www.contoso.com. A 192.0.2.1",
		},
		{
			name: "an unknown type (RFC 3597)", asked: question("www.contoso.com", 65280),
			answer:     `www.contoso.com. TYPE65280 \# 5 00C0FFEE0C`,
			wantAnswer: `www.contoso.com. TYPE65280 \# 5 00c0ffee0c`,
		},
		{
			name: "NODATA keeps the SOA around the name and nothing else (RFC 2308)", asked: www,
			authority: soaContoso + "contoso.com. NS ns1.contoso.com.\nexample. SOA a.example. b.example. 1 2 3 4 5\n" +
				"deep.www.contoso.com. SOA a.example. b.example. 1 2 3 4 5\ncontoso.com. NSEC z.contoso.com. A\n",
			wantAuth: soaContoso,
		},
		{
			name: "a positive answer keeps no SOA", asked: www,
			answer: "www.contoso.com. A 192.0.2.1", authority: soaContoso,
			wantAnswer: "www.contoso.com. A 192.0.2.1",
		},
	})
}

func TestScrubKeepsSignaturesAndProofs(t *testing.T) {
	www := question("www.contoso.com", dns.TypeA)
	runScrub(t, []scrubCase{
		{
			name: "signatures without DO (RFC 3225)", asked: www,
			answer:     "www.contoso.com. A 192.0.2.1\n" + signature("www.contoso.com.", "A", "contoso.com."),
			wantAnswer: "www.contoso.com. A 192.0.2.1",
		},
		{
			name: "signatures with DO", asked: with(www),
			answer: "www.contoso.com. A 192.0.2.1\n" + signature("www.contoso.com.", "A", "contoso.com.") +
				signature("www.contoso.com.", "AAAA", "contoso.com.") + signature("other.contoso.com.", "A", "contoso.com."),
			wantAnswer: "www.contoso.com. A 192.0.2.1\n" + signature("www.contoso.com.", "A", "contoso.com."),
		},
		{
			name: "signatures are asked for", asked: question("www.contoso.com", dns.TypeRRSIG),
			answer:     signature("www.contoso.com.", "A", "contoso.com."),
			wantAnswer: signature("www.contoso.com.", "A", "contoso.com."),
		},
		{
			name: "the proof of a negative answer with DO", asked: with(www),
			authority: soaContoso + signature("contoso.com.", "SOA", "contoso.com.") +
				"v.contoso.com. NSEC x.contoso.com. A\n" + signature("v.contoso.com.", "NSEC", "contoso.com.") +
				"example. NSEC x.example. A\n" + signature("example.", "NSEC", "example.") +
				"unsigned.contoso.com. NSEC x.contoso.com. A\ncontoso.com. NS ns1.contoso.com.",
			wantAuth: soaContoso + signature("contoso.com.", "SOA", "contoso.com.") +
				"v.contoso.com. NSEC x.contoso.com. A\n" + signature("v.contoso.com.", "NSEC", "contoso.com."),
		},
		{
			name: "the proof of a wildcard with DO (RFC 4035 section 3.1.3.3)", asked: with(www),
			answer:     "www.contoso.com. A 192.0.2.1\n" + signature("www.contoso.com.", "A", "contoso.com."),
			authority:  "v.contoso.com. NSEC x.contoso.com. A\n" + signature("v.contoso.com.", "NSEC", "contoso.com."),
			wantAnswer: "www.contoso.com. A 192.0.2.1\n" + signature("www.contoso.com.", "A", "contoso.com."),
			wantAuth:   "v.contoso.com. NSEC x.contoso.com. A\n" + signature("v.contoso.com.", "NSEC", "contoso.com."),
		},
	})
}

func TestScrubRefusesWhatContradictsItself(t *testing.T) {
	tests := []struct {
		name, answer string
		rcode        int
	}{
		{"a loop of two", resolvertest.Loop("www.contoso.com", 2), dns.RcodeSuccess},
		{"an alias of itself", resolvertest.Loop("www.contoso.com", 1), dns.RcodeSuccess},
		{"two aliases at one name", "www.contoso.com. CNAME a.example.\nwww.contoso.com. CNAME b.example.", dns.RcodeSuccess},
		{"more links than anybody follows", resolvertest.Chain("www.contoso.com", 100, "192.0.2.1"), dns.RcodeSuccess},
		{"NXDOMAIN with the records asked for", "www.contoso.com. A 192.0.2.1", dns.RcodeNameError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := question("www.contoso.com", dns.TypeA)
			msg := message(t, asked, tt.answer, "", "")
			msg.Rcode = tt.rcode
			reply, err := forward.Scrub(asked, msg)
			if err != nil || reply.Rcode != dns.RcodeServerFailure || len(reply.Answer) != 0 ||
				len(reply.Errors) != 1 || reply.Errors[0].Code != dns.ExtendedErrorCodeInvalidData {
				t.Errorf("got %+v, error %v: want SERVFAIL with EDE 24", reply, err)
			}
		})
	}
}

func TestScrubTTLs(t *testing.T) {
	tests := []struct {
		name, answer string
		want         uint32
	}{
		{"the lowest of a set (RFC 2181 section 5.2)", "www.contoso.com. 300 A 192.0.2.1\nwww.contoso.com. 60 A 192.0.2.2", 60},
		{"zero stays zero", "www.contoso.com. 0 A 192.0.2.1", 0},
		{"the highest there is", "www.contoso.com. 2147483647 A 192.0.2.1", 2147483647},
		{"the top bit means zero (RFC 2181 section 8)", "www.contoso.com. 2147483648 A 192.0.2.1\nwww.contoso.com. 60 A 192.0.2.2", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := question("www.contoso.com", dns.TypeA)
			reply, err := forward.Scrub(asked, message(t, asked, tt.answer, "", ""))
			if err != nil {
				t.Fatal(err)
			}
			for _, rr := range reply.Answer {
				if rr.Header().Ttl != tt.want {
					t.Errorf("got %v, want a TTL of %d", rr, tt.want)
				}
			}
		})
	}
}

func TestScrubTellsReferralsFromAnswers(t *testing.T) {
	asked := question("www.contoso.com", dns.TypeA)
	referral := func(change func(*dns.Msg)) *dns.Msg {
		msg := message(t, asked, "", "com. NS a.gtld-servers.net.", "a.gtld-servers.net. A 192.5.6.30")
		msg.RecursionAvailable = false
		change(msg)
		return msg
	}
	tests := []struct {
		name string
		msg  *dns.Msg
		lame bool
	}{
		{"a referral", referral(func(*dns.Msg) {}), true},
		{"recursion is available", referral(func(m *dns.Msg) { m.RecursionAvailable = true }), false},
		{"authoritative", referral(func(m *dns.Msg) { m.Authoritative = true }), false},
		{"with an SOA", referral(func(m *dns.Msg) { m.Ns = append(m.Ns, resolvertest.RR(t, soaContoso)) }), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply, err := forward.Scrub(asked, tt.msg)
			if (err != nil) != tt.lame {
				t.Errorf("got %+v, error %v", reply, err)
			}
			for _, rr := range reply.Authority {
				if rr.Header().Rrtype == dns.TypeNS {
					t.Errorf("kept %v", rr)
				}
			}
		})
	}
}

// A message of 64 KiB full of aliases and signatures takes no longer in
// proportion than a small one (the class of CVE-2023-4408); BenchmarkScrub
// measures it.
func largeMessage(tb testing.TB, q resolver.Question, records int) *dns.Msg {
	var text strings.Builder
	for i := range records {
		fmt.Fprintf(&text, "www.contoso.com. 300 IN A 10.%d.%d.%d\n", i>>16, i>>8&255, i&255)
		fmt.Fprintf(&text, "x%d.contoso.com. 300 IN CNAME x%d.contoso.com.\n", i, i+1)
		text.WriteString(signature("www.contoso.com.", "A", "contoso.com."))
	}
	return message(tb, q, text.String(), text.String(), "")
}

func BenchmarkScrub(b *testing.B) {
	for _, records := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			asked := with(question("www.contoso.com", dns.TypeA))
			msg := largeMessage(b, asked, records)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = forward.Scrub(asked, msg)
			}
		})
	}
}

// checkKept fails the test unless every record of a reply stands on the chain.
func checkKept(t *testing.T, q resolver.Question, reply resolver.Reply) {
	t.Helper()
	chain := map[string]bool{q.Name.FQDN(): true}
	for _, rr := range reply.Answer {
		name := dns.CanonicalName(rr.Header().Name)
		switch rr := rr.(type) {
		case *dns.DNAME, *dns.RRSIG: // above the chain, or checked with what it covers
		default:
			if !chain[name] {
				t.Fatalf("%v is off the chain of %s", rr, q.Name)
			}
			if cname, ok := rr.(*dns.CNAME); ok {
				chain[dns.CanonicalName(cname.Target)] = true
			}
		}
		if rr.Header().Class != dns.ClassINET || rr.Header().Ttl > 1<<31-1 {
			t.Fatalf("kept %v", rr)
		}
	}
	for _, rr := range reply.Authority {
		switch rr.Header().Rrtype {
		case dns.TypeSOA:
		case dns.TypeNSEC, dns.TypeNSEC3, dns.TypeRRSIG:
			if !q.DNSSEC {
				t.Fatalf("kept %v without DO", rr)
			}
		default:
			t.Fatalf("kept %v", rr)
		}
	}
}

// fuzzSeeds are messages that show every rule once.
func fuzzSeeds(f *testing.F) [][]byte {
	asked := question("www.contoso.com", dns.TypeA)
	var seeds [][]byte
	for _, text := range []string{
		"www.contoso.com. A 192.0.2.1",
		"www.contoso.com. CNAME b.example.\nb.example. A 192.0.2.1\nc.example. A 192.0.2.66",
		resolvertest.Loop("www.contoso.com", 3),
		"contoso.com. DNAME example.\nwww.contoso.com. CNAME www.example.",
		"www.contoso.com. A 192.0.2.1\n" + signature("www.contoso.com.", "A", "contoso.com."),
		`www.contoso.com. TYPE65280 \# 5 00C0FFEE0C`,
	} {
		packet, err := message(f, asked, text, soaContoso+"v.contoso.com. NSEC x.contoso.com. A\n", "").Pack()
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, packet)
	}
	return seeds
}

// FuzzScrub shows that whatever a message says, nothing off the chain is kept.
func FuzzScrub(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		f.Add(seed, uint16(dns.TypeA), false)
		f.Add(seed, uint16(dns.TypeANY), true)
		f.Add(seed, uint16(dns.TypeCNAME), true)
	}
	f.Fuzz(func(t *testing.T, packet []byte, qtype uint16, do bool) {
		msg := new(dns.Msg)
		if msg.Unpack(packet) != nil {
			return
		}
		asked := question("www.contoso.com", qtype)
		asked.DNSSEC = do
		reply, err := forward.Scrub(asked, msg)
		if err != nil {
			return
		}
		checkKept(t, asked, reply)
		for _, rr := range append(reply.Answer, reply.Authority...) {
			if rr.Header().Rdlength == 0 { // never gets past the reader
				continue
			}
			if _, err := dns.PackRR(rr, make([]byte, dns.MaxMsgSize), 0, nil, false); err != nil {
				t.Fatalf("kept %v, which cannot be sent on: %v", rr, err)
			}
		}
	})
}

// FuzzReply shows that arbitrary bytes at the port of a query are ignored, an
// error, or an answer, and do no harm. Half of them get the right id and
// question, or they would never count.
func FuzzReply(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Add([]byte{}, true)
	f.Add([]byte{0, 0, 0x80, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xC0, 0x0C}, true)
	f.Fuzz(func(t *testing.T, packet []byte, addressed bool) {
		asked := question("www.contoso.com", dns.TypeA)
		reply, counts, err := forward.ReadReply(asked, func(query, packet []byte) []byte {
			if addressed {
				// the whole question of the query, which has an OPT of 11 octets
				n := copy(packet, query[:2])
				for i := max(n, 12); i < min(len(packet), len(query)-11); i++ {
					packet[i] = query[i]
				}
			}
			return packet
		}, packet)
		if counts && err == nil {
			checkKept(t, asked, reply)
		}
	})
}
