package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/daemon"
	"pldns/config"
	"pldns/config/release"
	"pldns/config/store"
)

// onDisk gives the last good release of a store that is on this machine's disk, as serve
// begins with it. That there is none is noted.
func onDisk(stderr io.Writer) config.Releases {
	return func(settings config.Store) (*config.Release, error) {
		r, err := store.LastGood(settings)
		switch {
		case err != nil:
			fmt.Fprintf(stderr, "note: %s\n", err)
		case r == nil:
			fmt.Fprintf(stderr, "note: there is no release in %s yet, so only what the file says counts\n", settings.State)
		}
		return r, nil
	}
}

// fleetFlags say where a fleet's store is.
type fleetFlags struct {
	config, channel, folder string
}

// add adds the flags to a command. The folder has a flag of its own: to is where something
// is written, from where it is read.
func (f *fleetFlags) add(command *cobra.Command, folder string) {
	configFlag(command, &f.config)
	flags := command.Flags()
	flags.StringVar(&f.channel, "channel", "", "the `channel`; without it, that of [store], or stable")
	flags.StringVar(&f.folder, folder, "", "the `folder` of a web server that has the releases, in place of the store in [store]")
}

// fleet is a store, and the channel that is meant.
type fleet struct {
	store.Store
	where, channel string
}

// open opens the store. Whoever has it closes it.
func (f fleetFlags) open() (*fleet, error) {
	if f.channel != "" && !channelName.MatchString(f.channel) {
		return nil, fmt.Errorf("--channel %s: use up to 63 letters, digits, hyphens and underscores", f.channel)
	}
	if f.folder != "" {
		where, err := filepath.Abs(f.folder)
		if err != nil {
			return nil, failing(err)
		}
		return &fleet{store.NewDirectory(f.folder), where, orStable(f.channel)}, nil
	}
	settings, err := config.LoadStore(f.config)
	if err != nil {
		return nil, failing(err)
	}
	if f.channel != "" {
		settings.Channel = f.channel
	}
	return &fleet{daemon.OpenStore(*settings), settings.Where(), settings.Channel}, nil
}

var channelName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)

func orStable(channel string) string {
	if channel == "" {
		return "stable"
	}
	return channel
}

// entry is the entry that a text names: the first digits of a release of the channel, or a
// channel, whose newest release is meant. An empty text is the channel itself.
func (f *fleet) entry(ctx context.Context, text string) (store.Entry, error) {
	c, _, err := f.Channel(ctx, f.channel)
	if err == nil && text != "" {
		if e, err := c.Find(text); err == nil {
			return e, nil
		} else if text != f.channel && channelName.MatchString(text) {
			other, _, absent := f.Channel(ctx, text)
			if absent != nil {
				return store.Entry{}, err
			}
			c = other
		}
	}
	if errors.Is(err, store.ErrAbsent) {
		return store.Entry{}, fmt.Errorf("channel %s of %s has no release yet: pldns push makes one", f.channel, f.where)
	}
	if err != nil {
		return store.Entry{}, err
	}
	return c.Head(), nil
}

// fetch gives the release that a text names, with all that it has.
func (f *fleet) fetch(ctx context.Context, text string) (store.Entry, *release.Release, error) {
	e, err := f.entry(ctx, text)
	if err != nil {
		return e, nil, err
	}
	r, err := store.Fetch(ctx, f, e.Release)
	return e, r, err
}

// releaseFlag adds --release to a command that looks at a configuration.
type releaseFlag struct{ wanted, folder string }

func (r *releaseFlag) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&r.wanted, "release", "", "this `release` of the store, by its first digits or its channel: of the file only what "+
		"belongs to a machine counts")
	flags.StringVar(&r.folder, "from", "", "the `folder` of a web server that has the release, in place of the store in [store]")
}

// check reads a configuration, or the release that is wanted as this machine would serve
// it.
func (r releaseFlag) check(command *cobra.Command, file string) (config.Report, error) {
	if r.wanted == "" {
		return config.CheckWith(file, onDisk(command.ErrOrStderr()))
	}
	f, err := fleetFlags{config: file, folder: r.folder}.open()
	if err != nil {
		return config.Report{}, err
	}
	defer f.Close()
	_, found, err := f.fetch(command.Context(), r.wanted)
	if err != nil {
		return config.Report{}, err
	}
	return config.CheckRelease(file, func(config.Store) (*config.Release, error) { return store.Configured(found), nil })
}

// load is check for those who need all to be well.
func (r releaseFlag) load(command *cobra.Command, file string) (*config.Config, error) {
	report, err := r.check(command, file)
	if err == nil && len(report.Faults) > 0 {
		err = report.Faults
	}
	return report.Config, err
}

// whoami is who changes a channel, for people.
func whoami() string {
	name, host := "somebody", "a machine"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}

// newEntry is an entry of now.
func newEntry(how store.How, id release.Digest, note string, of *config.Config) store.Entry {
	e := store.Entry{Release: id, At: time.Now(), By: whoami(), How: how, Note: note}
	if of != nil {
		e.Networks = len(of.Networks)
		for _, n := range of.Table.Networks() {
			e.Endpoints += n.CountEndpoints()
		}
	}
	return e
}
