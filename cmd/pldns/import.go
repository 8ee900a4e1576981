package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pldns/config"
	"pldns/config/azureimport"
	"pldns/zones"
	"pldns/zones/azure"
)

// importFlags are the flags of import.
type importFlags struct {
	network, set             string
	byVNet, bySubnet, byLink bool
	names                    []string
	both                     bool
	prefer                   []string
	read                     exportFlags
	into, config, format     string
	dryRun, asPruning        bool
	removals                 int
}

// exportFlags say how exports are read and what of them counts.
type exportFlags struct {
	pending, assume bool
	origin          string
}

// add adds the flags to a command.
func (f *exportFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.BoolVar(&f.pending, "include-pending", false, "take endpoints that wait for approval, too")
	flags.BoolVar(&f.assume, "assume-approved", false, "take network interfaces and zone groups whose endpoint is in no file, too")
	flags.StringVar(&f.origin, "origin", "", "the `zone` of a zone file that does not say $ORIGIN, or of records of Windows DNS")
}

// What import prints.
const (
	formatTOML  = "toml"
	formatHosts = "hosts"
)

const importHelp = `Import reads exported files of one kind and prints the endpoints in them as TOML,
for the network or set that is named. "-" is standard input, and a file may be
compressed by gzip. The kinds are

  az           az network private-endpoint list, private-endpoint dns-zone-group
               list, nic list, private-dns record-set a|aaaa|cname list, private-dns
               zone list, private-dns link vnet list, with -o json; Get-AzPrivateEndpoint,
               Get-AzNetworkInterface, Get-AzPrivateDnsRecordSet and
               Get-AzPrivateDnsVirtualNetworkLink with ConvertTo-Json -Depth 10
  graph        az graph query, or the same by REST or an SDK
  terraform    terraform or tofu show -json of a state or a plan, or a state file of
               version 4: azurerm and azapi
  pulumi       pulumi stack export: azure-native and azure
  arm          Azure Resource Manager's REST answers; az deployment group show
  dns-zone     a zone file of Azure, BIND or dnscmd /ZoneExport
  hosts        a hosts file
  windows-dns  Get-DnsServerResourceRecord with ConvertTo-Json -Depth 5 or Export-Csv
  infoblox     CSV export of Infoblox
  dnsmasq      address= and host-record= of a dnsmasq.conf
  unbound      local-data of an unbound.conf
  coredns      the hosts blocks of a Corefile

Several files add up: a list of endpoints has no names where DNS zone groups are
attached, and the list of network interfaces has them.

Names are those that an export tells, or that of a resource where Azure makes its
host name of that. For an endpoint without a name there is a note with its address.
What is left out is noted on standard error, with the reason: an endpoint that is
not approved, a name with two addresses in one network from two sources. The
network interface beats records, and records beat zone groups. The exit code is 1
when a name is in conflict, and when nothing is left of an export.

With --into, the endpoints are entered into a file of the configuration instead:
comments, order and all other lines stay as they are, an endpoint that is there
already is not touched unless its address changed, and the file is replaced only
if the configuration loads with it. With --format hosts, what is printed is a hosts
file, which a network or set names in hosts, for estates of tens of thousands of
endpoints. With --dry-run the difference is printed, and
nothing is written; the exit code is 1 when there is one.

With --prune, names that the export does not have are removed. That needs an export
that is complete: no page is missing, and no endpoint is left out for want of a name,
an address or a known form. Otherwise nothing is written, each reason is told, and
the exit code is 1. What may belong to something that is left out stays. To remove
more than 20 mappings, or more than a tenth of a table, --accept-removals says how
many are meant.`

