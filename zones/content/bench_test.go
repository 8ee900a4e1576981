package content_test

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/miekg/dns"

	"pldns/zones"
	"pldns/zones/content"
)

// many are the records of a zone with so many hosts.
func many(tb testing.TB, hosts int) iter.Seq[dns.RR] {
	return func(yield func(dns.RR) bool) {
		for rr := range records(tb, corp) {
			if !yield(rr) {
				return
			}
		}
		for i := range hosts {
			if !yield(host(i, i)) {
				return
			}
		}
	}
}

// host is the address record of a host with a number.
func host(number, address int) dns.RR {
	return &dns.A{
		Hdr: dns.RR_Header{Name: fmt.Sprintf("host-%07d.site-%d.corp.example.", number, number%16), Rrtype: dns.TypeA,
			Class: dns.ClassINET, Ttl: 60},
		A: []byte{10, byte(address >> 16), byte(address >> 8), byte(address)},
	}
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkNew makes zones of their records, and says how much memory they take.
func BenchmarkNew(b *testing.B) {
	for _, hosts := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(hosts), func(b *testing.B) {
			before := heap()
			var z *content.Zone
			for b.Loop() {
				var err error
				if z, err = content.New(zones.MustName("corp.example"), many(b, hosts)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(heap()-before)/float64(hosts), "bytes/record")
			runtime.KeepAlive(z)
		})
	}
}

func million(b *testing.B) *content.Zone {
	z, err := content.New(zones.MustName("corp.example"), many(b, 1_000_000))
	if err != nil {
		b.Fatal(err)
	}
	return z
}

// BenchmarkApply changes a zone of a million records by so many, half of them removed, half
// added, and finds out what has changed.
func BenchmarkApply(b *testing.B) {
	z := million(b)
	for _, count := range []int{1, 1_000, 100_000} {
		change := content.Change{From: z.SOA(), To: soa(b, z.Serial()+1)}
		for i := range max(count/2, 1) {
			change.Removed = append(change.Removed, host(10*i, 10*i))
			change.Added = append(change.Added, host(10*i, 10*i+1))
		}
		var next *content.Zone
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			for b.Loop() {
				var err error
				if next, err = z.Apply(change); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint("Diff/", count), func(b *testing.B) {
			for b.Loop() {
				if got := content.Diff(z, next); len(got.Added) != len(change.Added) {
					b.Fatalf("%d added", len(got.Added))
				}
			}
		})
	}
}

// BenchmarkLookup asks a zone of a million records for names that it has, each once in a
// while, and for others.
func BenchmarkLookup(b *testing.B) {
	z := million(b)
	names := make([]zones.Name, 1<<16)
	for _, kind := range []string{"found", "missing", "wildcard", "delegated"} {
		for i := range names {
			number := rand.IntN(1_000_000)
			names[i] = map[string]zones.Name{
				"found":    zones.NameOf(host(number, 0).Header().Name),
				"missing":  zones.MustName(fmt.Sprintf("none-%d.site-3.corp.example", number)),
				"wildcard": zones.MustName(fmt.Sprintf("h%d.wild.corp.example", number)), "delegated": zones.MustName(fmt.Sprintf("h%d.sub.corp.example", number)),
			}[kind]
		}
		want := map[string]content.Kind{"found": content.Records, "missing": content.NoName, "wildcard": content.Records, "delegated": content.Delegation}[kind]
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if got := z.Lookup(names[i%len(names)], dns.TypeA, false); got.Kind != want {
					b.Fatalf("%s: %s", names[i%len(names)], got.Kind)
				}
				i++
			}
		})
	}
}

// BenchmarkFile writes a zone of a million records, and reads it.
func BenchmarkFile(b *testing.B) {
	z := million(b)
	b.Run("WriteTo", func(b *testing.B) {
		for b.Loop() {
			if _, err := z.WriteTo(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	var file bytes.Buffer
	if _, err := z.WriteTo(&file); err != nil {
		b.Fatal(err)
	}
	b.Run("Read", func(b *testing.B) {
		for b.Loop() {
			if _, err := content.Read(bytes.NewReader(file.Bytes()), z.Apex()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
