package forward_test

import (
	"math"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// What a forger has to guess, measured on packets that were really sent (RFC
// 5452 section 9.2): the id, the source port and the letters of the name. The
// sample is small, so entropy is estimated by how often two values collide. Over a
// socket pool that says what a forger has to guess who knows every port in it.
func TestEntropyOfWhatLeaves(t *testing.T) {
	const samples = 3000
	for _, pooled := range []bool{false, true} {
		t.Run(map[bool]string{false: "a socket each", true: "a socket pool"}[pooled], func(t *testing.T) {
			u := resolvertest.StartUpstream(t, resolvertest.AzureData)
			p, leastPort := poolWithout(t, u), 14.8
			if pooled {
				p, leastPort = pool(t, u), 9.6
			}
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
			measure(t, "id", ids, 15.0)
			measure(t, "source port", ports, leastPort)
			measure(t, "letter case of 13 letters", letters, 12.5)
			evenly(t, ports)
		})
	}
}

// measure fails the test if values have less than so many bits of entropy, or tell
// something of each other.
func measure(t *testing.T, what string, values []uint64, least float64) {
	t.Helper()
	bits := collisionEntropy(values)
	t.Logf("%s: %.1f bits", what, bits)
	if bits < least {
		t.Errorf("%s: only %.1f bits, want %.1f", what, bits, least)
	}
	if s := serial(values); s > 0.1 {
		t.Errorf("%s: a value tells something of the next (correlation %.2f)", what, s)
	}
}

// evenly fails the test if the ports that were used are not drawn from all those
// from 16384 on: any of 16 parts of that range must have its share.
func evenly(t *testing.T, ports []uint64) {
	t.Helper()
	const least, parts = 16384, 16
	used := make(map[uint64]bool)
	var share [parts]float64
	for _, port := range ports {
		if port < least {
			t.Fatalf("a query came from port %d", port)
		}
		if !used[port] {
			used[port] = true
			share[(port-least)*parts/(65536-least)]++
		}
	}
	mean := float64(len(used)) / parts
	for i, n := range share {
		if math.Abs(n-mean) > 6*math.Sqrt(mean) { // once in a hundred million runs
			t.Errorf("%v of %d ports are in part %d of %d, want about %.0f", n, len(used), i, parts, mean)
		}
	}
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
