package resolvertest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Designated are the encrypted ways that a server tells a client of which knows its
// address alone (RFC 9462 section 4), in the order of the server. Where it gives no
// address of one, it is asked for that of the name. The error is that of asking it.
func Designated(ctx context.Context, server netip.AddrPort) ([]Way, error) {
	reply, err := exchange(ctx, server, "_dns.resolver.arpa.", dns.TypeSVCB)
	if err != nil {
		return nil, err
	}
	records := make([]*dns.SVCB, 0, len(reply.Answer))
	for _, rr := range reply.Answer {
		if record, is := rr.(*dns.SVCB); is {
			records = append(records, record)
		}
	}
	slices.SortStableFunc(records, func(a, b *dns.SVCB) int { return int(a.Priority) - int(b.Priority) })
	var ways []Way
	for _, record := range records {
		way, protocols := leadsTo(record)
		if !way.Addr.Addr().IsValid() {
			looked, err := exchange(ctx, server, record.Target, dns.TypeA)
			if err != nil {
				return nil, err
			}
			for _, rr := range looked.Answer {
				if a, is := rr.(*dns.A); is {
					addr, _ := netip.AddrFromSlice(a.A.To4())
					way.Addr = netip.AddrPortFrom(addr, way.Addr.Port())
				}
			}
		}
		for _, protocol := range protocols {
			if way.Transport = protocol; protocol == "h2" {
				way.Transport = "doh"
			}
			ways = append(ways, way)
		}
	}
	return ways, nil
}

// leadsTo is where a record leads to, and by which protocols.
func leadsTo(record *dns.SVCB) (way Way, protocols []string) {
	way.Name = strings.TrimSuffix(record.Target, ".")
	var port uint16
	var addr netip.Addr
	for _, value := range record.Value {
		switch v := value.(type) {
		case *dns.SVCBAlpn:
			protocols = v.Alpn
		case *dns.SVCBPort:
			port = v.Port
		case *dns.SVCBIPv4Hint:
			addr, _ = netip.AddrFromSlice(v.Hint[0].To4())
		case *dns.SVCBDoHPath:
			way.Path = strings.TrimSuffix(v.Template, "{?dns}")
		}
	}
	way.Addr = netip.AddrPortFrom(addr, port)
	return way, protocols
}

// exchange asks a server over plain DNS.
func exchange(ctx context.Context, server netip.AddrPort, name string, kind uint16) (*dns.Msg, error) {
	reply, _, err := new(dns.Client).ExchangeContext(ctx, new(dns.Msg).SetQuestion(name, kind), server.String())
	return reply, err
}

// Verified are settings by which a client takes a way that a server has told it of only if
// the certificate is for the address of that server, too (RFC 9462 section 4.2).
func Verified(settings *tls.Config, server netip.Addr) *tls.Config {
	settings = settings.Clone()
	settings.VerifyConnection = func(state tls.ConnectionState) error {
		if err := state.PeerCertificates[0].VerifyHostname(server.String()); err != nil {
			return fmt.Errorf("not for %s: %w", server, err)
		}
		return nil
	}
	return settings
}
