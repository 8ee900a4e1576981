package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/daemon"
	"pldns/cmd/internal/logqueue"
	"pldns/config"
)

func newServe() *cobra.Command {
	var file string
	var example bool
	command := &cobra.Command{
		Use:   "serve",
		Short: "Answer queries until SIGTERM or SIGINT",
		Long: `Serve reads the configuration, opens the listeners and answers. On SIGTERM or
SIGINT it stops reading, answers what it has read, and ends. It reads the
configuration anew when its files change, on SIGHUP, and on POST /-/reload at the
admin address; a faulty one changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			kept := new(config.Memory)
			load := func(releases config.Releases) (*config.Config, error) { return kept.LoadWith(file, releases) }
			if example {
				file = "the built-in example"
				load = func(config.Releases) (*config.Config, error) { return config.Parse(file, config.Example(), nil) }
			}
			// Whoever should read the log may be stuck: that holds up nobody who logs.
			lines := logqueue.New(command.ErrOrStderr())
			defer lines.Close(lastLines)
			log := lines.Log()
			s, err := daemon.Open(command.Context(), daemon.Options{
				File: file, Load: load, Log: log, FormatLog: lines.Set, DroppedLines: lines.Dropped, AnyAdminPort: example,
			})
			if err != nil {
				return failing(err)
			}
			if example {
				go printTries(s, log, command.OutOrStdout()) // which may be stuck as well
			}
			// Whoever reads standard output, as of the query log, may go away: that
			// must not end the server.
			signal.Ignore(syscall.SIGPIPE)
			hangUps := make(chan os.Signal, 1)
			signal.Notify(hangUps, syscall.SIGHUP)
			defer signal.Stop(hangUps)
			return failing(s.Run(command.Context(), hangUps))
		},
	}
	configFlag(command, &file)
	command.Flags().BoolVar(&example, "example", false, "serve the built-in example on 127.0.0.1:5353")
	command.MarkFlagsMutuallyExclusive("config", "example")
	return command
}

// lastLines is how long the log may take for what is left of it at the end.
const lastLines = time.Second
