package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// patience is how long one query may take that nothing is measured of.
const patience = 5 * time.Second

// asking is what the roles have in common that ask a DNS server.
type asking struct {
	resolvertest.Way
	authority string
	query     *dns.Msg
}

// read reads the command line.
func (a *asking) read(flags *flag.FlagSet, arguments []string) (err error) {
	server := flags.String("server", "127.0.0.1:53", "address and port")
	flags.StringVar(&a.Transport, "over", "", "transport: udp, tcp, dot, doh, doq or h3; without one udp, and with a name dot")
	flags.StringVar(&a.Name, "name", "", "what the certificate of the server has to be for")
	flags.StringVar(&a.Path, "path", "/dns-query", "of the URL")
	flags.StringVar(&a.authority, "ca", "", "PEM file of who issued the certificate")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if a.Addr, err = netip.ParseAddrPort(*server); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return errors.New("say a name and a type")
	}
	qtype, known := dns.StringToType[strings.ToUpper(flags.Arg(1))]
	if !known {
		return fmt.Errorf("there is no type %s", flags.Arg(1))
	}
	a.query = new(dns.Msg).SetQuestion(dns.Fqdn(flags.Arg(0)), qtype)
	a.query.SetEdns0(1232, false)
	switch {
	case a.Transport != "":
	case a.Name != "":
		a.Transport = "dot"
	default:
		a.Transport = "udp"
	}
	return nil
}

// plain asks over plain DNS.
func (a *asking) plain(ctx context.Context) (*dns.Msg, error) {
	client := &dns.Client{Timeout: 2 * time.Second, Net: a.Transport}
	reply, _, err := client.ExchangeContext(ctx, a.query, a.Addr.String())
	return reply, err
}

// ask prints the answer to one query, which fails unless there is a reply.
func ask(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var a asking
	if err := a.read(flags, arguments); err != nil {
		return err
	}
	var reply *dns.Msg
	var err error
	if a.Transport == "udp" || a.Transport == "tcp" {
		reply, err = a.plain(ctx)
	} else if settings, bad := trusting(a.authority); bad != nil {
		return bad
	} else if asker, bad := a.Open(ctx, settings); bad != nil {
		return bad
	} else {
		defer asker.Close()
		reply, err = asker.Exchange(ctx, a.query)
	}
	if err != nil {
		return err
	}
	fmt.Println(dns.RcodeToString[reply.Rcode])
	for _, rr := range reply.Answer {
		fmt.Println(rr)
	}
	return nil
}

// upgrade is a client that knows an address and asks there for encrypted ways. It prints
// a line for each, with the answer, or why it does not take it; last what plain DNS says.
func upgrade(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	ctx, cancel := context.WithTimeout(ctx, 4*patience)
	defer cancel()
	var a asking
	if err := a.read(flags, arguments); err != nil {
		return err
	}
	settings, err := trusting(a.authority)
	if err != nil {
		return err
	}
	ways, err := resolvertest.Designated(ctx, a.Addr)
	if err != nil {
		return err
	}
	for _, way := range ways {
		var reply *dns.Msg
		asker, err := way.Open(ctx, resolvertest.Verified(settings, a.Addr.Addr()))
		if err == nil {
			reply, err = asker.Exchange(ctx, a.query)
			asker.Close()
		}
		fmt.Printf("%s: %s\n", way, outcome(reply, err))
	}
	a.Transport = "udp"
	fmt.Printf("plain: %s\n", outcome(a.plain(ctx)))
	return nil
}

// outcome is the last record of an answer, or what is wrong, on one line.
func outcome(reply *dns.Msg, err error) string {
	switch {
	case err != nil:
		return strings.ReplaceAll(err.Error(), "\n", " ")
	case len(reply.Answer) == 0:
		return dns.RcodeToString[reply.Rcode]
	}
	last := reply.Answer[len(reply.Answer)-1]
	return strings.TrimPrefix(last.String(), last.Header().String())
}
