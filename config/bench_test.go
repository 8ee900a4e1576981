package config_test

import (
	"fmt"
	"strings"
	"testing"

	"pldns/config"
)

// manyEndpoints is a file of networks with many mappings each.
func manyEndpoints(networks, count int) []byte {
	var b strings.Builder
	for n := range networks {
		fmt.Fprintf(&b, "[networks.n%d]\nclients = [\"10.%d.%d.0/24\"]\n[networks.n%d.endpoints]\n", n, n>>8, n&255, n)
		for i := range count {
			fmt.Fprintf(&b, "\"db-%07d.database.windows.net\" = \"10.%d.%d.%d\"\n", i, i>>16&255, i>>8&255, i&255)
		}
	}
	return []byte(b.String())
}

// BenchmarkParse reads files of up to a million endpoints, in one network and in
// many.
func BenchmarkParse(b *testing.B) {
	for _, size := range []struct{ networks, endpoints int }{{1, 100_000}, {1, 1_000_000}, {1000, 1000}} {
		b.Run(fmt.Sprintf("%dx%d", size.networks, size.endpoints), func(b *testing.B) {
			data := manyEndpoints(size.networks, size.endpoints)
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := config.Parse("many.toml", data, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size.networks*size.endpoints), "ns/endpoint")
		})
	}
}
