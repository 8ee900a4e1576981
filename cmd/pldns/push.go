package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"pldns/cmd/internal/daemon"
	"pldns/config"
	"pldns/config/release"
	"pldns/config/store"
)

// pushFlags are what push is told.
type pushFlags struct {
	fleetFlags
	note, base string
	warnings   bool
	keep       int
	asJSON     bool
}

func newPush() *cobra.Command {
	var flags pushFlags
	command := &cobra.Command{
		Use:   "push",
		Short: "Have a fleet serve this configuration",
		Long: `Push checks a configuration as "check --strict" does, makes a release of it and of the
files that it names, uploads what the store lacks, and has the channel name it: every
instance that follows the channel serves it within a second or, of a URL, when it looks
next. The tables that belong to one machine are no part of a release: listen, tls, store
and azure.

A push is based on the release that was pushed or pulled before from this folder, which
is noted there in .pldns-base.json, or on the one that --base names. If the channel names
another one meanwhile, nothing is changed, and push says who pushed it and what differs.

With --to the releases are files in a folder that any web server or blob container can
serve; its instances say url = "https://..." in [store].`,
		Example: `  pldns push -c fleet.toml --note "Key Vault of project 7"
  pldns push -c fleet.toml --channel canary
  pldns push -c fleet.toml --to /srv/www/pldns`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return runPush(command, flags) },
	}
	flags.add(command, "to")
	jsonFlag(command, &flags.asJSON)
	f := command.Flags()
	f.StringVar(&flags.note, "note", "", "what this `text` says of the release, in history")
	f.StringVar(&flags.base, "base", "", "the `release` that the channel must be at, by its first digits")
	f.BoolVar(&flags.warnings, "allow-warnings", false, "push a configuration that has warnings")
	keepFlag(command, &flags.keep)
	return command
}

// keepFlag adds --keep to a command that changes a channel.
func keepFlag(command *cobra.Command, keep *int) {
	command.Flags().IntVar(keep, "keep", 50, "how many `releases` the channel remembers; what is older is removed")
}

// changed is what came of a change of a channel.
type changed struct {
	Channel string         `json:"channel"`
	Store   string         `json:"store"`
	Release release.Digest `json:"release"`
	Before  release.Digest `json:"before,omitempty"`
	// Same says that the channel was at the release already, and nothing was changed.
	Same      bool `json:"same"`
	Networks  int  `json:"networks"`
	Endpoints int  `json:"endpoints"`
	Removed   int  `json:"removed"` // objects that no release needs any more
}

func (c changed) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, c)
	}
	text := fmt.Sprintf("channel %s of %s is at release %s: %s, %s", c.Channel, c.Store, c.Release.Short(),
		daemon.Count(c.Networks, "network"), daemon.Count(c.Endpoints, "endpoint"))
	switch {
	case c.Same:
		text += " (it was before)"
	case c.Before != "":
		text += "; before, it was at " + c.Before.Short()
	}
	_, err := fmt.Fprintln(w, text)
	return failing(err)
}

func runPush(command *cobra.Command, flags pushFlags) error {
	collected, err := config.Collect(flags.config)
	switch {
	case len(collected.Faults) > 0:
		return failing(fmt.Errorf("the configuration cannot be pushed:\n%w", collected.Faults))
	case err != nil:
		return failing(err)
	case len(collected.Warnings) > 0 && !flags.warnings:
		return failing(fmt.Errorf("the configuration has warnings, and is not pushed without --allow-warnings:\n%w", collected.Warnings))
	case len(collected.Config.Networks) == 0:
		return failing(fmt.Errorf("%s has no network: name the file that has them", flags.config))
	}
	f, err := flags.open()
	if err != nil {
		return err
	}
	defer f.Close()
	ctx := command.Context()
	base, err := flags.basedOn(ctx, f)
	if err != nil {
		return failing(err)
	}
	id, put, err := pack(collected, f)
	if err != nil {
		return failing(err)
	}
	result, err := f.change(ctx, store.Change{
		Entry: newEntry(store.Pushed, id, flags.note, collected.Config), Base: base, Keep: flags.keep, Ensure: put,
	}, command.ErrOrStderr())
	if moved, is := errors.AsType[*store.MovedError](err); is {
		printNotes(command, differing(ctx, f, moved, collected))
		return failing(fmt.Errorf("%w: look at what differs, take it in, and push with --base %s", err, moved.Now.Release.Short()))
	}
	if err != nil {
		return failing(err)
	}
	noteBase(command.ErrOrStderr(), filepath.Dir(flags.config), f, id)
	return result.print(command.OutOrStdout(), flags.asJSON)
}

