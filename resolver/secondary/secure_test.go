package secondary_test

import (
	"crypto/tls"
	"sync/atomic"
	"testing"
	"time"

	"pldns/resolver/resolvertest"
	"pldns/resolver/secondary"
)

// Over TLS a primary has to show a certificate for its name, that somebody who is trusted signed, and
// to speak version 1.3 and the protocol "dot" (RFC 9103).
func TestTLS(t *testing.T) {
	t.Parallel()
	const name = "ns.corp.example"
	authority, stranger := resolvertest.NewAuthority(t), resolvertest.NewAuthority(t)
	for _, test := range []struct {
		name   string
		server *tls.Config
		want   string
	}{
		{"as it should be", &tls.Config{Certificates: []tls.Certificate{authority.Certificate(t, name)}, NextProtos: []string{"dot"}}, ""},
		{"another name", &tls.Config{Certificates: []tls.Certificate{authority.Certificate(t, "ns.other.example")}, NextProtos: []string{"dot"}},
			"its certificate is not good"},
		{"the address alone", &tls.Config{Certificates: []tls.Certificate{authority.Certificate(t, "127.0.0.1")}, NextProtos: []string{"dot"}},
			"its certificate is not good"},
		{"somebody else signs", &tls.Config{Certificates: []tls.Certificate{stranger.Certificate(t, name)}, NextProtos: []string{"dot"}},
			"its certificate is not good"},
		{"it has expired", &tls.Config{Certificates: []tls.Certificate{authority.Expired(t, name)}, NextProtos: []string{"dot"}},
			"its certificate is not good"},
		{"TLS 1.2", &tls.Config{Certificates: []tls.Certificate{authority.Certificate(t, name)}, NextProtos: []string{"dot"}, MaxVersion: tls.VersionTLS12},
			"protocol version"},
		{"no protocol", &tls.Config{Certificates: []tls.Certificate{authority.Certificate(t, name)}}, `ALPN "dot"`},
		{"another protocol", &tls.Config{Certificates: []tls.Certificate{authority.Certificate(t, name)}, NextProtos: []string{"h2"}}, "no application protocol"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPrimary(t, test.server, zone(t, 1, hosts(0, 2000)...))
			config := &tls.Config{ServerName: name, RootCAs: authority.Pool}
			k := keep(t, secondary.Options{}, from(secondary.Primary{Addr: p.addr, TLS: config}))
			if test.want == "" {
				equal(t, k.until(1), zone(t, 1, hosts(0, 2000)...))
				if s := k.state(); s.Primary != "tls://"+p.addr.String()+"#"+name {
					t.Error(s.Primary)
				}
				return
			}
			k.untilFault(test.want)
		})
	}
}

// counter counts what a server says.
type counter struct {
	confirmed, full, incremental, failed, taken, refused, saved, unsaved, panics atomic.Int32
	octets                                                                       atomic.Int64
	reason                                                                       atomic.Value
}

func (c *counter) Confirmed() { c.confirmed.Add(1) }
func (c *counter) Transferred(kind secondary.Kind, octets int64, _ time.Duration) {
	if kind == secondary.Full {
		c.full.Add(1)
	} else {
		c.incremental.Add(1)
	}
	c.octets.Add(octets)
}
func (c *counter) Failed(reason secondary.Reason) { c.failed.Add(1); c.reason.Store(reason) }
func (c *counter) Notified(taken bool) {
	if taken {
		c.taken.Add(1)
	} else {
		c.refused.Add(1)
	}
}
func (c *counter) Saved(ok bool) {
	if ok {
		c.saved.Add(1)
	} else {
		c.unsaved.Add(1)
	}
}
func (c *counter) Panicked(string) { c.panics.Add(1) }
