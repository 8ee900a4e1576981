package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/daemon"
)

func newVersion() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			b := daemon.Build()
			if asJSON {
				return printJSON(command.OutOrStdout(), map[string]string{
					"version": b.Version, "revision": b.Revision, "go": b.GoVersion,
				})
			}
			_, err := fmt.Fprintf(command.OutOrStdout(), "pldns %s (revision %s, %s)\n", b.Version, b.Revision, b.GoVersion)
			return failing(err)
		},
	}
	jsonFlag(command, &asJSON)
	return command
}
