package upstream_test

import (
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// BenchmarkExchange asks a server on loopback; most of what it measures is the
// kernel.
func BenchmarkExchange(b *testing.B) {
	for _, over := range []resolvertest.Transport{resolvertest.UDP, resolvertest.TCP, resolvertest.TLS, resolvertest.HTTPS} {
		b.Run(string(over), func(b *testing.B) {
			r := reach(b, over, resolvertest.AzureData)
			p := running(b, r.config)
			asked := question("contoso.blob.core.windows.net", dns.TypeA)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := exchange(p, asked); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
