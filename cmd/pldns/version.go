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
			_, err := fmt.Fprintln(command.OutOrStdout(), versionLine())
			return failing(err)
		},
	}
	jsonFlag(command, &asJSON)
	return command
}

// versionLine says which program this is, in a line.
func versionLine() string {
	b := daemon.Build()
	return fmt.Sprintf("pldns %s (revision %s, %s)", b.Version, b.Revision, b.GoVersion)
}
