package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

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

// ask prints the answer to one query, which fails unless there is a reply.
func ask(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	server := flags.String("server", "127.0.0.1:53", "address and port")
	tcp := flags.Bool("tcp", false, "ask over TCP")
	name := flags.String("name", "", "ask over TLS, where the server must have a certificate for this name")
	authority := flags.String("ca", "", "PEM file of who issued the certificate")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return fmt.Errorf("ask wants a name and a type")
	}
	qtype, known := dns.StringToType[strings.ToUpper(flags.Arg(1))]
	if !known {
		return fmt.Errorf("there is no type %s", flags.Arg(1))
	}
	client := &dns.Client{Timeout: 2 * time.Second}
	if *tcp {
		client.Net = "tcp"
	}
	if *name != "" {
		settings, err := trusting(*authority)
		if err != nil {
			return err
		}
		settings.ServerName = *name
		client.Net, client.TLSConfig = "tcp-tls", settings
	}
	query := new(dns.Msg).SetQuestion(dns.Fqdn(flags.Arg(0)), qtype)
	query.SetEdns0(1232, false)
	reply, _, err := client.ExchangeContext(ctx, query, *server)
	if err != nil {
		return err
	}
	fmt.Println(dns.RcodeToString[reply.Rcode])
	for _, rr := range reply.Answer {
		fmt.Println(rr)
	}
	return nil
}
