package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"pldns/config"
	"pldns/config/clientconfig"
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
			kind, err := clientconfig.ParseKind(args[0], format)
			if err != nil {
				return err
			}
			named, err := parseServers(servers)
			if err != nil {
				return err
			}
			loaded, err := loadLearned(command.ErrOrStderr(), file)
			if err != nil {
				return failing(err)
			}
			settings, err := clientSettings(loaded, network, named)
			if err != nil {
				return failing(err)
			}
			text, err := clientconfig.Render(kind, format, settings)
			if err != nil {
				return failing(err)
			}
			_, err = command.OutOrStdout().Write(text)
			return failing(err)
		},
	}
	command.ValidArgs = words(clientconfig.Kinds())
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
	return strings.TrimSuffix(text.String(), "\n")
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
