package main

import (
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pldns/config"
	"pldns/config/store"
)

func newDiff() *cobra.Command {
	var flags fleetFlags
	var asJSON bool
	command := &cobra.Command{
		Use:   "diff [A [B]]",
		Short: "Say what differs between releases",
		Long: `Diff compares the endpoints of two releases, network by network: what B adds, removes
and changes. A release is named by its first digits, or by the channel whose release is
meant. Without B, it is what the channel serves; without both, what the channel serves is
compared with the configuration, as it would be pushed. It exits with 1 if anything
differs.`,
		Example: `  pldns diff -c fleet.toml
  pldns diff stable canary
  pldns diff 3f2a91c04d17`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			before, after, err := flags.pair(command, args)
			if err != nil {
				return err
			}
			d := compareReleases(before, after)
			if asJSON {
				err = printJSON(command.OutOrStdout(), d)
			} else {
				err = d.print(command.OutOrStdout())
			}
			if err == nil && d.any() {
				err = errNo
			}
			return err
		},
	}
	flags.add(command, "from")
	jsonFlag(command, &asJSON)
	return command
}

// pair are the two configurations that are compared.
func (f fleetFlags) pair(command *cobra.Command, args []string) (before, after *config.Config, err error) {
	fleet, err := f.open()
	if err != nil {
		return nil, nil, err
	}
	defer fleet.Close()
	read := func(text string) (*config.Config, error) {
		_, r, err := fleet.fetch(command.Context(), text)
		if err != nil {
			return nil, failing(err)
		}
		c, err := config.ParseRelease(store.Configured(r))
		return c, failing(err)
	}
	if before, err = read(first(args)); err != nil {
		return nil, nil, err
	}
	switch len(args) {
	case 0:
		after, err = config.Load(f.config)
		err = failing(err)
	case 1:
		after, err = read("")
	default:
		after, err = read(args[1])
	}
	return before, after, err
}

// releaseDiff is what differs between two releases, by network.
type releaseDiff struct {
	Networks []networkDiff `json:"networks"`
}

type networkDiff struct {
	Network string         `json:"network"`
	State   string         `json:"state,omitempty"` // "added" or "removed"; empty for one that both have
	Clients *clientsDiff   `json:"clients,omitempty"`
	Added   []endpointDiff `json:"added,omitempty"`
	Removed []endpointDiff `json:"removed,omitempty"`
	Changed []endpointDiff `json:"changed,omitempty"`
}

type clientsDiff struct {
	Before []netip.Prefix `json:"before"`
	After  []netip.Prefix `json:"after"`
}

type endpointDiff struct {
	Name      string       `json:"name"`
	Addresses []netip.Addr `json:"addresses,omitempty"` // after, or of what was removed
	Before    []netip.Addr `json:"before,omitempty"`    // where they were others
	Settings  string       `json:"settings,omitempty"`  // what else has changed
}

// compareReleases says what a configuration changes of another one.
func compareReleases(before, after *config.Config) releaseDiff {
	d := releaseDiff{Networks: []networkDiff{}}
	networks := make(map[string][2]*config.Network)
	for i, c := range []*config.Config{before, after} {
		for j := range c.Networks {
			pair := networks[c.Networks[j].Name]
			pair[i] = &c.Networks[j]
			networks[c.Networks[j].Name] = pair
		}
	}
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		if n := compareNetworks(name, networks[name][0], networks[name][1]); n.any() {
			d.Networks = append(d.Networks, n)
		}
	}
	return d
}

func compareNetworks(name string, before, after *config.Network) networkDiff {
	n := networkDiff{Network: name}
	old, next := endpointsOf(before), endpointsOf(after)
	switch {
	case before == nil:
		n.State = "added"
	case after == nil:
		n.State = "removed"
	case !slices.Equal(before.Clients, after.Clients):
		n.Clients = &clientsDiff{before.Clients, after.Clients}
	}
	for _, name := range slices.Sorted(maps.Keys(next)) {
		e := next[name]
		was, known := old[name]
		switch {
		case !known:
			n.Added = append(n.Added, endpointDiff{Name: name, Addresses: e.Addresses})
		case !slices.Equal(was.Addresses, e.Addresses):
			n.Changed = append(n.Changed, endpointDiff{name, e.Addresses, was.Addresses, settingsDiff(was, e)})
		case settingsDiff(was, e) != "":
			n.Changed = append(n.Changed, endpointDiff{Name: name, Addresses: e.Addresses, Settings: settingsDiff(was, e)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, stays := next[name]; !stays {
			n.Removed = append(n.Removed, endpointDiff{Name: name, Addresses: old[name].Addresses})
		}
	}
	return n
}

func endpointsOf(n *config.Network) map[string]config.Endpoint {
	all := make(map[string]config.Endpoint)
	if n != nil {
		for e := range n.Endpoints() {
			all[e.Name.String()] = e
		}
	}
	return all
}

// settingsDiff says what of an endpoint has changed besides its addresses.
func settingsDiff(before, after config.Endpoint) string {
	var all []string
	say := func(what string, before, after any) {
		if before != after {
			all = append(all, fmt.Sprintf("%s %v, was %v", what, after, before))
		}
	}
	say("ttl", before.TTL, after.TTL)
	say("pick", before.Pick.String(), after.Pick.String())
	say("private name", before.Private.String(), after.Private.String())
	if !before.Probe.Alike(after.Probe) {
		say("probe", fmt.Sprint(before.Probe), fmt.Sprint(after.Probe))
	}
	return strings.Join(all, "; ")
}

func (n networkDiff) any() bool {
	return n.State != "" || n.Clients != nil || len(n.Added)+len(n.Removed)+len(n.Changed) > 0
}

func (d releaseDiff) any() bool { return len(d.Networks) > 0 }

// lines are the differences for people, at most so many; 0 for all.
func (d releaseDiff) lines(most int) []string {
	var all []string
	for _, n := range d.Networks {
		switch {
		case n.State != "":
			all = append(all, fmt.Sprintf("network %s is %s", n.Network, n.State))
		case n.Clients != nil:
			all = append(all, fmt.Sprintf("~ %s: clients %v, were %v", n.Network, n.Clients.After, n.Clients.Before))
		}
		for _, e := range n.Added {
			all = append(all, fmt.Sprintf("+ %s: %s %s", n.Network, e.Name, joined(e.Addresses)))
		}
		for _, e := range n.Removed {
			all = append(all, fmt.Sprintf("- %s: %s %s", n.Network, e.Name, joined(e.Addresses)))
		}
		for _, e := range n.Changed {
			text := fmt.Sprintf("~ %s: %s %s", n.Network, e.Name, joined(e.Addresses))
			if e.Before != nil {
				text += ", was " + joined(e.Before)
			}
			if e.Settings != "" {
				text += ", " + e.Settings
			}
			all = append(all, text)
		}
	}
	if most > 0 && len(all) > most {
		all = append(all[:most], fmt.Sprintf("%d more differences: pldns diff tells them all", len(all)-most))
	}
	return all
}

func (d releaseDiff) print(w io.Writer) error {
	lines := d.lines(0)
	if len(lines) == 0 {
		lines = []string{"no endpoint differs"}
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return failing(err)
}
