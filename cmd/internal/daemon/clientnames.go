package daemon

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"pldns/config"
	"pldns/resolver"
	"pldns/resolver/observe/clientnames"
	"pldns/zones"
)

// clientNames are what clients are called, and what says so.
type clientNames struct {
	*clientnames.Names
	settings config.Clients
}

// newClientNames makes those that a configuration asks for, or takes over those before; nil
// where it asks for none.
func (s *Server) newClientNames(settings config.Clients, before *clientNames) *clientNames {
	switch {
	case settings.IsZero():
		return nil
	case before != nil && before.settings.Equal(settings):
		return before
	}
	from := clientnames.Config{Files: settings.Files, Open: config.OpenFile, Log: s.log}
	if settings.Reverse {
		from.Reverse = s.reverse
	}
	return &clientNames{clientnames.New(from), settings}
}

// called is what a client of a network is called; empty where that is not known.
func (s *Server) called(network string, client netip.Addr) string {
	if now := s.now(); now != nil && now.taps.names != nil {
		return now.taps.names.Of(network, client)
	}
	return ""
}

// reverse looks an address up as the clients of a network do: in its table, and by its
// forward table. Clients of no network are not looked up.
func (s *Server) reverse(ctx context.Context, network string, client netip.Addr) (string, time.Duration) {
	r := s.now().reach(network)
	arpa, err := dns.ReverseAddr(client.String())
	if r.network == nil || err != nil {
		return "", 0
	}
	q := resolver.Question{Name: zones.NameOf(arpa), Type: dns.TypePTR}
	records, _, _ := r.ask(ctx, q) // a client of a network always gets an answer
	for _, rr := range records {
		if ptr, is := rr.(*dns.PTR); is {
			return ptr.Ptr, time.Duration(ptr.Hdr.Ttl) * time.Second
		}
	}
	return "", 0
}
