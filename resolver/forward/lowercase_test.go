package forward_test

import (
	"crypto"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/resolver/resolvertest"
)

// Names in records are in lower case, wherever the letter case of our query or of a
// zone file would come out, but where it is signed as it is.
func TestScrubWritesNamesInLowerCase(t *testing.T) {
	tests := []struct {
		asked        resolver.Question
		answer, want string // the last record
	}{
		{question("www.contoso.com", dns.TypeA), "WWW.Contoso.COM. 60 IN A 192.0.2.1", "www.contoso.com. 60 IN A 192.0.2.1"},
		{question("www.contoso.com", dns.TypeCNAME), "wWw.contoso.com. 60 IN CNAME Other.Example.",
			"www.contoso.com. 60 IN CNAME other.example."},
		{question("contoso.com", dns.TypeNS), "Contoso.com. 60 IN NS NS1.Contoso.com.", "contoso.com. 60 IN NS ns1.contoso.com."},
		{question("contoso.com", dns.TypeMX), "contoso.com. 60 IN MX 10 MAIL.contoso.com.", "contoso.com. 60 IN MX 10 mail.contoso.com."},
		{question("contoso.com", dns.TypeSRV), "contoso.com. 60 IN SRV 1 2 3 SIP.contoso.com.", "contoso.com. 60 IN SRV 1 2 3 sip.contoso.com."},
		{question("contoso.com", dns.TypePTR), "contoso.com. 60 IN PTR A.Contoso.com.", "contoso.com. 60 IN PTR a.contoso.com."},
		{question("contoso.com", dns.TypeSOA), "contoso.com. 60 IN SOA NS1.contoso.com. Host.contoso.com. 1 2 3 4 5",
			"contoso.com. 60 IN SOA ns1.contoso.com. host.contoso.com. 1 2 3 4 5"},
		{question("contoso.com", dns.TypeHTTPS), `contoso.com. 60 IN HTTPS 1 Web.contoso.com. alpn="h2"`,
			`contoso.com. 60 IN HTTPS 1 web.contoso.com. alpn="h2"`},
		{with(question("contoso.com", dns.TypeHTTPS)), `Contoso.com. 60 IN HTTPS 1 Web.contoso.com.`,
			`contoso.com. 60 IN HTTPS 1 Web.contoso.com.`},
		{question("contoso.com", dns.TypeNAPTR), `contoso.com. 60 IN NAPTR 1 2 "S" "SIP+D2U" "" _SIP.contoso.com.`,
			`contoso.com. 60 IN NAPTR 1 2 "S" "SIP+D2U" "" _sip.contoso.com.`},
		{question("contoso.com", dns.TypeTXT), `contoso.com. 60 IN TXT "As It Is"`, `contoso.com. 60 IN TXT "As It Is"`},
		{question("contoso.com", dns.TypeNSEC), `contoso.com. 60 IN NSEC Z.contoso.com. A`, `contoso.com. 60 IN NSEC Z.contoso.com. A`},
		{question("contoso.com", 65280), `contoso.com. 60 IN TYPE65280 \# 3 414243`, `contoso.com. 60 IN TYPE65280 \# 3 414243`},
		{with(question("contoso.com", dns.TypeTXT)), "contoso.com. 300 IN TXT x\n" + signature("contoso.com.", "TXT", "Contoso.com."),
			signature("contoso.com.", "TXT", "contoso.com.")},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			reply, err := forward.Scrub(tt.asked, message(t, tt.asked, tt.answer, "", ""))
			if err != nil || len(reply.Answer) == 0 {
				t.Fatalf("got %+v, error %v", reply, err)
			}
			want := resolvertest.RRs(t, tt.want)[0].String()
			if got := reply.Answer[len(reply.Answer)-1].String(); got != want {
				t.Errorf("got %s", got)
			}
		})
	}
	asked := question("no.contoso.com", dns.TypeA)
	reply, err := forward.Scrub(asked, message(t, asked, "", strings.Replace(soaContoso, "contoso", "CONTOSO", 1), ""))
	if err != nil || len(reply.Authority) != 1 || reply.Authority[0].Header().Name != "contoso.com." {
		t.Errorf("the authority is %v, error %v", reply.Authority, err)
	}
}

// Signatures over records with names in mixed case are still good after that.
func TestSignaturesStayGoodInLowerCase(t *testing.T) {
	key := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: "contoso.com.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300},
		Flags: 256, Protocol: 3, Algorithm: dns.ECDSAP256SHA256,
	}
	secret, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"Contoso.com. 300 IN MX 10 MAIL.Contoso.com.", "contoso.com. 300 IN HTTPS 1 Web.Contoso.com. alpn=h2",
		"contoso.com. 300 IN SRV 1 2 3 SIP.contoso.com.", "contoso.com. 300 IN SOA NS1.contoso.com. Host.contoso.com. 1 2 3 4 5",
		"contoso.com. 300 IN NSEC Z.contoso.com. A",
	} {
		record := resolvertest.RR(t, text)
		signature := &dns.RRSIG{
			Hdr:       dns.RR_Header{Name: "contoso.com.", Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 300},
			Algorithm: key.Algorithm, KeyTag: key.KeyTag(), SignerName: "contoso.com.", Inception: 1767225600, Expiration: 1893456000,
		}
		if err := signature.Sign(secret.(crypto.Signer), []dns.RR{record}); err != nil {
			t.Fatal(err)
		}
		signature.SignerName = "Contoso.COM."
		asked := with(question("contoso.com", record.Header().Rrtype))
		msg := message(t, asked, "", "", "")
		msg.Answer = []dns.RR{record, signature}
		reply, err := forward.Scrub(asked, msg)
		if err != nil || len(reply.Answer) != 2 {
			t.Fatalf("%s: kept %v, error %v", text, reply.Answer, err)
		}
		if err := reply.Answer[1].(*dns.RRSIG).Verify(key, reply.Answer[:1]); err != nil {
			t.Errorf("%s became %s: %v", text, reply.Answer[0], err)
		}
	}
}