// pack gives the name of the release that was collected, and what puts its objects into a
// store.
func pack(collected config.Collected, to store.Store) (release.Digest, func(context.Context) error, error) {
	contents := make(map[release.Digest][]byte)
	id, err := release.Pack(collected.Main, collected.Files, func(d release.Digest, content []byte) error {
		contents[d] = content
		return nil
	})
	return id, func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(8)
		for d, content := range contents {
			group.Go(func() error { return to.PutObject(ctx, d, release.Encode(content)) })
		}
		return group.Wait()
	}, err
}

// change changes the channel, and removes what nobody needs any more.
func (f *fleet) change(ctx context.Context, change store.Change, stderr io.Writer) (changed, error) {
	e := change.Entry
	result := changed{Channel: f.channel, Store: f.where, Release: e.Release, Networks: e.Networks, Endpoints: e.Endpoints}
	ensure := sync.OnceValue(func() error { return change.Ensure(ctx) })
	if now, _, err := f.Channel(ctx, f.channel); err == nil && now.Head().Release == e.Release {
		result.Same = true
		return result, ensure() // what is damaged is put right
	}
	before, err := store.Apply(ctx, f, f.channel, change)
	if err != nil {
		return result, err
	}
	result.Before = before.Release
	removed, err := store.Collect(ctx, f)
	if result.Removed = removed; err != nil {
		fmt.Fprintf(stderr, "note: what no release needs any more could not be removed: %s\n", err)
	}
	return result, nil
}

// baseFile is where a folder notes which release its files are based on.
const baseFile = ".pldns-base.json"

// noted is what baseFile says: the release, by store and channel.
type noted map[string]release.Digest

func (f *fleet) noted() string { return f.channel + " of " + f.where }

// basedOn is the release that the files are based on; nil where nobody knows.
func (flags pushFlags) basedOn(ctx context.Context, f *fleet) (*release.Digest, error) {
	if flags.base != "" {
		e, err := f.entry(ctx, flags.base)
		return &e.Release, err
	}
	var all noted
	text, err := os.ReadFile(filepath.Join(filepath.Dir(flags.config), baseFile))
	if err != nil || json.Unmarshal(text, &all) != nil {
		return nil, nil
	}
	if id, known := all[f.noted()]; known {
		return &id, nil
	}
	return nil, nil
}

// noteBase notes which release the files of a folder are based on from now on.
func noteBase(stderr io.Writer, dir string, f *fleet, id release.Digest) {
	path := filepath.Join(dir, baseFile)
	all := make(noted)
	if text, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(text, &all) // what cannot be read is written anew
	}
	all[f.noted()] = id
	text, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = replaceFile(path, append(text, '\n'))
	}
	if err != nil {
		fmt.Fprintf(stderr, "note: the next push from here does not know what it is based on: %s\n", err)
	}
}

// differing are the differences between what a channel names now and what was to be
// pushed.
func differing(ctx context.Context, f *fleet, moved *store.MovedError, collected config.Collected) []string {
	if moved.Now.Release == "" {
		return nil
	}
	r, err := store.Fetch(ctx, f, moved.Now.Release)
	if err != nil {
		return []string{err.Error()}
	}
	other, err := config.ParseRelease(store.Configured(r))
	if err != nil {
		return []string{err.Error()}
	}
	return compareReleases(other, collected.Config).lines(20)
}
