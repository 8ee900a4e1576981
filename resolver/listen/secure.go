package listen

import (
	"crypto/tls"
	"errors"
	"os"
	"strings"
	"time"

	"pldns/resolver"
	"pldns/zones"
)

// The transports that show a certificate.
const (
	dot = string(resolver.OverTLS)
	doh = string(resolver.OverHTTPS)
	doq = string(resolver.OverQUIC)
	h3  = string(resolver.OverHTTP3)
)

// open does what comes before the first query on a connection: its PROXY header,
// if it has one, and the TLS handshake, all within Config.FirstByte. It tells
// whether there is anything to serve.
func (c *conn) open() bool {
	deadline := time.Now().Add(c.server.config.FirstByte)
	c.readUntil(deadline)
	if c.server.proxy(c.peer) {
		header, err := readProxy(c.Conn)
		if err != nil {
			c.failed(Unproxied, err)
			return false
		}
		c.client = header.client(c.peer.Addr(), c.client.Listener)
	}
	if c.transport != tcp && !c.secure(deadline) {
		return false
	}
	c.frames = newFrames(c.stream)
	return true
}

// secure makes the TLS handshake, and notes what the client shows in it.
func (c *conn) secure(deadline time.Time) bool {
	protocols := []string{"dot"} // RFC 7858 section 3.1, registered with IANA
	if c.transport == doh {
		protocols = []string{"h2", "http/1.1"}
	}
	secured := tls.Server(c.Conn, withProtocols(c.server.config.TLSConfig, protocols))
	_ = c.SetWriteDeadline(deadline)
	if err := secured.Handshake(); err != nil {
		c.failed(handshakeRefusal(err), err)
		return false
	}
	_ = c.SetWriteDeadline(time.Time{})
	c.stream, c.secured = secured, secured
	c.show(secured.ConnectionState())
	return true
}

// withProtocols is a configuration that offers protocols. What decides anew for
// each handshake keeps doing so.
func withProtocols(config *tls.Config, protocols []string) *tls.Config {
	config = config.Clone()
	config.NextProtos = protocols
	if choose := config.GetConfigForClient; choose != nil {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen != nil {
				chosen = chosen.Clone()
				chosen.NextProtos = protocols
			}
			return chosen, err
		}
	}
	return config
}

// handshakeRefusal is why a handshake failed: a PROXY header of somebody who is
// not trusted to send one, or anything else.
func handshakeRefusal(err error) Refusal {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && string(record.RecordHeader[:]) == proxySignature[:len(record.RecordHeader)] {
		return Impostor
	}
	return Handshake
}

// failed counts a connection that did not get as far as a query. One that was
// closed without a word, as port probes are, is nobody's fault.
func (c *conn) failed(why Refusal, err error) {
	switch {
	case c.server.conns.draining.Load():
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.server.refused(c.transport, Stalled, c.peer)
	default:
		c.server.refused(c.transport, why, c.peer, "error", err)
	}
}

// show adds to the client what it showed in the handshake. A certificate is only
// there when it has been verified.
func (c *conn) show(state tls.ConnectionState) {
	shown := new(zones.Shown)
	if c.client.Shown != nil {
		*shown = *c.client.Shown
	}
	shown.ServerName = nameOf(state.ServerName)
	if len(state.VerifiedChains) > 0 {
		for _, text := range state.PeerCertificates[0].DNSNames {
			if name := nameOf(text); !name.IsZero() {
				shown.Certificates = append(shown.Certificates, name)
			}
		}
		if len(shown.Certificates) == 0 {
			// It is a certificate all the same, and nobody's.
			shown.Certificates = []zones.Name{{}}
		}
	}
	c.client.Shown = shown
}

// nameOf is the name that a client gives; zero if that is none.
func nameOf(text string) zones.Name {
	if text == "" || !strings.Contains(strings.Trim(text, "."), ".") && strings.ContainsAny(text, ":[") {
		return zones.Name{}
	}
	name, err := zones.ParseName(text)
	if err != nil {
		return zones.Name{}
	}
	return name
}
