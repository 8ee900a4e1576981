package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"pldns/resolver/metrics"
)

// build is what the toolchain stamped into the binary.
func build() metrics.Build {
	b := metrics.Build{Version: "unknown", Revision: "unknown", GoVersion: "unknown"}
	info, found := debug.ReadBuildInfo()
	if !found {
		return b
	}
	b.Version, b.GoVersion = info.Main.Version, info.GoVersion
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			b.Revision = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			b.Revision += "-modified"
		}
	}
	return b
}

func newVersion() *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "version",
		Short: "Print the version of the program",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			b := build()
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
