// Play is what the hosts of the scenarios run besides pldns: each role is a part
// that others have in a real network, small enough for an image with nothing else
// in it.
//
//	play azure -listen ADDRESS -zone FILE       the DNS of Azure, and of the Internet
//	play site -listen ADDRESS -says TEXT -cert FILE -key FILE
//	                                            a server over TLS, such as a database
//	play connect -ca FILE URL                   a client of it, by the system's resolver
//	play authority -dir FOLDER NAME...          certificates for the sites, and who issues them
//	play link -listen ADDRESS -to ADDRESS [-link-id ID]
//	                                            a private endpoint of a Private Link Service
//	play load -servers ADDRESSES -questions FILE  many clients, who check every answer
//	play ask -server ADDRESS [-over TRANSPORT -name NAME -ca FILE] NAME TYPE
//	                                            one DNS query
//	play upgrade -server ADDRESS -ca FILE NAME TYPE
//	                                            the same, by the encrypted ways that the server tells of
//	play pace -server ADDRESS -over TRANSPORT -name NAME -ca FILE NAME TYPE
//	                                            queries at a steady pace over a few connections, and how long they took
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "play:", err)
		stop()
		os.Exit(1)
	}
}

// run plays the role that the first argument names, until it is over or ctx ends.
func run(ctx context.Context, arguments []string) error {
	roles := map[string]func(context.Context, *flag.FlagSet, []string) error{
		"azure": azure, "site": site, "connect": connect, "ask": ask, "link": link, "load": load, "authority": authority,
		"upgrade": upgrade, "pace": pace,
	}
	if len(arguments) == 0 || roles[arguments[0]] == nil {
		return fmt.Errorf("say which role to play: azure, site, connect, authority, link, load, ask, upgrade or pace")
	}
	flags := flag.NewFlagSet("play "+arguments[0], flag.ContinueOnError)
	return roles[arguments[0]](ctx, flags, arguments[1:])
}
