package content_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/content"
)

// FuzzRead: a zone file of anybody gives a zone or an error, never a panic; what a zone says
// of itself, by its records and by its file, is that zone again; it answers whatever it is
// asked; and a change leads from one zone to another exactly.
func FuzzRead(f *testing.F) {
	f.Add(corp, strings.Replace(corp, " 7 3600", " 8 3600", 1)+"new.corp.example. 1 IN A 10.0.0.1\n", "x.wild.corp.example", uint16(dns.TypeA))
	f.Add(corp+signedNSEC, corp+signedNSEC3, "none.corp.example", uint16(dns.TypeMX))
	f.Add("corp.example. 1 IN SOA a. b. 1 1 1 1 1\ncorp.example. 1 IN NS a.\n\\000.corp.example. 1 TYPE1 \\# 4 0A000001\n",
		"corp.example. 1 IN SOA a. b. 4294967295 1 1 1 1\ncorp.example. 1 IN NS a.\n", "\\000.corp.example", uint16(dns.TypeANY))
	apex := zones.MustName("corp.example")
	f.Fuzz(func(t *testing.T, text, other, asked string, qtype uint16) {
		z, err := content.Read(strings.NewReader(text), apex)
		if err != nil {
			return
		}
		again, err := content.New(apex, z.Records())
		if err != nil || !same(z, again) {
			t.Fatalf("its records are another zone: %v", err)
		}
		var file bytes.Buffer
		if _, err := z.WriteTo(&file); err != nil {
			t.Fatal(err)
		}
		if again, err = content.Read(bytes.NewReader(file.Bytes()), apex); err != nil || !same(z, again) {
			t.Fatalf("its file is another zone: %v\n%s", err, file.String())
		}
		names := []string{asked}
		for rr := range z.Records() {
			names = append(names, rr.Header().Name, "*."+rr.Header().Name)
		}
		for _, text := range names {
			name, err := zones.ParseName(text)
			if err != nil {
				continue
			}
			if got := z.Lookup(name, qtype, true); (got.Kind == content.Outside) != !name.Within(apex) {
				t.Fatalf("%s: %s", name, got.Kind)
			}
		}
		next, err := content.Read(strings.NewReader(other), apex)
		if err != nil || !content.IsNewer(next.Serial(), z.Serial()) {
			return
		}
		made, err := z.Apply(content.Diff(z, next))
		if err != nil || !same(made, next) {
			t.Fatalf("a change leads to another zone: %v\n%s\nwant\n%s", err,
				lines(slices.Collect(made.Records())), lines(slices.Collect(next.Records())))
		}
	})
}

// FuzzApply: a change of anybody gives a zone or an error, never a panic, and leaves the zone
// that it changes as it was; what results differs by that change alone.
func FuzzApply(f *testing.F) {
	f.Add("www.corp.example. 60 IN A 10.0.0.1\n", "www.corp.example. 60 IN A 10.0.0.3\n", uint32(8))
	f.Add("alias.corp.example. 60 IN CNAME www.corp.example.\n", "x.corp.example. 60 IN NSEC3 1 0 0 - 00 A\n", uint32(9))
	f.Fuzz(func(t *testing.T, removed, added string, serial uint32) {
		z := zone(t, corp+signedNSEC)
		before := lines(slices.Collect(z.Records()))
		change := content.Change{From: z.SOA(), To: soa(t, serial), Removed: parsed(removed), Added: parsed(added)}
		next, err := z.Apply(change)
		if lines(slices.Collect(z.Records())) != before {
			t.Fatal("the zone has changed")
		}
		if err != nil {
			return
		}
		again, err := z.Apply(content.Diff(z, next))
		if err != nil || !same(again, next) {
			t.Fatalf("what differs leads to another zone: %v", err)
		}
		for _, rr := range change.Added {
			name, err := zones.ParseName(rr.Header().Name)
			if err != nil || next.Lookup(name, rr.Header().Rrtype, false).Kind == content.Outside {
				t.Fatalf("%s is not there", rr)
			}
		}
	})
}

// parsed are the records that can be read.
func parsed(text string) (all []dns.RR) {
	parser := dns.NewZoneParser(strings.NewReader(text), "corp.example.", "")
	for rr, more := parser.Next(); more && len(all) < 100; rr, more = parser.Next() {
		all = append(all, rr)
	}
	return all
}

// same tells whether two zones have the same records.
func same(a, b *content.Zone) bool {
	return a.Len() == b.Len() && a.Serial() == b.Serial() &&
		lines(slices.Collect(a.Records())) == lines(slices.Collect(b.Records()))
}

// Chains without signatures, which nothing here checks.
const (
	signedNSEC = `
corp.example. 300 IN NSEC www.corp.example. NS SOA NSEC
www.corp.example. 300 IN NSEC corp.example. A NSEC
`
	signedNSEC3 = `
corp.example. 0 IN NSEC3PARAM 1 0 1 AB
0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM.corp.example. 300 IN NSEC3 1 0 1 AB 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG
2T7B4G4VSA5SMI47K61MV5BV1A22BOJR.corp.example. 300 IN NSEC3 1 0 1 AB 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A RRSIG
`
)
