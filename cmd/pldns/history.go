package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pldns/config/release"
	"pldns/config/store"
)

func newHistory() *cobra.Command {
	var flags fleetFlags
	var asJSON bool
	command := &cobra.Command{
		Use:   "history",
		Short: "List the releases of a channel",
		Long: `History lists the releases that a channel named, the newest first: that one is served.
Times are those of whoever pushed.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			f, err := flags.open()
			if err != nil {
				return err
			}
			defer f.Close()
			c, _, err := f.Channel(command.Context(), f.channel)
			if err != nil && !errors.Is(err, store.ErrAbsent) {
				return failing(err)
			}
			if asJSON {
				return printJSON(command.OutOrStdout(), append([]store.Entry{}, c.History...))
			}
			return printHistory(command.OutOrStdout(), c.History)
		},
	}
	flags.add(command, "from")
	jsonFlag(command, &asJSON)
	return command
}

func printHistory(w io.Writer, entries []store.Entry) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RELEASE\tAT\tHOW\tBY\tNETWORKS\tENDPOINTS\tNOTE")
	for _, e := range entries {
		how := string(e.How)
		if e.From != "" {
			how += " of " + e.From
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", e.Release.Short(), stamp(e.At), how, e.By, e.Networks, e.Endpoints, e.Note)
	}
	return failing(table.Flush())
}

// stamp is a time for people.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// changeFlags are those of commands that have a channel name another release.
type changeFlags struct {
	fleetFlags
	note   string
	keep   int
	asJSON bool
}

func (flags *changeFlags) add(command *cobra.Command) {
	flags.fleetFlags.add(command, "to")
	jsonFlag(command, &flags.asJSON)
	command.Flags().StringVar(&flags.note, "note", "", "what this `text` says of it, in history")
	keepFlag(command, &flags.keep)
}

func newRollback() *cobra.Command {
	var flags changeFlags
	command := &cobra.Command{
		Use:   "rollback [RELEASE]",
		Short: "Have a fleet serve an earlier release",
		Long: `Rollback has a channel name a release that it named before: the one before the current
one, or the one that is named by its first digits. All that it has is fetched first, so
that a release that is damaged is not served.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return flags.apply(command, store.RolledBack, func(c store.Channel) (store.Entry, error) {
				if len(args) > 0 {
					return c.Find(args[0])
				}
				for _, e := range c.History {
					if e.Release != c.Head().Release {
						return e, nil
					}
				}
				return store.Entry{}, errors.New("the channel has named no other release: there is nothing to go back to")
			})
		},
	}
	flags.add(command)
	return command
}

func newPromote() *cobra.Command {
	var flags changeFlags
	command := &cobra.Command{
		Use:   "promote FROM TO",
		Short: "Have one channel serve what another one does",
		Long: `Promote has the channel TO name the release that the channel FROM names, as when a few
instances follow a channel canary and have served it well.`,
		Example: `  pldns promote canary stable`,
		Args:    cobra.ExactArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			if flags.channel != "" {
				return errors.New("--channel: the channels are the arguments")
			}
			flags.channel = args[1]
			if !channelName.MatchString(args[0]) {
				return fmt.Errorf("%s is no channel", args[0])
			}
			return flags.promote(command, args[0])
		},
	}
	flags.add(command)
	return command
}

func (flags changeFlags) promote(command *cobra.Command, from string) error {
	f, err := flags.open()
	if err != nil {
		return err
	}
	defer f.Close()
	c, _, err := f.Channel(command.Context(), from)
	if errors.Is(err, store.ErrAbsent) {
		err = fmt.Errorf("channel %s of %s has no release", from, f.where)
	}
	if err != nil {
		return failing(err)
	}
	entry := c.Head()
	entry.From = from
	return flags.swap(command, f, store.Promoted, entry, nil)
}

// apply has the channel name the release of one of its entries.
func (flags changeFlags) apply(command *cobra.Command, how store.How, choose func(store.Channel) (store.Entry, error)) error {
	f, err := flags.open()
	if err != nil {
		return err
	}
	defer f.Close()
	c, _, err := f.Channel(command.Context(), f.channel)
	if errors.Is(err, store.ErrAbsent) {
		err = fmt.Errorf("channel %s of %s has no release", f.channel, f.where)
	}
	var entry store.Entry
	if err == nil {
		entry, err = choose(c)
	}
	if err != nil {
		return failing(err)
	}
	base := c.Head().Release
	entry.From = ""
	return flags.swap(command, f, how, entry, &base)
}

// swap has the channel name the release of an entry, if all of it is there.
func (flags changeFlags) swap(command *cobra.Command, f *fleet, how store.How, of store.Entry, base *release.Digest) error {
	ctx := command.Context()
	whole := func(ctx context.Context) error {
		_, err := store.Fetch(ctx, f, of.Release)
		return err
	}
	entry := newEntry(how, of.Release, flags.note, nil)
	entry.Networks, entry.Endpoints, entry.From = of.Networks, of.Endpoints, of.From
	if entry.Note == "" {
		entry.Note = of.Note
	}
	result, err := f.change(ctx, store.Change{Entry: entry, Base: base, Keep: flags.keep, Ensure: whole}, command.ErrOrStderr())
	if err != nil {
		return failing(err)
	}
	return result.print(command.OutOrStdout(), flags.asJSON)
}
