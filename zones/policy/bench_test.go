package policy_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/content"
	"pldns/zones/policy"
)

// million is a file with a million entries, in the order of a hash, as lists have them.
func million(format string) string {
	var text strings.Builder
	if strings.HasPrefix(format, "track") {
		text.WriteString("$TTL 300\n@ SOA localhost. nobody.invalid. 1 1 1 1 30\n")
	}
	for i := range 1_000_000 {
		fmt.Fprintf(&text, format, uint32(i)*2654435761)
	}
	return text.String()
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkMillion reads a million entries, and says how much memory each takes.
func BenchmarkMillion(b *testing.B) {
	for _, kind := range []struct{ name, format string }{
		{"hosts", "0.0.0.0 track-%08x.ads.example\n"}, {"filters", "||track-%08x.ads.example^\n"},
		{"zone", "track-%08x.ads.example CNAME .\n"}, {"data", "track-%08x.ads.example A 10.0.0.9\n"},
	} {
		b.Run(kind.name, func(b *testing.B) {
			text := million(kind.format)
			before := heap()
			var p *policy.Policy
			for b.Loop() {
				p, _ = read(b, policy.Options{}, text)
			}
			b.ReportMetric(float64(heap()-before)/float64(p.Len()), "bytes/entry")
			runtime.KeepAlive(text)
			runtime.KeepAlive(p)
		})
	}
}

// BenchmarkRecords makes a policy of a zone of a million records that is held as a copy.
func BenchmarkRecords(b *testing.B) {
	apex := zones.MustName("rpz.example")
	z, err := content.New(apex, func(yield func(dns.RR) bool) {
		parser := dns.NewZoneParser(strings.NewReader("@ 1 IN NS .\n"+million("track-%08x.ads CNAME .\n")), apex.FQDN(), "")
		for rr, more := parser.Next(); more && yield(rr); rr, more = parser.Next() {
		}
	})
	if err != nil || z.Len() != 1_000_002 {
		b.Fatal(err)
	}
	for b.Loop() {
		builder := policy.NewBuilder()
		if _, err := builder.Add(apex, z.Records()); err != nil {
			b.Fatal(err)
		}
		builder.Build(policy.Options{Name: "bench"})
	}
}

// BenchmarkMatch looks up names among a million, each once in a while, so that little of it
// is in the processor's memory.
func BenchmarkMatch(b *testing.B) {
	p, _ := read(b, policy.Options{}, million("||track-%08x.ads.example^\n"))
	for _, kind := range []struct{ what, format string }{
		{"there", "track-%08x.ads.example"}, {"below", "www.track-%08x.ads.example"}, {"not there", "www.good-%08x.contoso.com"},
	} {
		names := make([]zones.Name, 1<<16)
		for i := range names {
			names[i] = zones.MustName(fmt.Sprintf(kind.format, uint32(i*13)*2654435761))
		}
		b.Run(kind.what, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				_, _ = p.Match(names[i%len(names)])
				i++
			}
		})
	}
}

// TestMillion: an entry takes at most 150 bytes.
func TestMillion(t *testing.T) {
	text := million("||track-%08x.ads.example^\n")
	before := heap()
	p, _ := read(t, policy.Options{}, text)
	if each := float64(heap()-before) / float64(p.Len()); each > 150 || p.Len() != 1_000_000 {
		t.Errorf("%d entries take %.0f bytes each", p.Len(), each)
	}
	runtime.KeepAlive(text)
	runtime.KeepAlive(p)
}
