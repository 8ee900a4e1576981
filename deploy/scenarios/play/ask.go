package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
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

// Paced is what became of queries at a steady pace.
type Paced struct {
	Asked, Answered int
	P50, P99        time.Duration // of those that were answered
	Failure         string        // the last one
}

// pacing asks over a few connections.
type pacing struct {
	mutex sync.Mutex
	Paced
	took []time.Duration
}

// pace asks one question again and again over a few connections, which stay open, and
// prints as JSON how many were answered and how long that took.
func pace(ctx context.Context, flags *flag.FlagSet, arguments []string) error {
	rate := flags.Int("rate", 400, "queries a second")
	connections := flags.Int("connections", 4, "which are asked over in turn")
	length := flags.Duration("for", 5*time.Second, "how long")
	var a asking
	if err := a.read(flags, arguments); err != nil {
		return err
	}
	settings, err := trusting(a.authority)
	if err != nil {
		return err
	}
	askers := make([]*resolvertest.Asker, *connections)
	for i := range askers {
		if askers[i], err = a.Open(ctx, settings); err != nil {
			return err
		}
		defer askers[i].Close()
		if _, err := askers[i].Exchange(ctx, a.query.Copy()); err != nil { // it is connected then
			return err
		}
	}
	fmt.Fprintln(os.Stderr, "connected")
	var p pacing
	var under sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(*rate))
	defer tick.Stop()
	end := time.NewTimer(*length)
	for i := 0; ; i++ {
		select {
		case <-tick.C:
			under.Go(func() { p.ask(ctx, askers[i%len(askers)], a.query.Copy()) })
			continue
		case <-end.C:
		case <-ctx.Done():
		}
		break
	}
	under.Wait()
	slices.Sort(p.took)
	if n := len(p.took); n > 0 {
		p.P50, p.P99 = p.took[n/2], p.took[n*99/100]
	}
	return json.NewEncoder(os.Stdout).Encode(p.Paced)
}

// ask asks once.
func (p *pacing) ask(ctx context.Context, asker *resolvertest.Asker, query *dns.Msg) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	_, err := asker.Exchange(ctx, query)
	took := time.Since(began)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.Asked++
	if err != nil {
		p.Failure = err.Error()
		return
	}
	p.Answered++
	p.took = append(p.took, took)
}
