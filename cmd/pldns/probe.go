package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/doctor"
	"pldns/resolver/admin"
)

// probeFlags are the flags of probe.
type probeFlags struct {
	server, ca string
	way        serverFlags
	timeout    time.Duration
	asJSON     bool
}

func newProbe() *cobra.Command {
	var flags probeFlags
	command := &cobra.Command{
		Use:   "probe",
		Short: "Ask a running pldns whether it serves",
		Long: `Probe asks a running pldns for /readyz at its admin address, and exits with 0 when
it serves, else with 1: a health check for containers, which have no other program
to ask with. The server is not ready while one of its listeners, over whatever
transport, does not answer the question that it asks itself.

With --transport it asks the server itself instead, as a client does: over udp, tcp,
dot, doh, doq, h3 or all, at 127.0.0.1 or at the address of --server. Any reply will
do; one that refuses is noted. Whose certificate it is matters where --server-name
says who is expected. Causes are those of pldns doctor.`,
		Example: `  pldns probe
  pldns probe --transport doq,h3 --server 10.0.0.4 --server-name dns.contoso.net`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if len(flags.way.transports) > 0 {
				return flags.reach(command)
			}
			return failing(flags.ready(command))
		},
	}
	command.Flags().StringVar(&flags.server, "server", "", "the admin `address` of a running pldns, 127.0.0.1:8053 without it; with "+
		"--transport, the address of the DNS server")
	flags.way.register(command)
	proofFlags(command, &flags.ca, &flags.timeout)
	jsonFlag(command, &flags.asJSON)
	return command
}

// ready asks at the admin address.
func (f *probeFlags) ready(command *cobra.Command) error {
	server := cmp.Or(f.server, "127.0.0.1:8053")
	var status admin.Status
	if err := fetchJSON(command.Context(), server, "/readyz", nil, &status); err != nil {
		return err
	}
	if !status.Ready {
		// Whatever else answers with JSON there is no pldns that serves.
		return fmt.Errorf("%s does not say that it is ready (is it the admin address of a running pldns?)", server)
	}
	if f.asJSON {
		return printJSON(command.OutOrStdout(), status)
	}
	_, err := fmt.Fprintf(command.OutOrStdout(), "ready: networks: %d, endpoints: %d\n", status.Networks, status.Endpoints)
	return err
}

// reach asks the DNS server over each transport.
func (f *probeFlags) reach(command *cobra.Command) error {
	c := doctor.Config{Timeout: f.timeout}
	var err error
	if c.Server, err = serverFlag("server", cmp.Or(f.server, "127.0.0.1")); err != nil {
		return err
	}
	if err = f.way.put(&c); err != nil {
		return err
	}
	if c.Roots, err = rootsOf(f.ca, f.timeout); err != nil {
		return err
	}
	return reportDoctor(command, f.asJSON, func(told func(doctor.Step)) doctor.Report {
		c.Told = told
		return doctor.Reach(command.Context(), c)
	})
}
