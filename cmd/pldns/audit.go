package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/daemon"
	"pldns/config"
	"pldns/config/azureaudit"
	"pldns/config/azureimport"
	"pldns/resolver/admin"
	"pldns/zones"
	"pldns/zones/azure"
)

// auditFlags are the flags of audit.
type auditFlags struct {
	config          string
	azure           bool
	released        releaseFlag
	names           []string
	asked           string
	asJSON, asSARIF bool
	read            exportFlags
}

const auditHelp = `Audit reads exported files, of the kinds of import, and says for each VNet where
what Azure DNS answers is not what it should be. It needs no running pldns and no
configuration. A file of another kind is written KIND:FILE; "-" is standard input.

With --azure it reads no files: it lists each [azure.NAME] of the configuration once,
with the identity that it names, as discover does. What the identity cannot read is
not taken for absent.

It looks for

  record-missing            a zone is linked, and lacks an endpoint's record: NXDOMAIN
  record-stale              a record whose address no network interface has
  record-differs            a record with another address than its endpoint
  interface-without-record  a name of an interface that no zone has a record for
  zone-not-linked           an endpoint whose own VNet gets the public address
  zone-twice                two zones of one name
  zone-wrong-name           a zone that no alias leads to (privatelink.vault.azure.net)
  zone-superseded           a zone that Azure has given up
  zone-public-name          a zone that takes all names of a service (vault.azure.net)
  no-zone-group             an endpoint whose records nobody keeps
  endpoint-not-approved     an endpoint whose connection is pending or was rejected
  endpoint-failed           an endpoint that was not provisioned, or is being deleted
  registration              virtual machines that register in a privatelink zone
  no-fallback               a link that denies the names of other tenants
  pldns-differs             with -c: what pldns answers otherwise

Each finding has an id, a severity (error, warning or note), the resource, what
happens to which client, and what to do. What the files do not hold is not taken for
absent: standard error says what was not looked at. The exit code is 1 with an error
or a warning; notes alone are fine.

With -c, the answers of a configuration are compared, with --release those of a release
of its store: a VNet belongs to the network that learns from it, to that of its name, or
to that of --map. --asked names a file with names that clients ask
for, one a line, or what "pldns unmapped --json" prints: with it, no-fallback is a
warning where these are denied.`

func newAudit() *cobra.Command {
	var flags auditFlags
	command := &cobra.Command{
		Use:   "audit (KIND FILE... | --azure)",
		Short: "Say where Azure DNS does not answer what it should",
		Long:  auditHelp,
		Example: `  az network private-endpoint list -o json > pe.json
  az network nic list -o json > nic.json
  az network private-dns zone list -o json > zones.json
  for zone in $(az network private-dns zone list --query '[].name' -o tsv); do
    az network private-dns link vnet list -g rg-dns -z $zone -o json >> links.json
    az network private-dns record-set list -g rg-dns -z $zone -o json >> records.json
  done
  pldns audit az pe.json nic.json zones.json links.json records.json
  pldns audit graph estate.json az:records.json --sarif > pldns.sarif
  pldns audit terraform state.json -c pldns.toml --map vnet-hub=europe
  pldns audit --azure -c pldns.toml`,
		Args: func(command *cobra.Command, args []string) error {
			if flags.azure {
				return cobra.NoArgs(command, args)
			}
			return cobra.MinimumNArgs(2)(command, args)
		},
		RunE: func(command *cobra.Command, args []string) error { return runAudit(command, flags, args) },
	}
	f := command.Flags()
	f.BoolVar(&flags.azure, "azure", false, "list Azure itself, as the configuration of -c says")
	f.StringVarP(&flags.config, "config", "c", "", "compare with what this configuration `file` answers")
	flags.released.add(command)
	f.StringArrayVar(&flags.names, "map", nil, "`VNET=NETWORK`: the network of a VNet, by name or id; may be given again")
	f.StringVar(&flags.asked, "asked", "", "a `file` with names that clients ask for")
	f.StringVar(&flags.read.origin, "origin", "", "the `zone` of a zone file that does not say $ORIGIN, or of records of Windows DNS")
	jsonFlag(command, &flags.asJSON)
	f.BoolVar(&flags.asSARIF, "sarif", false, "print SARIF 2.1.0, for code scanning")
	command.MarkFlagsMutuallyExclusive("json", "sarif")
	command.MarkFlagsMutuallyExclusive("azure", "origin")
	command.MarkFlagsMutuallyExclusive("azure", "release")
	kindThenFiles(command, azureimport.Kinds())
	return command
}

