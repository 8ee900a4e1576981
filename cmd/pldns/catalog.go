package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"pldns/config"
	"pldns/zones"
	"pldns/zones/azure"
)

func newCatalog() *cobra.Command {
	var file, cloud string
	var asJSON bool
	command := &cobra.Command{
		Use:   "catalog [NAME]",
		Short: "List the zones of Azure Private Link, or say where a name belongs",
		Long: `Catalog lists the zones that pldns knows: which service uses which privatelink
zone, and the public zones that lead into it. For a name it says which service
it belongs to, its zone, and its private and public names. It exits with 1 for a
name that no zone covers, or whose private name cannot be derived. Rows that a
configuration adds with [[catalogue]] are among them when it is named with -c or
$PLDNS_CONFIG.`,
		Example: `  pldns catalog mydb.database.windows.net
  pldns catalog --cloud china
  pldns catalog c1.abc.newdb.azure.com -c pldns.toml
  pldns catalog diff zones.txt`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			catalogue, err := catalogueOf(file)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return printName(command.OutOrStdout(), catalogue, args[0], asJSON)
			}
			entries, err := entriesOf(catalogue, cloud)
			if err != nil {
				return err
			}
			return printEntries(command.OutOrStdout(), entries, asJSON)
		},
	}
	command.AddCommand(newCatalogDiff())
	jsonFlag(command, &asJSON)
	catalogueFlag(command, &file)
	command.Flags().StringVar(&cloud, "cloud", "", "only the zones of one `cloud`: public, usgov or china")
	oneOf(command, "cloud", clouds()...)
	return command
}

// catalogueFlag adds -c to a command that needs no configuration but the rows that
// one adds to the catalogue.
func catalogueFlag(command *cobra.Command, file *string) {
	command.Flags().StringVarP(file, "config", "c", os.Getenv("PLDNS_CONFIG"), "a configuration `file` whose rows of the catalogue "+
		"count, too")
}

// catalogueOf is the catalogue with the rows of a configuration, if one is named.
func catalogueOf(file string) (*azure.Catalogue, error) {
	if file == "" {
		return azure.New(), nil
	}
	loaded, err := config.LoadWith(file, onDisk(io.Discard))
	if err != nil {
		return nil, failing(err)
	}
	return loaded.Catalogue, nil
}

func clouds() []azure.Cloud { return []azure.Cloud{azure.Public, azure.USGov, azure.China} }

// entriesOf are the rows of a cloud, or of all.
func entriesOf(catalogue *azure.Catalogue, cloud string) ([]azure.Entry, error) {
	if cloud != "" && !slices.Contains(clouds(), azure.Cloud(cloud)) {
		return nil, fmt.Errorf("--cloud %s: there is no such cloud; name one of public, usgov, china", cloud)
	}
	return slices.DeleteFunc(slices.Clone(catalogue.Entries()), func(e azure.Entry) bool {
		return cloud != "" && string(e.Cloud) != cloud
	}), nil
}

// zoneRow is a row of the catalogue as it is printed.
type zoneRow struct {
	Cloud       azure.Cloud `json:"cloud"`
	Service     string      `json:"service"`
	Subresource string      `json:"subresource"`
	PrivateZone string      `json:"private_zone"`
	PublicZones []string    `json:"public_zones"`
	Legacy      bool        `json:"legacy,omitempty"`
	Observed    bool        `json:"observed,omitempty"`
	Source      string      `json:"source"`
	Date        string      `json:"date,omitempty"`
	Notes       string      `json:"notes,omitempty"`
}

func newZoneRow(e azure.Entry) zoneRow {
	return zoneRow{e.Cloud, e.Service, e.Subresource, e.PrivateZone, e.PublicZones, e.Legacy, e.Observed, e.Source, e.Date, e.Notes}
}

func printEntries(w io.Writer, entries []azure.Entry, asJSON bool) error {
	if asJSON {
		rows := make([]zoneRow, 0, len(entries))
		for _, e := range entries {
			rows = append(rows, newZoneRow(e))
		}
		return printJSON(w, rows)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CLOUD\tSERVICE\tSUBRESOURCE\tPRIVATE ZONE\tPUBLIC ZONES")
	for _, e := range entries {
		service := e.Service
		switch {
		case e.Legacy:
			service += " (legacy)"
		case e.Observed:
			service += " (observed)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.Cloud, service, e.Subresource, e.PrivateZone, strings.Join(e.PublicZones, ", "))
	}
	return failing(table.Flush())
}

// place is where a name belongs.
type place struct {
	Name    string   `json:"name"`
	Service string   `json:"service,omitempty"`
	Cloud   string   `json:"cloud,omitempty"`
	Zone    string   `json:"zone,omitempty"`
	Private string   `json:"private_name,omitempty"`
	Public  []string `json:"public_names,omitempty"`
	Source  string   `json:"source,omitempty"`
	Notes   string   `json:"notes,omitempty"`
	Fault   string   `json:"fault,omitempty"` // why there is no private name
}

// printName says where one name belongs.
func printName(w io.Writer, catalogue *azure.Catalogue, text string, asJSON bool) error {
	name, err := zones.ParseName(text)
	if err != nil {
		return fmt.Errorf("%w: give the name of a resource, such as mydb.database.windows.net", err)
	}
	p := placeOf(catalogue, name)
	if asJSON {
		err = printJSON(w, p)
	} else {
		err = p.print(w)
	}
	if err != nil {
		return err
	}
	if p.Fault != "" {
		return errNo
	}
	return nil
}

func placeOf(catalogue *azure.Catalogue, name zones.Name) place {
	p := place{Name: name.String()}
	match, isPrivate := catalogue.ZoneOf(name)
	if !isPrivate {
		var err error
		var underivable *azure.NotDerivableError
		match, err = catalogue.Derive(name)
		switch {
		case errors.As(err, &underivable):
			p.Fault, p.Service, p.Cloud = err.Error(), underivable.Entry.Service, string(underivable.Entry.Cloud)
			return p
		case err != nil:
			p.Fault = err.Error()
			return p
		}
	}
	p.Service, p.Cloud, p.Notes = match.Entry.Service, string(match.Entry.Cloud), match.Entry.Notes
	p.Source = sourceOf(match.Entry)
	p.Zone, p.Private = match.Zone.String(), match.Private.String()
	for _, public := range catalogue.PublicNames(match.Private) {
		p.Public = append(p.Public, public.String())
	}
	if !isPrivate && !slices.Contains(p.Public, p.Name) {
		p.Public = append(p.Public, p.Name)
	}
	return p
}

// sourceOf says where a row is from, and of when.
func sourceOf(e azure.Entry) string {
	source := e.Source
	if source == "table" {
		source = "Microsoft's table of zones"
	}
	if e.Date != "" {
		source += ", " + e.Date
	}
	return source
}

// print writes what is known of the name, a line for each fact.
func (p place) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, fact := range []struct{ title, value string }{
		{"name", p.Name},
		{"service", p.Service},
		{"cloud", p.Cloud},
		{"zone", p.Zone},
		{"private name", p.Private},
		{"public names", strings.Join(p.Public, ", ")},
		{"source", p.Source},
		{"notes", p.Notes},
		{"fault", p.Fault},
	} {
		if fact.value != "" {
			fmt.Fprintf(table, "%s\t%s\n", fact.title, fact.value)
		}
	}
	return failing(table.Flush())
}
