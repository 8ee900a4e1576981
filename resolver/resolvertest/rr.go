package resolvertest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// RR is the record that text writes down in master-file form, for example
// "www.example. 60 IN A 192.0.2.1". A missing TTL is 3600 and a missing class IN.
func RR(tb testing.TB, text string) dns.RR {
	tb.Helper()
	rr, err := dns.NewRR(text)
	if err != nil || rr == nil {
		tb.Fatalf("%q is no record: %v", text, err)
	}
	return rr
}

// RRs are the records of a master-file text.
func RRs(tb testing.TB, text string) []dns.RR {
	tb.Helper()
	var rrs []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "")
	parser.SetDefaultTTL(3600)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		rrs = append(rrs, rr)
	}
	if err := parser.Err(); err != nil {
		tb.Fatalf("read master-file text: %v", err)
	}
	return rrs
}

// Lines writes records one to a line as "owner TYPE data": in the given order,
// owners in lower case, without TTL and class, so that lists can be compared.
func Lines(rrs []dns.RR) []string {
	lines := make([]string, len(rrs))
	for i, rr := range rrs {
		h := rr.Header()
		data := strings.TrimPrefix(rr.String(), h.String())
		if unknown, ok := rr.(*dns.RFC3597); ok {
			data = fmt.Sprintf(`\# %d %s`, len(unknown.Rdata)/2, strings.ToUpper(unknown.Rdata))
		}
		fields := strings.Fields(data)
		lines[i] = strings.Join(append([]string{dns.CanonicalName(h.Name), dns.Type(h.Rrtype).String()}, fields...), " ")
	}
	return lines
}

// SameRecords fails the test unless got are the records that want writes down,
// in that order, whatever their TTL and the letter case of their owners.
func SameRecords(tb testing.TB, what string, got []dns.RR, want ...string) {
	tb.Helper()
	var rrs []dns.RR
	for _, text := range want {
		rrs = append(rrs, RRs(tb, text)...)
	}
	if diff := cmp.Diff(Lines(rrs), Lines(got)); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Chain is the master-file text of a chain of n CNAMEs that begins at name and
// ends in an A record with address.
func Chain(name string, n int, address string) string {
	var text strings.Builder
	from := dns.Fqdn(name)
	for i := range n {
		to := fmt.Sprintf("link%d.%s", i+1, dns.Fqdn(name))
		fmt.Fprintf(&text, "%s 300 IN CNAME %s\n", from, to)
		from = to
	}
	fmt.Fprintf(&text, "%s 300 IN A %s\n", from, address)
	return text.String()
}

// Loop is the master-file text of n CNAMEs that lead from name back to it.
func Loop(name string, n int) string {
	var text strings.Builder
	from := dns.Fqdn(name)
	for i := range n {
		to := fmt.Sprintf("link%d.%s", i+1, dns.Fqdn(name))
		if i == n-1 {
			to = dns.Fqdn(name)
		}
		fmt.Fprintf(&text, "%s 300 IN CNAME %s\n", from, to)
		from = to
	}
	return text.String()
}
