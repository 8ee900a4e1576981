package zones_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/miekg/dns"

	"pldns/zones"
)

// manyEndpoints is a network with so many endpoints.
func manyEndpoints(count int) zones.NetworkSpec {
	spec := zones.NetworkSpec{
		Name: "europe", Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Endpoints: make([]zones.Endpoint, count),
	}
	zone := zones.MustName("privatelink.database.windows.net")
	for i := range spec.Endpoints {
		var octets [4]byte
		binary.BigEndian.PutUint32(octets[:], 10<<24+uint32(i))
		spec.Endpoints[i] = zones.Endpoint{
			Name: zones.MustName(fmt.Sprintf("db-%07d.database.windows.net", i)), Private: zone.Under(fmt.Sprintf("db-%07d", i)),
			Zone: zone, Addresses: []netip.Addr{netip.AddrFrom4(octets)}, TTL: zones.DefaultTTL,
		}
	}
	return spec
}

// BenchmarkBuild compiles a network, and says how much memory its table takes.
func BenchmarkBuild(b *testing.B) {
	for _, count := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			specs := []zones.NetworkSpec{manyEndpoints(count)}
			before := heap()
			var table *zones.Table
			for b.Loop() {
				var err error
				if table, err = zones.Build(specs); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(heap()-before)/float64(count), "bytes/endpoint")
			runtime.KeepAlive(table)
			runtime.KeepAlive(specs)
		})
	}
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkLookupAmongMany looks up names of a network with many endpoints, each once in a
// while, so that little of it is in the processor's memory.
func BenchmarkLookupAmongMany(b *testing.B) {
	const count = 1_000_000
	spec := manyEndpoints(count)
	table, err := zones.Build([]zones.NetworkSpec{spec})
	if err != nil {
		b.Fatal(err)
	}
	network := table.Networks()[0]
	for _, kind := range []struct {
		what  string
		names func(e zones.Endpoint) zones.Name
	}{
		{"public", func(e zones.Endpoint) zones.Name { return e.Name }},
		{"private", func(e zones.Endpoint) zones.Name { return e.Private }},
		{"not ours", func(e zones.Endpoint) zones.Name { return e.Name.Under("x") }},
	} {
		names := make([]zones.Name, 1<<16)
		for i := range names {
			names[i] = kind.names(spec.Endpoints[i*7919%count])
		}
		b.Run(kind.what, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				_ = network.Lookup(names[i%len(names)], dns.TypeA)
				i++
			}
		})
	}
}
