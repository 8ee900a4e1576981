package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"
)

// defaultConfig is the configuration file that is read when none is named.
const defaultConfig = "/etc/pldns/pldns.toml"

// newRoot makes the command line.
func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "pldns",
		Short: "Private DNS resolver for Azure Private Link",
		Long: `pldns answers each consumer network with the private endpoint addresses that
belong to it, under the real public names, and forwards everything else.`,
		Version:       versionLine(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(orExample(newServe(), defaultFolder()), newCheck(), newExplain(), newCatalog(), newClientConfig(), newDoctor(),
		newVerify(), newImport(), newDrift(), newAudit(), newExportCommand(), newDiscover(), newUnmapped(), newTail(), newShadow(),
		newPush(), newHistory(), newDiff(), newRollback(), newPromote(), newPull(), newFleet(),
		newProbe(), newMan(), newVersion())
	return root
}

// configFlag adds -c to a command.
func configFlag(command *cobra.Command, file *string) {
	standard := defaultConfig
	if named := os.Getenv("PLDNS_CONFIG"); named != "" {
		standard = named
	}
	command.Flags().StringVarP(file, "config", "c", standard, "configuration `file`; $PLDNS_CONFIG names another default")
}
