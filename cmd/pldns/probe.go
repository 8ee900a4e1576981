package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"pldns/resolver/admin"
)

func newProbe() *cobra.Command {
	var server string
	command := &cobra.Command{
		Use:   "probe",
		Short: "Ask a running pldns whether it serves",
		Long: `Probe asks a running pldns for /readyz at its admin address, and exits with 0 when
it serves, else with 1: a health check for containers, which have no other program
to ask with.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var status admin.Status
			if err := fetchJSON(command.Context(), server, "/readyz", nil, &status); err != nil {
				return failing(err)
			}
			if !status.Ready {
				// Whatever else answers with JSON there is no pldns that serves.
				return failing(fmt.Errorf("%s does not say that it is ready (is it the admin address of a running pldns?)", server))
			}
			_, err := fmt.Fprintf(command.OutOrStdout(), "ready: networks: %d, endpoints: %d\n", status.Networks, status.Endpoints)
			return failing(err)
		},
	}
	command.Flags().StringVar(&server, "server", "127.0.0.1:8053", "the admin `address` of a running pldns")
	return command
}