func runAudit(command *cobra.Command, flags auditFlags, args []string) error {
	options := azureaudit.Options{Catalogue: azure.New()}
	read := flags.exports
	if flags.azure {
		read = flags.live
	}
	inventory, err := read(command, args, &options)
	if err != nil {
		return err
	}
	return flags.report(command, azureaudit.Audit(inventory, options), options.Reach)
}

// exports reads exported files, and the configuration if there is one.
func (f auditFlags) exports(command *cobra.Command, args []string, options *azureaudit.Options) (none azureimport.Inventory, err error) {
	kind, err := azureimport.ParseKind(args[0])
	if err != nil {
		return none, err
	}
	var loaded *config.Config
	if f.config != "" {
		if loaded, err = f.released.load(command, f.config); err != nil {
			return none, failing(err)
		}
		loaded = withLearned(command.ErrOrStderr(), loaded)
	}
	if err := f.compareWith(loaded, options); err != nil {
		return none, err
	}
	export, err := newExport(command, f.read, options.Catalogue)
	if err != nil {
		return none, err
	}
	for _, file := range args[1:] {
		its, file := kindOf(kind, file)
		if err := readExport(command, export, its, file); err != nil {
			return none, err
		}
		if its == azureimport.Terraform || its == azureimport.Pulumi {
			options.Managed = append(options.Managed, titleOf(file))
		}
	}
	return export.Inventory(), nil
}

// live lists each source of the configuration once.
func (f auditFlags) live(command *cobra.Command, _ []string, options *azureaudit.Options) (none azureimport.Inventory, err error) {
	if f.config == "" {
		return none, errors.New("--azure lists what a configuration says: name it with -c FILE")
	}
	c, err := loadAzure(command.ErrOrStderr(), f.config)
	if err != nil {
		return none, err
	}
	if err := f.compareWith(c, options); err != nil { // before Azure is asked for minutes
		return none, err
	}
	found, err := daemon.Discover(command.Context(), c, false, slog.New(slog.DiscardHandler))
	if err != nil {
		return none, failing(err)
	}
	options.Table = found.Config.Table
	var all []azureaudit.Listed
	for i, a := range c.Azure {
		all = append(all, azureaudit.Listed{
			Source: found.Sources[i].Name, Scopes: a.Scopes, Listing: found.Listings[i], Err: errors.Unwrap(found.Faults[i]),
		})
	}
	if faults := errors.Join(found.Faults...); !slices.ContainsFunc(all, func(l azureaudit.Listed) bool { return l.Listing != nil }) {
		return none, failing(faults)
	}
	inventory, reach := azureaudit.Inventory(all)
	options.Reach = reach
	return inventory, nil
}

// report prints what was found. An error is that it cannot be printed, or that it is not
// all well.
func (f auditFlags) report(command *cobra.Command, report *azureaudit.Report, reach *azureaudit.Reach) (err error) {
	for _, note := range report.Notes {
		fmt.Fprintf(command.ErrOrStderr(), "not looked at: %s\n", note)
	}
	switch out := command.OutOrStdout(); {
	case f.asJSON:
		err = printJSON(out, newAuditReport(report))
	case f.asSARIF && f.azure:
		err = printJSON(out, newSARIF(report, f.config)) // what says where the sources are
	case f.asSARIF:
		err = printJSON(out, newSARIF(report, ""))
	default:
		err = printAudit(out, report)
	}
	if err == nil && (report.Worst() != azureaudit.Note || !reach.Whole()) {
		err = errNo
	}
	return err
}

// titleOf is what a file is called in a report.
func titleOf(file string) string {
	if file == "-" {
		return standardInput
	}
	return file
}

// kindOf is the kind of a file, which may be written before it.
func kindOf(kind azureimport.Kind, file string) (azureimport.Kind, string) {
	if word, rest, found := strings.Cut(file, ":"); found {
		if its, err := azureimport.ParseKind(word); err == nil {
			return its, rest
		}
	}
	return kind, file
}