func newImport() *cobra.Command {
	var flags importFlags
	command := &cobra.Command{
		Use:   "import KIND FILE...",
		Short: "Make endpoint tables of Azure exports",
		Long:  importHelp,
		Example: `  az network private-endpoint list -o json > pe.json
  az network nic list -o json > nic.json
  pldns import az pe.json nic.json --network hub
  pldns import az pe.json nic.json --network hub --into /etc/pldns/pldns.toml --dry-run
  pldns import az pe.json nic.json groups.json links.json --by-link --map vnet-spoke=office`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(command *cobra.Command, args []string) error { return runImport(command, flags, args) },
	}
	f := command.Flags()
	f.StringVar(&flags.network, "network", "", "the `name` of the network that the endpoints belong to")
	f.StringVar(&flags.set, "set", "", "the `name` of the set that the endpoints belong to, for several networks")
	f.BoolVar(&flags.byVNet, "by-vnet", false, "a network for each VNet that endpoints lie in, with its name")
	f.BoolVar(&flags.bySubnet, "by-subnet", false, "a network for each subnet, with the names of VNet and subnet")
	f.BoolVar(&flags.byLink, "by-link", false, "a network for each VNet that private zones are linked to: who sees them")
	f.StringArrayVar(&flags.names, "map", nil, "`VNET=NETWORK`: the network of a VNet or a VNET/SUBNET, by name or id; may be given again")
	f.BoolVar(&flags.both, "both", false, "take the addresses of two endpoints that lead to one resource")
	f.StringSliceVar(&flags.prefer, "prefer", nil, "with --both, the `regions` whose addresses come first")
	flags.read.add(command)
	f.StringVar(&flags.into, "into", "", "enter the endpoints into a `file`")
	f.StringVar(&flags.format, "format", "toml", "what is printed: toml, or hosts for a file that a network or set names in hosts")
	f.StringVar(&flags.config, "config", "", "the main `file` of the configuration, whose rows of the catalogue count; needed where "+
		"--into names another of its files")
	f.BoolVar(&flags.dryRun, "dry-run", false, "print what --into would change, and write nothing")
	f.BoolVar(&flags.asPruning, "prune", false, "remove names of the table that a complete export does not have; with --into")
	f.IntVar(&flags.removals, "accept-removals", 0, "how `many` mappings --prune may remove where that is more than usual")
	kindThenFiles(command, azureimport.Kinds())
	oneOf(command, "format", "toml", "hosts")
	command.MarkFlagsOneRequired("network", "set", "by-vnet", "by-subnet", "by-link")
	command.MarkFlagsMutuallyExclusive("network", "set", "by-vnet", "by-subnet", "by-link")
	return command
}

func runImport(command *cobra.Command, flags importFlags, args []string) error {
	kind, err := azureimport.ParseKind(args[0])
	if err != nil {
		return err
	}
	layout, err := flags.layout()
	if err != nil {
		return err
	}
	export, err := newExport(command, flags.read, flags.catalogue())
	if err != nil {
		return err
	}
	for _, file := range args[1:] {
		if err := readExport(command, export, kind, file); err != nil {
			return err
		}
	}
	result := export.Networks(layout)
	printNotes(command, notesOf(result))
	tables := flags.tables(result.Networks)
	switch {
	case len(tables) == 0 && result.Read():
		return failing(errors.New("nothing of the export can be taken: the notes say why"))
	case flags.into != "":
		err = importInto(command, flags, tables, result)
	default:
		err = flags.print(command, tables)
	}
	if err == nil && len(result.Conflicts) > 0 {
		return failing(fmt.Errorf("names with two addresses, which are left out: %d: the notes say which", len(result.Conflicts)))
	}
	return err
}

// print writes tables in the format that is wanted.
func (f importFlags) print(command *cobra.Command, tables []azureimport.Table) error {
	text := azureimport.Render(tables)
	if f.format == formatHosts {
		if len(tables) > 1 {
			return failing(fmt.Errorf("a hosts file is for one network, and the export has %d: map them to one, or print TOML",
				len(tables)))
		}
		var notes []string
		text, notes = azureimport.RenderHosts(tables[0])
		printNotes(command, notes)
	}
	_, err := command.OutOrStdout().Write(text)
	return failing(err)
}

// notesOf is everything that the operator should know of a result.
func notesOf(result *azureimport.Result) []string {
	notes := slices.Clone(result.Notes)
	for _, gap := range result.Gaps {
		notes = append(notes, gap.Text)
	}
	slices.Sort(notes)
	return slices.Compact(notes)
}

