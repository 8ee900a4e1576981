package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"pldns/config/azureimport"
	"pldns/zones"
)

// importFlags are the flags of import.
type importFlags struct {
	network, set      string
	byVNet, bySubnet  bool
	pending           bool
	origin            string
	into, config      string
	dryRun, asPruning bool
}

func newImport() *cobra.Command {
	var flags importFlags
	command := &cobra.Command{
		Use:   "import KIND FILE...",
		Short: "Make endpoint tables of Azure exports",
		Long: `Import reads exported files of one kind and prints the endpoints in them as TOML,
for the network or set that is named. "-" is standard input. The kinds are

  az         az network private-endpoint list, private-endpoint dns-zone-group list,
             nic list, private-dns record-set a|aaaa|cname list; all with -o json
  graph      az graph query on private endpoints and network interfaces, or the same
             by REST or an SDK
  terraform  terraform show -json, or a state file of version 4
  arm        Azure Resource Manager's REST answers
  dns-zone   a zone file, such as az network private-dns zone export writes
  hosts      a hosts file

Several files add up: a list of endpoints has no names where DNS zone groups are
attached, and the list of network interfaces has them. Endpoints whose connection
is not approved are left out, with a note. A name with two addresses in one
network, from two endpoints, is an error.

With --into, the endpoints are entered into a file of the configuration instead:
comments, order and all other lines stay as they are, an endpoint that is there
already is not touched unless its address changed, and the file is replaced only
if the configuration loads with it. With --dry-run the difference is printed, and
nothing is written; the exit code is 1 when there is one.`,
		Example: `  az network private-endpoint list -o json > pe.json
  az network nic list -o json > nic.json
  pldns import az pe.json nic.json --network hub
  pldns import az pe.json nic.json --network hub --into /etc/pldns/pldns.toml --dry-run`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(command *cobra.Command, args []string) error { return runImport(command, flags, args) },
	}
	f := command.Flags()
	f.StringVar(&flags.network, "network", "", "the `name` of the network that the endpoints belong to")
	f.StringVar(&flags.set, "set", "", "the `name` of the set that the endpoints belong to, for several networks")
	f.BoolVar(&flags.byVNet, "by-vnet", false, "a network for each VNet, with its name")
	f.BoolVar(&flags.bySubnet, "by-subnet", false, "a network for each subnet, with the names of VNet and subnet")
	f.BoolVar(&flags.pending, "include-pending", false, "take endpoints that wait for approval, too")
	f.StringVar(&flags.origin, "origin", "", "the `zone` of a zone file that does not say $ORIGIN")
	f.StringVar(&flags.into, "into", "", "enter the endpoints into a `file`")
	f.StringVar(&flags.config, "config", "", "the main `file` of the configuration that the file of --into is a part of")
	f.BoolVar(&flags.dryRun, "dry-run", false, "print what --into would change, and write nothing")
	f.BoolVar(&flags.asPruning, "prune", false, "remove names of the table that the export does not have; with --into")
	command.MarkFlagsOneRequired("network", "set", "by-vnet", "by-subnet")
	command.MarkFlagsMutuallyExclusive("network", "set", "by-vnet", "by-subnet")
	return command
}

func runImport(command *cobra.Command, flags importFlags, args []string) error {
	kind, err := azureimport.ParseKind(args[0])
	if err != nil {
		return err
	}
	if flags.into == "" && (flags.dryRun || flags.asPruning || flags.config != "") {
		return errors.New("--dry-run, --prune and --config say how a file is edited: name it with --into")
	}
	for _, name := range []string{flags.network, flags.set} {
		if name == "" {
			continue
		}
		if err := azureimport.CheckName(name); err != nil {
			return err
		}
	}
	export, err := newExport(command, flags.pending, flags.origin)
	if err != nil {
		return err
	}
	for _, file := range args[1:] {
		if err := readExport(command, export, kind, file); err != nil {
			return err
		}
	}
	networks, err := export.Networks(flags.split())
	printNotes(command, export.Notes())
	if err != nil {
		return failing(err)
	}
	tables := flags.tables(networks)
	if flags.into != "" {
		return importInto(command, flags, tables)
	}
	_, err = command.OutOrStdout().Write(azureimport.Render(tables))
	return failing(err)
}

// split is how the export is divided.
func (f importFlags) split() azureimport.Split {
	switch {
	case f.byVNet:
		return azureimport.ByVNet
	case f.bySubnet:
		return azureimport.BySubnet
	}
	return azureimport.Whole
}

// tables are the endpoint tables of networks.
func (f importFlags) tables(networks []azureimport.Network) []azureimport.Table {
	var tables []azureimport.Table
	for _, network := range networks {
		switch {
		case f.set != "":
			tables = append(tables, azureimport.SetTable(f.set, network.Mappings))
		case f.network != "":
			tables = append(tables, azureimport.NetworkTable(f.network, network.Mappings))
		default:
			tables = append(tables, azureimport.NetworkTable(network.Name, network.Mappings))
		}
	}
	return tables
}

// importInto enters tables into a file, or prints how it would.
func importInto(command *cobra.Command, flags importFlags, tables []azureimport.Table) error {
	target := azureimport.Target{Path: flags.into, Config: flags.config, Prune: flags.asPruning}
	edited, err := target.Edit(tables)
	if err != nil {
		return failing(err)
	}
	printNotes(command, edited.Notes)
	if flags.dryRun {
		if _, err := io.WriteString(command.OutOrStdout(), edited.Diff); err != nil {
			return failing(err)
		}
		if edited.Diff != "" {
			return errNo
		}
		return nil
	}
	if err := edited.Write(); err != nil {
		return failing(err)
	}
	done := "written"
	if edited.Diff == "" {
		done = "nothing to change"
	}
	fmt.Fprintf(command.ErrOrStderr(), "%s: %s\n", flags.into, done)
	return nil
}

// export is an export that is read with a progress line.
type export struct {
	*azureimport.Export
	line *progress
}

// newExport makes an export that tells its progress, if anybody looks.
func newExport(command *cobra.Command, pending bool, origin string) (*export, error) {
	options := azureimport.Options{Pending: pending}
	if origin != "" {
		zone, err := zones.ParseName(origin)
		if err != nil {
			return nil, fmt.Errorf("--origin: %w: give the name of a zone, such as privatelink.database.windows.net", err)
		}
		options.Origin = zone
	}
	line := newProgress(command.ErrOrStderr())
	options.Progress = func(file string, read int) { line.tell("reading %s: %d", file, read) }
	return &export{azureimport.NewExport(options), line}, nil
}

// readExport reads a file, or standard input.
func readExport(command *cobra.Command, export *export, kind azureimport.Kind, name string) (err error) {
	var from io.Reader = command.InOrStdin()
	title := "standard input"
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return failing(fmt.Errorf("read an export: %w", err))
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		from, title = file, name
	}
	err = export.Read(kind, title, from)
	export.line.end()
	return failing(err)
}

// printNotes tells the operator what should be known.
func printNotes(command *cobra.Command, notes []string) {
	for _, note := range notes {
		fmt.Fprintf(command.ErrOrStderr(), "note: %s\n", note)
	}
}