// compareWith has the audit look at a configuration, nil for none, and at names that
// clients ask for.
func (f auditFlags) compareWith(c *config.Config, options *azureaudit.Options) error {
	options.VNets = make(map[string]string)
	for _, text := range f.names {
		at := strings.LastIndexByte(text, '=')
		if at <= 0 || c == nil {
			return fmt.Errorf("--map %s: write a VNet and a network, as in --map vnet-hub=hub, beside -c", text)
		}
		options.VNets[text[:at]] = text[at+1:]
	}
	if c != nil {
		options.Table, options.Catalogue = c.Table, c.Catalogue
	}
	for vnet, network := range options.VNets {
		if _, known := options.Table.Network(network); !known {
			return fmt.Errorf("--map %s=%s: the configuration has no such network: name one that it has", vnet, network)
		}
	}
	if c != nil {
		mapLearned(c, options.VNets)
	}
	if f.asked == "" {
		return nil
	}
	text, err := os.ReadFile(f.asked)
	if err != nil {
		return failing(fmt.Errorf("read the names of --asked: %w", err))
	}
	if options.Asked, err = askedNames(text); err != nil {
		return failing(fmt.Errorf("read the names of --asked: %s: %w", f.asked, err))
	}
	return nil
}

// mapLearned adds the VNets that networks learn from. What is there already holds.
func mapLearned(c *config.Config, vnets map[string]string) {
	named := slices.Collect(maps.Keys(vnets))
	for _, n := range c.Networks {
		if n.Azure == nil {
			continue
		}
		for _, id := range n.Azure.VNets {
			name := id[strings.LastIndexByte(id, '/')+1:]
			same := func(other string) bool { return strings.EqualFold(other, id) || strings.EqualFold(other, name) }
			if !slices.ContainsFunc(named, same) {
				vnets[id] = n.Name
			}
		}
	}
}

// askedNames reads names, one a line, or what unmapped prints as JSON.
func askedNames(text []byte) ([]zones.Name, error) {
	var names []zones.Name
	add := func(text string) error {
		name, err := zones.ParseName(text)
		if err != nil {
			return fmt.Errorf("%w: write a name a line", err)
		}
		names = append(names, name)
		return nil
	}
	if strings.HasPrefix(strings.TrimSpace(string(text)), "[") {
		var reports []admin.Unmapped
		if err := json.Unmarshal(text, &reports); err != nil {
			return nil, fmt.Errorf("it is not what \"pldns unmapped --json\" prints: %w", err)
		}
		for _, report := range reports {
			for _, unmapped := range report.Unmapped {
				if err := add(unmapped.Name); err != nil {
					return nil, err
				}
			}
		}
		return names, nil
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := add(line); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// printAudit writes the findings for people, four lines each, and how many there are.
func printAudit(w io.Writer, report *azureaudit.Report) error {
	var text strings.Builder
	count := daemon.Count
	counts := make(map[azureaudit.Severity]int)
	for _, f := range report.Findings {
		counts[f.Severity]++
		fmt.Fprintf(&text, "%s: %s: %s\n  file    %s\n  effect  %s\n  do      %s\n", f.Severity, f.ID, f.Resource, orDash(f.File), f.Effect,
			f.Action)
	}
	looked := fmt.Sprintf("%s, %s, %s", count(report.VNets, "VNet"), count(report.Zones, "zone"), count(report.Endpoints, "endpoint"))
	if len(report.Findings) == 0 {
		fmt.Fprintf(&text, "nothing found: %s\n", looked)
	} else {
		fmt.Fprintf(&text, "%s, %s, %s: %s\n", count(counts[azureaudit.Error], "error"), count(counts[azureaudit.Warning], "warning"),
			count(counts[azureaudit.Note], "note"), looked)
	}
	_, err := io.WriteString(w, text.String())
	return failing(err)
}

// orDash is a text, or a dash for none.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// auditReport is what audit --json prints.
type auditReport struct {
	Findings  []azureaudit.Finding `json:"findings"`
	NotLooked []string             `json:"not_looked_at"`
	VNets     int                  `json:"vnets"`
	Zones     int                  `json:"zones"`
	Endpoints int                  `json:"endpoints"`
}

func newAuditReport(r *azureaudit.Report) auditReport {
	return auditReport{
		Findings: append([]azureaudit.Finding{}, r.Findings...), NotLooked: append([]string{}, r.Notes...),
		VNets: r.VNets, Zones: r.Zones, Endpoints: r.Endpoints,
	}
}