// layout is how the export is put into networks. The error is wrong use.
func (f importFlags) layout() (azureimport.Layout, error) {
	layout := azureimport.Layout{Split: f.split(), Names: make(map[string]string), Both: f.both, Prefer: f.prefer}
	switch {
	case f.format != formatTOML && f.format != formatHosts:
		return layout, fmt.Errorf("--format %s: write toml or hosts", f.format)
	case f.into != "" && f.format != formatTOML:
		return layout, errors.New("--into edits a file in TOML: leave --format out, or print a hosts file without --into")
	case f.into == "" && (f.dryRun || f.asPruning):
		return layout, errors.New("--dry-run and --prune say how a file is edited: name it with --into")
	case f.removals != 0 && !f.asPruning:
		return layout, errors.New("--accept-removals says how much --prune may remove: give both")
	case len(f.prefer) > 0 && !f.both:
		return layout, errors.New("--prefer orders the addresses of --both: give both")
	case len(f.names) > 0 && layout.Split == azureimport.Whole:
		return layout, errors.New("--map names the networks of --by-vnet, --by-subnet or --by-link: give one of these")
	}
	networks := []string{f.network, f.set}
	for _, text := range f.names {
		at := strings.LastIndexByte(text, '=')
		if at <= 0 {
			return layout, fmt.Errorf("--map %s: write a VNet and a network, as in --map vnet-hub=hub", text)
		}
		layout.Names[text[:at]] = text[at+1:]
		if err := azureimport.CheckName(text[at+1:]); err != nil {
			return layout, fmt.Errorf("--map %s: %w", text, err)
		}
	}
	for _, name := range networks {
		if name == "" {
			continue
		}
		if err := azureimport.CheckName(name); err != nil {
			return layout, err
		}
	}
	return layout, nil
}

// split is how the export is divided.
func (f importFlags) split() azureimport.Split {
	switch {
	case f.byVNet:
		return azureimport.ByVNet
	case f.bySubnet:
		return azureimport.BySubnet
	case f.byLink:
		return azureimport.ByLink
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
func importInto(command *cobra.Command, flags importFlags, tables []azureimport.Table, result *azureimport.Result) error {
	target := azureimport.Target{Path: flags.into, Config: flags.config}
	if flags.asPruning {
		target.Prune = &azureimport.Pruning{Result: result, Accept: flags.removals}
	}
	edited, err := target.Edit(tables)
	if err != nil {
		return failing(err)
	}
	printNotes(command, edited.Notes)
	if flags.dryRun {
		if _, err := io.WriteString(command.OutOrStdout(), edited.Diff); err != nil {
			return failing(err)
		}
		if edited.Diff != "" && edited.Refused == nil {
			return errNo
		}
		return failing(edited.Refused)
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

// catalogue is that of the configuration, as far as it can be read: what is imported
// may be what makes it load. Nil is the one that is part of the program.
func (f importFlags) catalogue() *azure.Catalogue {
	for _, file := range []string{f.config, f.into} {
		if file == "" {
			continue
		}
		if report, err := config.Check(file); err == nil {
			return report.Catalogue
		}
	}
	return nil
}

// newExport makes an export that tells its progress, if anybody looks. A nil
// catalogue is the one that is part of the program.
func newExport(command *cobra.Command, flags exportFlags, catalogue *azure.Catalogue) (*export, error) {
	options := azureimport.Options{Pending: flags.pending, AssumeApproved: flags.assume, Catalogue: catalogue}
	if flags.origin != "" {
		zone, err := zones.ParseName(flags.origin)
		if err != nil {
			return nil, fmt.Errorf("--origin: %w: give the name of a zone, such as privatelink.database.windows.net", err)
		}
		options.Origin = zone
	}
	line := newProgress(command.ErrOrStderr())
	options.Progress = func(file string, read int) { line.tell("reading %s: %d", file, read) }
	return &export{azureimport.NewExport(options), line}, nil
}

// standardInput is what standard input is called in messages.
const standardInput = "standard input"

// readExport reads a file, or standard input.
func readExport(command *cobra.Command, export *export, kind azureimport.Kind, name string) (err error) {
	var from io.Reader = command.InOrStdin()
	title := standardInput
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
