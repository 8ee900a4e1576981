package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"pldns/cmd/internal/daemon"
	"pldns/resolver"
	"pldns/zones"
)

// tries are queries of the built-in example: the two regions, the shared set, a
// vanity name, a type that is not there, a client that belongs to no network.
func tries() []struct{ client, name, qtype string } {
	return []struct{ client, name, qtype string }{
		{"127.0.1.1", "momenta-eun.database.windows.net", "A"},
		{"127.0.2.1", "momenta-eun.database.windows.net", "A"},
		{"127.0.2.1", "momenta-aue.database.windows.net", "A"},
		{"127.0.1.1", "db.internal.contoso.com", "A"},
		{"127.0.1.1", "momenta-eun.database.windows.net", "AAAA"},
		{"127.0.1.1", "contosoacr.northeurope.data.azurecr.io", "A"},
		{"127.0.0.1", "momenta-eun.database.windows.net", "A"},
	}
}

// printTries prints a dig line for each of the tries, with the answer that the
// resolver gives it.
func printTries(s *daemon.Server, log *slog.Logger, w io.Writer) {
	listener := s.Addrs()[0]
	var text strings.Builder
	text.WriteString("Serving the built-in example. In another terminal, try:\n\n")
	for _, try := range tries() {
		client := zones.NewClient(netip.MustParseAddr(try.client), listener)
		q := resolver.NewClientQuery(zones.MustName(try.name), dns.StringToType[try.qtype], client)
		fmt.Fprintf(&text, "  dig -b %s @%s -p %d %s %s\n", try.client, listener.Addr(), listener.Port(), try.name, try.qtype)
		fmt.Fprintf(&text, "      %s\n", short(s.Resolve(context.Background(), q)))
	}
	fmt.Fprintf(&text, "\nThe status page: %s\n", s.Page())
	text.WriteString("\nEverything else is forwarded to the servers of this system. Ctrl-C ends.\n")
	if _, err := io.WriteString(w, text.String()); err != nil {
		log.Warn("the queries to try could not be printed", "error", err)
	}
}

// short is an answer in one line.
func short(a resolver.Answer) string {
	var network, data []string
	if a.Network != "" {
		network = []string{a.Network + ":"}
	}
	for _, rr := range a.Records {
		fields := strings.Fields(rr.String())
		data = append(data, strings.Join(fields[3:], " "))
	}
	switch {
	case a.Rcode != dns.RcodeSuccess:
		data = append(data, dns.RcodeToString[a.Rcode])
		for _, e := range a.Errors {
			data = append(data, e.Text)
		}
	case len(a.Authority) > 0:
		data = append(data, "nothing of this type (NODATA)")
	}
	return strings.Join(append(network, strings.Join(data, ", ")), " ")
}
