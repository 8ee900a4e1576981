package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pldns/config"
	"pldns/config/azureimport"
)

// driftFlags are the flags of drift.
type driftFlags struct {
	config  string
	exports []string
	network string
	read    exportFlags
	asJSON  bool
}

func newDrift() *cobra.Command {
	var flags driftFlags
	command := &cobra.Command{
		Use:   "drift --export KIND:FILE...",
		Short: "Compare a configuration with Azure exports",
		Long: `Drift compares the endpoints of the configuration with those of exported files:
mappings that Azure no longer has, mappings whose address changed, and endpoints
that no mapping names. It exits with 1 if there is any. The kinds of export are
those of import; "-" is standard input. Give the exports of everything that the
configuration maps: what no export has counts as gone, if the exports are complete.
Where a page is missing, or an endpoint is left out for want of a name, an address
or a known form, a mapping that no export has is unknown, and a note says why; so
is one whose endpoint is left out because it is not approved.

A name with an endpoint in each of several networks is right when its addresses
are those of one of them. Names outside the catalogue, such as api.contoso.com,
are compared only where an export has them.`,
		Example: `  pldns drift -c pldns.toml --export az:pe.json --export az:nic.json
  terraform show -json | pldns drift -c pldns.toml --network hub --export terraform:-`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return runDrift(command, flags) },
	}
	configFlag(command, &flags.config)
	jsonFlag(command, &flags.asJSON)
	f := command.Flags()
	f.StringArrayVar(&flags.exports, "export", nil, "an exported file and its kind, as `KIND:FILE`; may be given again")
	f.StringVar(&flags.network, "network", "", "compare only the endpoints of the network with this `name`")
	flags.read.add(command)
	return command
}

func runDrift(command *cobra.Command, flags driftFlags) error {
	if len(flags.exports) == 0 {
		return errors.New("nothing to compare with: name an export, as in --export az:pe.json")
	}
	loaded, err := config.LoadWith(flags.config, onDisk(command.ErrOrStderr()))
	if err != nil {
		return failing(err)
	}
	export, err := newExport(command, flags.read, loaded.Catalogue)
	if err != nil {
		return err
	}
	if err := readExports(command, export, flags.exports); err != nil {
		return err
	}
	networks, err := networksNamed(loaded.Networks, flags.network)
	if err != nil {
		return err
	}
	drift := export.Compare(networks)
	printNotes(command, drift.Notes)
	if flags.asJSON {
		err = printJSON(command.OutOrStdout(), drift)
	} else {
		err = printDrift(command.OutOrStdout(), drift)
	}
	if err == nil && drift.Any() {
		err = errNo
	}
	return err
}

// readExports reads what the flag --export names, each with its kind.
func readExports(command *cobra.Command, export *export, exports []string) error {
	for _, text := range exports {
		word, file, found := strings.Cut(text, ":")
		if !found {
			return fmt.Errorf("--export %s: write the kind before the file, as in az:pe.json", text)
		}
		kind, err := azureimport.ParseKind(word)
		if err != nil {
			return fmt.Errorf("--export %s: %w", text, err)
		}
		if err := readExport(command, export, kind, file); err != nil {
			return err
		}
	}
	return nil
}

// networksNamed is the network of a name, or all of them.
func networksNamed(networks []config.Network, name string) ([]config.Network, error) {
	if name == "" {
		return networks, nil
	}
	at := slices.IndexFunc(networks, func(n config.Network) bool { return n.Name == name })
	if at < 0 {
		return nil, fmt.Errorf("--network %s: the configuration has no such network: name one that it has", name)
	}
	return networks[at : at+1], nil
}

// printDrift writes the differences for people, a line for each.
func printDrift(w io.Writer, drift azureimport.Drift) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, network := range drift.Networks {
		for _, m := range network.Gone {
			fmt.Fprintf(table, "gone\t%s\t%s\t%s\tno endpoint in the export\n", network.Network, m.Name, joined(m.Addresses))
		}
		for _, m := range network.Unknown {
			fmt.Fprintf(table, "unknown\t%s\t%s\t%s\t%s\n", network.Network, m.Name, joined(m.Addresses), m.Why)
		}
		for _, m := range network.Changed {
			for _, other := range m.Exported {
				fmt.Fprintf(table, "changed\t%s\t%s\t%s\tis %s at %s\n", network.Network, m.Name, joined(m.Addresses),
					joined(other.Addresses), other.Source)
			}
		}
	}
	for _, endpoint := range drift.Unmapped {
		fmt.Fprintf(table, "unmapped\t-\t%s\t%s\tof %s\n", endpoint.Name, joined(endpoint.Addresses), endpoint.Source)
	}
	if err := table.Flush(); err != nil {
		return failing(err)
	}
	if !drift.Any() {
		_, err := fmt.Fprintln(w, "no difference")
		return failing(err)
	}
	return nil
}

// joined writes addresses beside each other.
func joined(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = addr.String()
	}
	return strings.Join(texts, ",")
}
