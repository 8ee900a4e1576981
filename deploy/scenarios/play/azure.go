package main

import (
	"context"
	"flag"
	"os"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"pldns/resolver/resolvertest"
)

// azure answers DNS as a recursive resolver does that sees the Internet of a
// master-file text, over UDP and TCP.
func azure(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	listen := flags.String("listen", ":53", "address")
	zone := flags.String("zone", "", "master-file text")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	text, err := os.ReadFile(*zone)
	if err != nil {
		return err
	}
	records, err := resolvertest.ParseRecords(string(text))
	if err != nil {
		return err
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		if len(query.Question) != 1 {
			return
		}
		reply := records.Reply(query)
		reply.Compress = true
		if w.LocalAddr().Network() == "udp" {
			size := dns.MinMsgSize
			if opt := query.IsEdns0(); opt != nil {
				size = max(size, int(opt.UDPSize()))
			}
			reply.Truncate(size)
		}
		_ = w.WriteMsg(reply) // the asker may be gone
	})
	group, ctx := errgroup.WithContext(ctx)
	for _, network := range []string{"udp", "tcp"} {
		server := &dns.Server{Addr: *listen, Net: network, Handler: handler}
		group.Go(server.ListenAndServe)
		group.Go(func() error {
			<-ctx.Done()
			_ = server.Shutdown()
			return nil
		})
	}
	return group.Wait()
}
