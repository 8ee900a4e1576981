//go:build linux

package stress

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pldns/deploy/scenarios/issuer"
	"pldns/resolver/resolvertest"
)

// overQUIC are the settings of a listener for DNS over QUIC, for [serve].
func overQUIC(t *testing.T) string {
	t.Helper()
	authority, err := issuer.New()
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := authority.Issue("dns.contoso.net")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"tls.crt": cert, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("doq = [\"127.0.0.1:0\"]\n[tls]\ncert = %q\nkey = %q\n", filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
}

// TestBystandersOfQUIC: whatever many clients do over QUIC, those who ask over UDP and TCP
// are answered as before, and the program takes no more memory than is told here.
func TestBystandersOfQUIC(t *testing.T) {
	s := chosen(t)
	for _, test := range []struct {
		name   string
		attack quicAttack
		most   int64 // bytes more
		long   bool  // not tried in brief
	}{
		{"10,000 connections that ask once", quicAttack{Clients: 100, Rate: 500, Limit: 10_000}, 400 << 20, false},
		{"20,000 streams of ten clients that do not end their query", quicAttack{Clients: 10, Connections: 40, Streams: 500}, 300 << 20, true},
		{"128,000 streams of one client that do not end their query", quicAttack{Clients: 1, Connections: 256, Streams: 500}, 300 << 20, false},
		{"first packets at 5,000 a second", quicAttack{Clients: 50, Initials: 5000}, 200 << 20, false},
		{"0-RTT replayed at 2,000 a second", quicAttack{Clients: 1, Replays: 2000}, 200 << 20, false},
	} {
		if test.long && s.brief {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			outside := startOutside(t, nil)
			to := serve(t, s, overQUIC(t)+outside.forwarding(""))
			before := to.resident()
			beside(t, s, to, attack{To: to.doq, QUIC: test.attack})
			for _, line := range to.metrics("pldns_connections{", "pldns_refused_total{", "pldns_queries_total{") {
				t.Log(line)
			}
			if grown := to.peak() - before; grown > test.most {
				t.Errorf("%d MiB more are resident, want at most %d MiB", grown>>20, test.most>>20)
			}
			if s.brief {
				return
			}
			resolvertest.Until(t, "the end of the connections of who has gone", func() bool {
				return slices.Equal(to.metrics(`pldns_connections{transport="doq"}`), []string{`pldns_connections{transport="doq"} 0`})
			})
		})
	}
}
