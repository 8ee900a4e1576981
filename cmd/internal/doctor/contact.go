package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/ask"
	"pldns/zones"
)

// approach is how a server is asked over a connection.
type approach struct {
	over resolver.Transport
	to   netip.AddrPort
	host string // whom the certificate is to be for, a name or an address; empty does not judge it
	path string // of the URL
}

// contact is what came of asking so.
type contact struct {
	approach
	replies []*dns.Msg // one for each query
	err     error      // there is no answer
	met     bool       // the other side has sent something
	judgement
}

// ask connects, asks and looks at the certificate, within a time. Queries are asked one
// after another, as a client does that has one connection.
func (a approach) ask(ctx context.Context, trust Trust, timeout time.Duration, queries ...*dns.Msg) contact {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c := contact{approach: a}
	var shown []*x509.Certificate
	conn, err := a.way(&shown).Open(ctx)
	if conn != nil {
		defer conn.Close()
	}
	if len(shown) > 0 && a.host != "" {
		c.judgement = judge(shown, a.host, trust.Roots, trust.now())
	}
	var opening *ask.OpenError
	if c.err = err; errors.As(err, &opening) {
		c.met = opening.Met
	}
	for _, query := range queries {
		if c.err != nil {
			break
		}
		c.met = true
		var reply *dns.Msg
		if reply, c.err = exchangeOver(ctx, conn, query); c.err == nil {
			c.replies = append(c.replies, reply)
		}
	}
	return c
}

// way is the approach for who asks. What the server shows is put into shown.
func (a approach) way(shown *[]*x509.Certificate) ask.Way {
	way := ask.Way{Transport: a.over, To: a.to, Path: a.path, TLS: &tls.Config{
		// Judged by judge, which also looks at certificates that are not for the host.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			*shown = state.PeerCertificates
			return nil
		},
	}}
	if a.host == "" {
		return way
	}
	way.TLS.ServerName, way.Host = a.host, a.host
	if addr, err := netip.ParseAddr(a.host); err == nil {
		way.Host = netip.AddrPortFrom(addr, a.to.Port()).String()
	} else if a.to.Port() != a.over.Port() {
		way.Host = fmt.Sprintf("%s:%d", a.host, a.to.Port())
	}
	return way
}

// exchangeOver asks one question over a connection.
func exchangeOver(ctx context.Context, conn ask.Conn, query *dns.Msg) (*dns.Msg, error) {
	packed, err := query.Pack()
	if err != nil {
		return nil, err
	}
	packet, err := conn.Ask(ctx, packed)
	if err != nil {
		return nil, err
	}
	return read(packet, query)
}

// read reads a message that is to be the reply to a query.
func read(packet []byte, query *dns.Msg) (*dns.Msg, error) {
	reply := new(dns.Msg)
	switch err := reply.Unpack(packet); {
	case err != nil:
		return nil, fmt.Errorf("%w: %d bytes that are no DNS message", errOdd, len(packet))
	case !answers(reply, query):
		return nil, fmt.Errorf("%w: a reply to another question", errOdd)
	}
	return reply, nil
}

// answer is what the server says about the addresses of a name.
func (c contact) answer(name zones.Name) answer {
	if c.err != nil || len(c.replies) < 2 {
		return answer{server: c.to, err: c.err}
	}
	return newAnswer(c.to, name, c.replies[0], c.replies[1])
}

// forAddresses are the queries for the addresses of a name.
func forAddresses(name zones.Name) []*dns.Msg {
	return []*dns.Msg{newQuery(name, dns.TypeA), newQuery(name, dns.TypeAAAA)}
}

func newQuery(name zones.Name, qtype uint16) *dns.Msg {
	query := new(dns.Msg).SetQuestion(name.FQDN(), qtype)
	query.SetEdns0(edns, false)
	return query
}

// Trust is whom a certificate may be signed by.
type Trust struct {
	// Roots certify the certificates; nil are those of the system.
	Roots *x509.CertPool
	// Now is the clock that they are judged by; nil is time.Now.
	Now func() time.Time
}

func (t Trust) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}
