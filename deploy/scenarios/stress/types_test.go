//go:build linux

package stress

import (
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// manyTexts are the data of small records by their type, of which numbers make many.
// Those of other types are in answerOf.
var manyTexts = map[uint16]string{
	dns.TypeA: "203.0.%[1]d.%[2]d", dns.TypeAAAA: "2001:db8::%[1]x:%[2]x", dns.TypeNS: "n%[1]d-%[2]d.example.",
	dns.TypeMX: "%[1]d m%[2]d.example.", dns.TypeSRV: "%[1]d 1 %[2]d s.example.", dns.TypePTR: "p%[1]d-%[2]d.example.",
	dns.TypeCAA: "0 issue \"%[1]d-%[2]d.example\"", dns.TypeNAPTR: "%[1]d %[2]d \"\" \"\" \"\" .",
	dns.TypeDS: "%[1]d 8 2 %064[2]d", dns.TypeURI: "%[1]d %[2]d \"u\"", dns.TypeTLSA: "3 1 1 %032[1]d%032[2]d",

	dns.TypeMB: "m%[1]d-%[2]d.example.", dns.TypeMD: "m%[1]d-%[2]d.example.", dns.TypeMF: "m%[1]d-%[2]d.example.",
	dns.TypeMG: "m%[1]d-%[2]d.example.", dns.TypeMR: "m%[1]d-%[2]d.example.", dns.TypeNSAPPTR: "n%[1]d-%[2]d.example.",
	dns.TypeAFSDB: "%[1]d a%[2]d.example.", dns.TypeRT: "%[1]d r%[2]d.example.", dns.TypeKX: "%[1]d k%[2]d.example.",
	dns.TypeLP: "%[1]d l%[2]d.example.", dns.TypePX: "%[1]d p%[2]d.example. x.example.", dns.TypeRP: "r%[1]d.example. t%[2]d.example.",
	dns.TypeMINFO: "r%[1]d.example. e%[2]d.example.", dns.TypeTALINK: "t%[1]d.example. u%[2]d.example.",
	dns.TypeSOA: "ns.example. host.example. %[1]d %[2]d 60 60 60", dns.TypeHINFO: "\"%[1]d\" \"%[2]d\"", dns.TypeISDN: "\"%[1]d\" \"%[2]d\"",
	dns.TypeX25: "%[1]d%03[2]d", dns.TypeUINFO: "\"%[1]d-%[2]d\"", dns.TypeUID: "%[1]d%03[2]d", dns.TypeGID: "%[1]d%03[2]d",
	dns.TypeGPOS: "%[1]d %[2]d 1", dns.TypeLOC: "5%[1]d 10 1.000 N 1 1 1.000 E %[2]dm 1m 1m 1m", dns.TypeEID: "%08[1]x%08[2]x", dns.TypeNIMLOC: "%08[1]x%08[2]x",
	dns.TypeEUI48: "00-00-00-00-%02[1]x-%02[2]x", dns.TypeEUI64: "00-00-00-00-00-00-%02[1]x-%02[2]x",
	dns.TypeNID: "%[1]d 0000:0000:0000:%04[2]x", dns.TypeL32: "%[1]d 10.0.0.%[2]d", dns.TypeL64: "%[1]d 0000:0000:0000:%04[2]x",
	dns.TypeCDS: "%[1]d 8 2 %064[2]d", dns.TypeDLV: "%[1]d 8 2 %064[2]d", dns.TypeTA: "%[1]d 8 2 %064[2]d",
	dns.TypeDNSKEY: "256 3 13 %04[1]d%04[2]d", dns.TypeCDNSKEY: "256 3 13 %04[1]d%04[2]d", dns.TypeKEY: "256 3 13 %04[1]d%04[2]d",
	dns.TypeRKEY: "256 3 13 %04[1]d%04[2]d", dns.TypeOPENPGPKEY: "%04[1]d%04[2]d", dns.TypeDHCID: "%04[1]d%04[2]d",
	dns.TypeCERT: "1 %[1]d 8 %08[2]d", dns.TypeSMIMEA: "3 1 1 %032[1]d%032[2]d", dns.TypeSSHFP: "1 1 %032[1]d%032[2]d",
	dns.TypeZONEMD: "%[1]d 1 240 %024[2]d", dns.TypeNSEC3PARAM: "1 0 %[1]d %08[2]d", dns.TypeNXT: "n%[1]d-%[2]d.example. A",
	dns.TypeRRSIG: "A 13 2 %[1]d 20300101000000 20200101000000 %[2]d example. AAAA", dns.TypeSIG: "A 13 2 %[1]d 20300101000000 20200101000000 %[2]d example. AAAA",
	dns.TypeIPSECKEY: "%[1]d 1 2 192.0.2.%[2]d AAAA", dns.TypeAMTRELAY: "%[1]d 0 1 192.0.2.%[2]d", dns.TypeNULL: "\\# 4 %04[1]x%04[2]x",
}

// notAnswers are types that no question is answered with, or that go on elsewhere.
var notAnswers = []uint16{
	dns.TypeANY, dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY, dns.TypeAXFR, dns.TypeIXFR, dns.TypeCNAME, dns.TypeDNAME, dns.TypeNXNAME,
}

// TestEveryTypeIsTried: no type that the library can unpack is left out.
func TestEveryTypeIsTried(t *testing.T) {
	for kind, name := range dns.TypeToString {
		if _, known := dns.TypeToRR[kind]; !known || slices.Contains(notAnswers, kind) {
			continue
		}
		if packedReply(kind) == nil {
			t.Errorf("nothing is known that %s would be answered with", name)
		}
	}
}
