package config_test

import (
	"fmt"
	"strings"
	"testing"

	"pldns/config"
)

// manyEndpoints is a file with many mappings in one network.
func manyEndpoints(count int) []byte {
	var b strings.Builder
	b.WriteString("[networks.europe]\nclients = [\"10.0.0.0/16\"]\n[networks.europe.endpoints]\n")
	for i := range count {
		fmt.Fprintf(&b, "\"db-%07d.database.windows.net\" = \"10.%d.%d.%d\"\n", i, i>>16&255, i>>8&255, i&255)
	}
	return []byte(b.String())
}

// BenchmarkParse reads a file of 100,000 endpoints.
func BenchmarkParse(b *testing.B) {
	data := manyEndpoints(100_000)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := config.Parse("many.toml", data, nil); err != nil {
			b.Fatal(err)
		}
	}
}
