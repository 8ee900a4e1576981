package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"

	"pldns/cmd/internal/daemon"
	"pldns/config"
	"pldns/config/clientconfig"
	"pldns/resolver"
	"pldns/zones"
)

func newClientConfig() *cobra.Command {
	var file, network, format string
	var servers []string
	command := &cobra.Command{
		Use:   "client-config KIND",
		Short: "Write the configuration that points clients at this resolver",
		Long: `Client-config writes what a client, or a server that others ask, needs to ask
this resolver about exactly the zones that the configuration has in use: the
public zones of its endpoints, the operator's zones, and names outside of them.
The comments of what is written say how it is applied, tested and removed.

` + kindsHelp(),
		Example: `  pldns client-config azurevpn --network europe
  pldns client-config unbound --server 10.0.0.4
  pldns client-config ruleset --format bicep`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			render := renderDNR
			if args[0] != clientconfig.DNR {
				kind, err := clientconfig.ParseKind(args[0], format)
				if err != nil {
					return err
				}
				render = func(loaded *config.Config, format, network string, servers []netip.AddrPort) ([]byte, error) {
					return renderClient(loaded, kind, format, network, servers)
				}
			}
			named, err := parseServers(servers)
			if err != nil {
				return err
			}
			loaded, err := loadLearned(command.ErrOrStderr(), file)
			if err != nil {
				return failing(err)
			}
			text, err := render(loaded, format, network, named)
			if err != nil {
				return failing(err)
			}
			_, err = command.OutOrStdout().Write(text)
			return failing(err)
		},
	}
	command.ValidArgs = append(words(clientconfig.Kinds()), clientconfig.DNR)
	configFlag(command, &file)
	command.Flags().StringVar(&network, "network", "", "only what this `network` has in use; without it, what any has")
	command.Flags().StringArrayVar(&servers, "server", nil,
		"`address` at which clients reach this resolver, with a port unless it is 53; several times for several; without it, what "+
			"listen.dns says")
	command.Flags().StringVar(&format, "format", "", "one of the `formats` of the kind, if it has several")
	return command
}

// kindsHelp lists the kinds with their formats.
func kindsHelp() string {
	text := new(strings.Builder)
	text.WriteString("The kinds are:\n")
	for _, kind := range clientconfig.Kinds() {
		fmt.Fprintf(text, "  %s", kind)
		if formats := kind.Formats(); formats != nil {
			fmt.Fprintf(text, " (--format %s)", strings.Join(formats, " or "))
		}
		text.WriteByte('\n')
	}
	fmt.Fprintf(text, `  %s (--format %s): what DHCP and router advertisements tell of the encrypted
    listeners (RFC 9463)`, clientconfig.DNR, strings.Join(clientconfig.DNRFormats(), " or "))
	return text.String()
}

func parseServers(texts []string) ([]netip.AddrPort, error) {
	var servers []netip.AddrPort
	for _, text := range texts {
		server, err := clientconfig.ParseServer(text)
		if err != nil {
			return nil, fmt.Errorf("--server %w", err)
		}
		servers = append(servers, server)
	}
	return servers, nil
}

// renderClient writes the configuration of a client of a kind.
func renderClient(loaded *config.Config, kind clientconfig.Kind, format, network string, servers []netip.AddrPort) ([]byte, error) {
	settings, err := clientSettings(loaded, network, servers)
	if err != nil {
		return nil, err
	}
	return clientconfig.Render(kind, format, settings)
}

// renderDNR writes what a network may tell its clients of the encrypted listeners: what
// the resolver itself would tell one of them (RFC 9462), who asks at the first address.
func renderDNR(loaded *config.Config, format, network string, servers []netip.AddrPort) ([]byte, error) {
	networks, err := clientconfig.Networks(loaded, network)
	if err != nil {
		return nil, err
	}
	if len(networks) != 1 {
		return nil, fmt.Errorf("%s is for the clients of one network: name it with --network", clientconfig.DNR)
	}
	if len(servers) == 0 {
		if servers, err = clientconfig.Servers(loaded, networks); err != nil {
			return nil, err
		}
	}
	snapshot, err := daemon.NewSnapshot(loaded, true)
	if err != nil {
		return nil, err
	}
	from := servers[0].Addr() // of a network that has any clients
	if clients := networks[0].Clients; len(clients) > 0 {
		from = clients[0].Addr()
	}
	answer := resolver.New(snapshot).Resolve(context.Background(),
		resolver.NewClientQuery(zones.NameOf("_dns.resolver.arpa."), dns.TypeSVCB, zones.NewClient(from, servers[0])))
	var records []*dns.SVCB
	for _, record := range answer.Records {
		if designated, is := record.(*dns.SVCB); is {
			records = append(records, designated)
		}
	}
	return clientconfig.RenderDNR(format, networks[0].Name, records)
}

// clientSettings are what the configuration of a client is written from. Without
// servers, those that the listeners tell are taken.
func clientSettings(loaded *config.Config, network string, servers []netip.AddrPort) (clientconfig.Settings, error) {
	networks, err := clientconfig.Networks(loaded, network)
	if err != nil {
		return clientconfig.Settings{}, err
	}
	if len(servers) == 0 {
		if servers, err = clientconfig.Servers(loaded, networks); err != nil {
			return clientconfig.Settings{}, err
		}
	}
	use := clientconfig.InUse(networks, loaded.Catalogue)
	return clientconfig.Settings{Network: network, Servers: servers, Use: use}, nil
}
