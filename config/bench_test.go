package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// BenchmarkPolicyReload reads a configuration once more that has a policy with a million
// entries, of which nothing has changed.
func BenchmarkPolicyReload(b *testing.B) {
	var list strings.Builder
	for i := range uint32(1_000_000) {
		fmt.Fprintf(&list, "||track-%08x.ads.test^\n", i*2654435761)
	}
	dir := b.TempDir()
	long := time.Now().Add(-time.Hour)
	for name, text := range map[string]string{
		"pldns.toml": "[policy.ads]\nfiles = [\"ads.txt\"]\n[networks.hub]\nclients = [\"10.0.0.0/16\"]\npolicy = [\"ads\"]\n", "ads.txt": list.String(),
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, long, long)); err != nil {
			b.Fatal(err)
		}
	}
	for _, kind := range []struct {
		name string
		kept *config.Memory
	}{{"anew", nil}, {"kept", new(config.Memory)}} {
		b.Run(kind.name, func(b *testing.B) {
			if _, err := kind.kept.LoadWith(filepath.Join(dir, "pldns.toml"), nil); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := kind.kept.LoadWith(filepath.Join(dir, "pldns.toml"), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
