package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pldns/config/release"
	"pldns/config/store"
)

func newFleet() *cobra.Command {
	var flags fleetFlags
	var asJSON bool
	command := &cobra.Command{
		Use:   "fleet",
		Short: "Show every instance, and what it serves",
		Long: `Fleet lists the instances that follow channels of a store in etcd: what each serves,
since when, whether it is healthy, and why it refuses a release. An instance that has not
been heard of for 45 seconds is not listed. It exits with 1 unless there are instances,
and all of them serve the release that their channel names.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			f, err := flags.open()
			if err != nil {
				return err
			}
			defer f.Close()
			roster, is := f.Store.(store.Roster)
			if !is {
				return failing(fmt.Errorf("%s does not know its instances, which takes a store in etcd: look at /readyz of each", f.where))
			}
			shown, err := lookAtFleet(command.Context(), f, roster, flags.channel, time.Now())
			if err != nil {
				return failing(err)
			}
			if asJSON {
				err = printJSON(command.OutOrStdout(), shown)
			} else {
				err = shown.print(command.OutOrStdout())
			}
			if err == nil && !shown.OK {
				err = errNo
			}
			return err
		},
	}
	flags.add(command, "from")
	jsonFlag(command, &asJSON)
	return command
}

// shownFleet is what fleet prints.
type shownFleet struct {
	OK        bool                      `json:"ok"`       // whether all serve what they should
	Channels  map[string]release.Digest `json:"channels"` // the release that each names
	Instances []shownInstance           `json:"instances"`
}

type shownInstance struct {
	store.Instance
	Current bool    `json:"current"`       // whether it serves the release that its channel names
	Age     float64 `json:"age,omitempty"` // seconds since it began to serve it
}

// lookAtFleet lists the instances, of one channel or of all.
func lookAtFleet(ctx context.Context, f *fleet, roster store.Roster, channel string, now time.Time) (shownFleet, error) {
	shown := shownFleet{OK: true, Channels: make(map[string]release.Digest), Instances: []shownInstance{}}
	all, err := roster.Instances(ctx)
	if err != nil {
		return shown, err
	}
	for _, i := range all {
		if channel != "" && i.Channel != channel {
			continue
		}
		head, known := shown.Channels[i.Channel]
		if !known && channelName.MatchString(i.Channel) {
			c, _, err := f.Channel(ctx, i.Channel)
			if err != nil && !errors.Is(err, store.ErrAbsent) {
				return shown, err
			}
			if err == nil {
				head = c.Head().Release
			}
			shown.Channels[i.Channel] = head
		}
		one := shownInstance{Instance: i, Current: i.Release != "" && i.Release == head}
		if !i.Since.IsZero() {
			one.Age = max(0, now.Sub(i.Since).Seconds())
		}
		shown.Instances = append(shown.Instances, one)
		shown.OK = shown.OK && one.Current
	}
	shown.OK = shown.OK && len(shown.Instances) > 0
	return shown, nil
}

func (s shownFleet) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "INSTANCE\tVERSION\tCHANNEL\tRELEASE\tSINCE\tCURRENT\tHEALTHY\tON DISK\tREMARK")
	for _, i := range s.Instances {
		remark := i.Reason
		if i.Refused != "" {
			remark = fmt.Sprintf("refuses %s: %s", i.Refused.Short(), strings.Join(strings.Fields(i.Why), " "))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i.Name, i.Version, i.Channel, orNone(i.Release.Short()), stamp(i.Since),
			yesNo(i.Current), yesNo(i.Healthy), yesNo(i.Saved), remark)
	}
	if err := table.Flush(); err != nil {
		return failing(err)
	}
	if len(s.Instances) == 0 {
		_, err := fmt.Fprintln(w, "no instance has been heard of")
		return failing(err)
	}
	return nil
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
