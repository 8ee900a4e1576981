package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/daemon"
	"pldns/config"
	"pldns/config/azureimport"
	"pldns/config/source"
	"pldns/zones"
	"pldns/zones/azure"
)

// discoverFlags are what discover is told.
type discoverFlags struct {
	file, into, format, network string
	asJSON                      bool
}

func newDiscover() *cobra.Command {
	var flags discoverFlags
	command := &cobra.Command{
		Use:   "discover",
		Short: "List Azure once, and print what would be served",
		Long: `Discover lists each [azure.NAME] of a configuration once, with the identity that it
names, and prints what networks would be served of it, with the resource that each
mapping is of, and what is left out and why. It serves nothing, and changes nothing.

With --into it writes what was learned into a file instead, as a timer job does beside a
server that has no identity: as TOML, which the server names in files, or as a hosts
file. It keeps the last good listing on disk then, so that what one run lacks is kept
until the next one, as serve does it.

It exits with 1 if a source could not be listed: what is on disk of it is printed then.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return runDiscover(command, flags) },
	}
	configFlag(command, &flags.file)
	jsonFlag(command, &flags.asJSON)
	f := command.Flags()
	f.StringVar(&flags.into, "into", "", "write what was learned into a `file`")
	f.StringVar(&flags.format, "format", formatTOML, "what --into writes: toml, or hosts for the one network of --network")
	f.StringVar(&flags.network, "network", "", "only the `network` of this name")
	command.MarkFlagsMutuallyExclusive("json", "into")
	command.AddCommand(newDiscoverAccept())
	return command
}

// check refuses what cannot be done. The error is wrong use.
func (f discoverFlags) check() error {
	switch {
	case f.format != formatTOML && f.format != formatHosts:
		return fmt.Errorf("--format %s: write toml or hosts", f.format)
	case f.into == "" && f.format != formatTOML:
		return errors.New("--format says what --into writes: name a file with --into")
	case f.format == formatHosts && f.network == "":
		return errors.New("a hosts file is for one network: name it with --network")
	}
	return nil
}

func runDiscover(command *cobra.Command, flags discoverFlags) error {
	if err := flags.check(); err != nil {
		return err
	}
	c, err := loadAzure(command.ErrOrStderr(), flags.file)
	if err != nil {
		return err
	}
	learns := func(n config.Network) bool { return n.Name == flags.network && n.Azure != nil }
	if flags.network != "" && !slices.ContainsFunc(c.Networks, learns) {
		return failing(fmt.Errorf("%s has no network %q that learns", flags.file, flags.network))
	}
	listed, err := daemon.Discover(command.Context(), c, flags.into != "", slog.New(slog.DiscardHandler))
	if err != nil {
		return failing(err)
	}
	faults := errors.Join(listed.Faults...)
	found := discoveredOf(c, listed, flags.network)
	switch {
	case flags.into != "" && len(listed.Waiting) > 0:
		return failing(fmt.Errorf("nothing is written, because nothing is known yet of %s: %w",
			strings.Join(listed.Waiting, ", "), faults))
	case flags.into != "":
		err = found.write(command, flags)
	case flags.asJSON:
		err = printJSON(command.OutOrStdout(), found)
	default:
		err = found.print(command)
	}
	if err == nil {
		err = failing(faults)
	}
	return err
}

// discovered is what discover prints.
type discovered struct {
	Networks    []discoveredNetwork `json:"networks"`
	Sources     []discoveredSource  `json:"sources"`
	Differences []source.Difference `json:"differences"`
	Warnings    []string            `json:"warnings"`

	catalogue *azure.Catalogue
}

type discoveredNetwork struct {
	Name      string            `json:"name"`
	Clients   []netip.Prefix    `json:"clients,omitempty"` // that were learned
	Endpoints []discoveredName  `json:"endpoints"`
	Zones     map[string]string `json:"zones,omitempty"` // what is done with names that each lacks
	Aliases   []string          `json:"aliases,omitempty"`
}

type discoveredName struct {
	Name      string        `json:"name"`
	Private   string        `json:"private_name,omitempty"`
	Addresses []netip.Addr  `json:"addresses"`
	Origin    source.Origin `json:"origin"`

	of config.Endpoint
}

type discoveredSource struct {
	Name  string   `json:"name"`
	Error string   `json:"error,omitempty"`
	Calls int64    `json:"calls"`
	Held  []string `json:"held,omitempty"`
	Left  []string `json:"left,omitempty"`
}

// discoveredOf are what networks learn, or the one of a name.
func discoveredOf(base *config.Config, c *daemon.Discovered, only string) *discovered {
	d := &discovered{Networks: []discoveredNetwork{}, Differences: c.Differences, Warnings: c.Warnings, catalogue: c.Config.Catalogue}
	for i := range c.Config.Networks {
		n, before := &c.Config.Networks[i], &base.Networks[i]
		if n.Azure == nil || only != "" && n.Name != only {
			continue
		}
		shown := discoveredNetwork{Name: n.Name, Clients: n.Clients[len(before.Clients):], Endpoints: []discoveredName{}}
		shown.Zones = make(map[string]string)
		for e := range n.Endpoints() {
			if origin, _ := c.Origins.Of(n.Name, e.Name); !origin.Seen.IsZero() {
				shown.Endpoints = append(shown.Endpoints, discoveredName{e.Name.String(), e.Private.String(), e.Addresses, origin, e})
			}
		}
		slices.SortFunc(shown.Endpoints, func(a, b discoveredName) int { return strings.Compare(a.Name, b.Name) })
		for _, z := range n.Zones {
			at := slices.IndexFunc(before.Zones, func(own zones.ZoneSpec) bool { return own.Name == z.Name })
			written := 0
			if at < 0 && z.Missing != zones.Inherit {
				shown.Zones[z.Name.String()] = z.Missing.String()
			} else if at >= 0 {
				written = len(before.Zones[at].Records)
			}
			for _, rr := range z.Records[written:] {
				shown.Aliases = append(shown.Aliases, strings.Join(strings.Fields(rr.String()), " "))
			}
		}
		d.Networks = append(d.Networks, shown)
	}
	for _, s := range c.Sources {
		shown := discoveredSource{Name: s.Name, Calls: s.Calls}
		if s.Error != nil {
			shown.Error = s.Error.Error()
		}
		for _, r := range s.Held {
			shown.Held = append(shown.Held, r.ID+": "+r.Why)
		}
		for _, gap := range s.Left {
			shown.Left = append(shown.Left, gap.Text)
		}
		d.Sources = append(d.Sources, shown)
		d.Warnings = append(d.Warnings, s.Warnings...)
	}
	return d
}

// tables are what was learned as endpoint tables. What the catalogue derives from the
// name is not written.
func (d *discovered) tables() []azureimport.Table {
	var tables []azureimport.Table
	for _, n := range d.Networks {
		var mappings []azureimport.Mapping
		for _, e := range n.Endpoints {
			m := azureimport.Mapping{Name: e.of.Name, Addresses: e.of.Addresses, Source: label(e.Origin.Place)}
			if match, err := d.catalogue.Derive(m.Name); !e.of.Private.IsZero() && (err != nil || match.Private != e.of.Private) {
				m.Private = e.of.Private
			}
			mappings = append(mappings, m)
		}
		tables = append(tables, azureimport.NetworkTable(n.Name, mappings))
	}
	return tables
}

// label is a resource in a comment: its resource group and its name.
func label(id string) string {
	parts := strings.Split(id, "/")
	if len(parts) > 4 {
		return parts[4] + "/" + parts[len(parts)-1]
	}
	return id
}

// print writes what networks would be served, and on standard error what should be
// known.
func (d *discovered) print(command *cobra.Command) error {
	d.notes(command)
	text := d.toml()
	_, err := io.WriteString(command.OutOrStdout(), text)
	return failing(err)
}

// notes are what should be known.
func (d *discovered) notes(command *cobra.Command) {
	notes := slices.Clone(d.Warnings)
	for _, s := range d.Sources {
		notes = append(notes, s.Left...)
		for _, held := range s.Held {
			notes = append(notes, s.Name+" holds back the removal of "+held)
		}
	}
	for _, difference := range d.Differences {
		notes = append(notes, difference.String())
	}
	printNotes(command, notes)
}

// toml is what was learned as a file of the configuration.
func (d *discovered) toml() string {
	var text strings.Builder
	for i, table := range d.tables() {
		n := d.Networks[i]
		if len(n.Clients) > 0 {
			prefixes := make([]string, len(n.Clients))
			for j, prefix := range n.Clients {
				prefixes[j] = fmt.Sprintf("%q", prefix)
			}
			fmt.Fprintf(&text, "[networks.%s]\nclients = [%s]\n", n.Name, strings.Join(prefixes, ", "))
		}
		text.Write(azureimport.Render([]azureimport.Table{table}))
		for _, zone := range sortedStrings(n.Zones) {
			fmt.Fprintf(&text, "[networks.%s.zones.%q]\nmissing = %q\n", n.Name, zone, n.Zones[zone])
			var records []string
			for _, alias := range n.Aliases {
				if owner, _, _ := strings.Cut(alias, " "); zones.NameOf(owner).Within(zones.NameOf(zone + ".")) {
					records = append(records, fmt.Sprintf("%q", alias))
				}
			}
			if len(records) > 0 {
				fmt.Fprintf(&text, "records = [%s]\n", strings.Join(records, ", "))
			}
		}
		text.WriteByte('\n')
	}
	return text.String()
}

func sortedStrings(of map[string]string) []string {
	var keys []string
	for key := range of {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// write writes what was learned into a file, as a whole or not at all.
func (d *discovered) write(command *cobra.Command, flags discoverFlags) error {
	d.notes(command)
	text := []byte(d.toml())
	if flags.format == formatHosts {
		var notes []string
		text, notes = azureimport.RenderHosts(d.tables()[0])
		printNotes(command, notes)
	}
	if old, err := os.ReadFile(flags.into); err == nil && string(old) == string(text) {
		fmt.Fprintf(command.ErrOrStderr(), "%s: nothing to change\n", flags.into)
		return nil
	}
	if err := replaceFile(flags.into, text); err != nil {
		return failing(err)
	}
	fmt.Fprintf(command.ErrOrStderr(), "%s: written\n", flags.into)
	return nil
}

// replaceFile writes a file so that whoever reads it sees the old one or the new one. A
// new one may be read by everybody, as a configuration may.
func replaceFile(name string, text []byte) error {
	mode := os.FileMode(0o644)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	return config.ReplaceFile(name, mode, func(file *os.File) error {
		_, err := file.Write(text)
		return err
	})
}

func newDiscoverAccept() *cobra.Command {
	var server, tokenFile, name string
	var subscriptions []string
	command := &cobra.Command{
		Use:   "accept",
		Short: "Let go of what a running pldns holds back",
		Long: `Accept tells a running pldns that the removals which it holds back are meant:
more than 20 endpoints at once, or more than a tenth, that Azure lists no more. They
go with the next complete listing. What a subscription had that is listed no more goes
only if --subscription names it. /api/sources lists all of these.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			token, err := os.ReadFile(tokenFile)
			if err != nil {
				return failing(fmt.Errorf("read the token: %w: name the file of listen.admin_token_file with --token-file", err))
			}
			accepted, err := postAccept(command.Context(), server, strings.TrimSpace(string(token)), name, subscriptions)
			if err != nil {
				return failing(err)
			}
			fmt.Fprintf(command.OutOrStdout(), "accepted: %s\n", daemon.Count(accepted, "resource"))
			return nil
		},
	}
	f := command.Flags()
	f.StringVar(&server, "server", "127.0.0.1:8053", "the admin `address` of a running pldns")
	f.StringVar(&tokenFile, "token-file", "", "the `file` that listen.admin_token_file names")
	f.StringVar(&name, "source", "", "the `name` of the one source that is meant, as in [azure.NAME]; without it, all are")
	f.StringSliceVar(&subscriptions, "subscription", nil, "the `id` of a subscription that may go; may be given again")
	if err := command.MarkFlagRequired("token-file"); err != nil {
		panic(err) // the flag stands above
	}
	return command
}

// postAccept has a running server accept removals.
func postAccept(ctx context.Context, server, token, name string, subscriptions []string) (int, error) {
	base := server
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	form := url.Values{"source": {name}, "subscription": subscriptions}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/-/accept", strings.NewReader(form.Encode()))
	if err != nil {
		return 0, fmt.Errorf("--server %s: %w", server, err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask %s: %w (is it the admin address of a running pldns?)", server, err)
	}
	defer response.Body.Close()
	var answer struct {
		Accepted int
		Error    string
	}
	err = json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&answer)
	switch {
	case response.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("%s answers %s: %s", server, response.Status, answer.Error)
	case err != nil:
		return 0, fmt.Errorf("%s is no pldns admin address: %w", server, err)
	}
	return answer.Accepted, nil
}
