package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/miekg/dns"

	"pldns/config"
	"pldns/resolver"
	"pldns/zones"
)

// reach is how the program itself finds the addresses of names: by what it serves, and
// not by the resolver of the system, which may be this program.
type reach struct {
	parts   *parts
	network *zones.Network // whose table and upstreams count; nil for those of forward
	forward []config.Route // the top-level forward table
}

func (p *parts) reach(network string, forward []config.Route) reach {
	r := reach{parts: p, forward: forward}
	if network != "" {
		r.network, _ = p.snapshot.Table().Network(network)
	}
	return r
}

// reach is that of what is served now.
func (s *served) reach(network string) reach { return s.parts.reach(network, s.forward) }

// addresses are those of a name, IPv4 first.
func (r reach) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	name, err := zones.ParseName(host)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		if len(addrs) > 0 {
			break
		}
		records, rcode, err := r.ask(ctx, resolver.Question{Name: name, Type: qtype})
		if err != nil {
			return nil, fmt.Errorf("find the address of %s: %w", host, err)
		}
		if rcode != dns.RcodeSuccess {
			return nil, fmt.Errorf("find the address of %s: %s", host, dns.RcodeToString[rcode])
		}
		for _, rr := range records {
			switch rr := rr.(type) {
			case *dns.A:
				if addr, ok := netip.AddrFromSlice(rr.A); ok {
					addrs = append(addrs, addr.Unmap())
				}
			case *dns.AAAA:
				if addr, ok := netip.AddrFromSlice(rr.AAAA); ok {
					addrs = append(addrs, addr)
				}
			}
		}
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("find the address of %s: it has none", host)
	}
	return addrs, nil
}

// ask asks as a client of the network would, or the upstream that the top-level forward
// table names.
func (r reach) ask(ctx context.Context, q resolver.Question) ([]dns.RR, int, error) {
	if r.network != nil {
		answer := r.decide(ctx, resolver.Query{Question: q, Spelling: q.Name.FQDN(), Class: dns.ClassINET, RecursionDesired: true})
		return answer.Records, answer.Rcode, nil
	}
	for at, more := q.Name, true; more; at, more = at.Parent() {
		for _, route := range r.forward {
			if pool := r.parts.pools[route.Upstream]; route.Suffix == at && pool != nil {
				reply, err := resolver.Exchange(ctx, pool.asked, q, resolver.Asker{})
				return reply.Answer, reply.Rcode, err
			}
		}
	}
	return nil, 0, fmt.Errorf("no upstream is asked about %s", q.Name)
}

// decide waits for a decision. The answer is in the form of records.
func (r reach) decide(ctx context.Context, q resolver.Query) resolver.Answer {
	woken := make(chan struct{}, 1)
	answer, pending := r.parts.snapshot.Begin(q, r.network, func() { woken <- struct{}{} })
	for pending != nil {
		select {
		case <-woken:
			answer, pending = pending.Resume()
		case <-ctx.Done():
			return pending.GiveUp(context.Cause(ctx))
		}
	}
	return answer.Unpacked()
}

const (
	// findPatience is how long an address may be looked for, and dialPatience how long
	// one may take to answer.
	findPatience = 5 * time.Second
	dialPatience = 10 * time.Second
)

// httpOver is HTTP to a cloud or a store, over addresses that the program itself finds; a
// certificate is shown where there is one. Proxies are those of the environment, but not to the metadata service, which is on the machine.
func httpOver(roots *x509.CertPool, shown *tls.Certificate, now func() reach) *http.Client {
	// A token goes where it was sent, and nowhere else.
	stays := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	secure := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if shown != nil {
		secure.Certificates = []tls.Certificate{*shown}
	}
	return &http.Client{CheckRedirect: stays, Transport: &http.Transport{
		DialContext: dialOver(now), Proxy: proxyOf, ForceAttemptHTTP2: true, TLSClientConfig: secure,
		TLSHandshakeTimeout: dialPatience, ResponseHeaderTimeout: time.Minute, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 2,
		MaxResponseHeaderBytes: 256 << 10,
	}}
}

// dialOver opens connections to addresses that the program itself finds.
func dialOver(now func() reach) func(ctx context.Context, network, at string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: dialPatience}
	return func(ctx context.Context, network, at string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(at)
		if err != nil {
			return nil, err
		}
		if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") {
			return dialer.DialContext(ctx, network, at)
		}
		within, cancel := context.WithTimeout(ctx, findPatience)
		addrs, err := now().addresses(within, host)
		cancel()
		if err != nil {
			return nil, err
		}
		for _, addr := range addrs {
			var conn net.Conn
			if conn, err = dialer.DialContext(ctx, network, net.JoinHostPort(addr.String(), port)); err == nil {
				return conn, nil
			}
		}
		return nil, err
	}
}

// proxyOf is the proxy for a request.
func proxyOf(r *http.Request) (*url.URL, error) {
	if addr, err := netip.ParseAddr(r.URL.Hostname()); err == nil && (addr.IsLinkLocalUnicast() || addr.IsLoopback()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}
