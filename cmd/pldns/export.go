package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pldns/config"
	"pldns/config/azureexport"
	"pldns/zones"
)

func newExportCommand() *cobra.Command {
	var file, network string
	var only []string
	command := &cobra.Command{
		Use:   "export KIND",
		Short: "Write what a network maps for Azure DNS or another server to take over",
		Long: `Export writes the endpoints, zones and records of one network in a form that
something else serves, so that it can take over. The kinds are

  bicep      private DNS zones with records and links, for az deployment group create
  terraform  the same, for the provider azurerm
  hosts      a hosts file
  rpz        a response policy zone, for BIND, Unbound, Knot and others

What the form cannot say is noted on standard error: that nothing but pldns probes
an address, for one. Zones whose missing names are forwarded fall back to the
internet, where Azure can do so. "pldns import hosts" and "pldns import dns-zone
--origin ." read the last two back, and "pldns import az" the record sets of the
first two once they are deployed.`,
		Example: `  pldns export bicep --network europe > europe.bicep
  pldns export terraform -c pldns.toml --network europe --zone privatelink.database.windows.net
  pldns export hosts --network branch > /etc/hosts.pldns`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			kind, err := azureexport.ParseKind(args[0])
			if err != nil {
				return err
			}
			chosen, err := zonesNamed(kind, only)
			if err != nil {
				return err
			}
			return runExport(command, kind, file, network, chosen)
		},
	}
	command.ValidArgs = words(azureexport.Kinds())
	configFlag(command, &file)
	command.Flags().StringVar(&network, "network", "", "the `name` of the network; needed where there are several")
	command.Flags().StringArrayVar(&only, "zone", nil, "only this `zone`; for bicep and terraform; may be given again")
	command.AddCommand(newExportZone())
	return command
}

// runExport writes a network of a configuration, or some of its zones.
func runExport(command *cobra.Command, kind azureexport.Kind, file, network string, only []zones.Name) error {
	loaded, err := loadLearned(command.ErrOrStderr(), file)
	if err != nil {
		return failing(err)
	}
	chosen, err := oneNetwork(loaded.Networks, network)
	if err != nil {
		return err
	}
	plan, err := azureexport.NewPlan(chosen, loaded.Catalogue).Only(only)
	if err != nil {
		return failing(err)
	}
	text, notes, err := azureexport.Render(kind, plan)
	if err != nil {
		return failing(err)
	}
	printNotes(command, notes)
	_, err = io.WriteString(command.OutOrStdout(), text)
	return failing(err)
}

// zonesNamed reads the values of --zone.
func zonesNamed(kind azureexport.Kind, texts []string) ([]zones.Name, error) {
	if len(texts) > 0 && (kind == azureexport.Hosts || kind == azureexport.RPZ) {
		return nil, fmt.Errorf("--zone chooses among the zones of bicep and terraform, and %s has none: leave it out", kind)
	}
	var names []zones.Name
	for _, text := range texts {
		name, err := zones.ParseName(text)
		if err != nil {
			return nil, fmt.Errorf("--zone: %w: give the name of a zone, such as privatelink.database.windows.net", err)
		}
		names = append(names, name)
	}
	return names, nil
}

// oneNetwork is the network of a name, or the only one.
func oneNetwork(networks []config.Network, name string) (*config.Network, error) {
	if name == "" && len(networks) == 1 {
		return &networks[0], nil
	}
	var all []string
	for _, network := range networks {
		all = append(all, network.Name)
	}
	if at := slices.Index(all, name); at >= 0 {
		return &networks[at], nil
	}
	if name == "" {
		return nil, fmt.Errorf("each network has zones of its own: name one with --network: %s", strings.Join(all, ", "))
	}
	return nil, fmt.Errorf("--network %s: the configuration has no such network: name one of %s", name, strings.Join(all, ", "))
}
