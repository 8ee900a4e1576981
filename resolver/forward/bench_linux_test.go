package forward_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"pldns/resolver/resolvertest"
)

// BenchmarkTransports asks a server on loopback over each transport, 16 questions at a time
// for each processor. The server is in this process: what its part of the transport costs is
// in the figures, too.
func BenchmarkTransports(b *testing.B) {
	for _, over := range append([]resolvertest.Transport{resolvertest.UDP}, streamed...) {
		b.Run(string(over), func(b *testing.B) {
			r := reach(b, over, resolvertest.AzureData)
			p := running(b, r.config)
			asked := question("contoso.blob.core.windows.net", dns.TypeA)
			mustExchange(b, p, asked)
			b.ReportAllocs()
			b.SetParallelism(16)
			b.ResetTimer()
			began := processorTime(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := exchange(p, asked); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// processorTime is what this process has taken of processors, user and system.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
