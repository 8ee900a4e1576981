package upstream_test

import (
	"math"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// What a forger has to guess, measured on packets that were really sent (RFC
// 5452 section 9.2): the id, the source port and the letters of the name. The
// sample is small, so entropy is estimated by how often two values collide.
func TestEntropyOfWhatLeaves(t *testing.T) {
	const samples = 3000
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	p := pool(t, u)
	asked := question("www.contoso.com", dns.TypeA)
	for range samples {
		mustExchange(t, p, asked)
	}
	var ids, ports, letters []uint64
	for _, q := range u.Queries() {
		ids = append(ids, uint64(q.Msg.Id))
		ports = append(ports, uint64(q.From.Port()))
		letters = append(letters, upperCase(q.Msg.Question[0].Name))
	}
	total := 0.0
	for _, row := range []struct {
		what   string
		values []uint64
		least  float64
	}{{"id", ids, 15.0}, {"source port", ports, 14.8}, {"letter case of 13 letters", letters, 12.5}} {
		bits := collisionEntropy(row.values)
		total += bits
		t.Logf("%s: %.1f bits", row.what, bits)
		if bits < row.least {
			t.Errorf("%s: only %.1f bits, want %.1f", row.what, bits, row.least)
		}
		if s := serial(row.values); s > 0.1 {
			t.Errorf("%s: a value tells something of the next (correlation %.2f)", row.what, s)
		}
	}
	t.Logf("together: %.1f bits", total)
}

// upperCase is which letters of a name are upper case, one bit each.
func upperCase(name string) (bits uint64) {
	for i := range len(name) {
		if 'A' <= name[i] && name[i] <= 'Z' {
			bits |= 1 << i
		}
	}
	return bits
}

// collisionEntropy estimates Rényi entropy of order 2: minus the logarithm of
// the share of equal pairs. It is no higher than Shannon's.
func collisionEntropy(values []uint64) float64 {
	seen := make(map[uint64]float64)
	pairs := 0.0
	for _, v := range values {
		pairs += seen[v]
		seen[v]++
	}
	n := float64(len(values))
	return math.Log2(n * (n - 1) / 2 / max(pairs, 1))
}

// serial is how much each value is correlated with the one before it.
func serial(values []uint64) float64 {
	n := len(values) - 1
	mean, variance, covariance := 0.0, 0.0, 0.0
	for _, v := range values {
		mean += float64(v) / float64(len(values))
	}
	for i := range n {
		a, b := float64(values[i])-mean, float64(values[i+1])-mean
		variance += a * a
		covariance += a * b
	}
	return math.Abs(covariance / variance)
}
