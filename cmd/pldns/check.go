package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"pldns/config"
	"pldns/zones"
)

func newCheck() *cobra.Command {
	var file string
	var asJSON bool
	command := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration file",
		Long: `Check reads the configuration and the files it includes, as serve does, and
reports every fault with the place it is at and what to do about it. It exits
with 0 if the configuration can be served, with 1 if it cannot.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			loaded, err := config.Load(file)
			var table *zones.Table
			if err == nil {
				table, err = zones.Build(loaded.Specs())
			}
			if asJSON {
				return reportJSON(command.OutOrStdout(), file, err)
			}
			if err != nil {
				return reportFaults(command.OutOrStdout(), err)
			}
			if group, err := groupMemory(); err == nil {
				if warning := cacheWarning(loaded.Cache, group); warning != "" {
					fmt.Fprintln(command.ErrOrStderr(), "warning: "+warning)
				}
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s: fine: %s\n", file, summary(loaded, table))
			return failing(err)
		},
	}
	configFlag(command, &file)
	jsonFlag(command, &asJSON)
	return command
}

// reportFaults prints the faults of a configuration, one a line.
func reportFaults(w io.Writer, err error) error {
	if _, err := fmt.Fprintln(w, err); err != nil {
		return failing(err)
	}
	return errNo
}

// report is what check --json prints.
type report struct {
	File     string    `json:"file"`
	OK       bool      `json:"ok"`
	Problems []problem `json:"problems"`
}

// problem is a [config.Problem] in JSON.
type problem struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Key    string `json:"key,omitempty"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

func reportJSON(w io.Writer, file string, fault error) error {
	r := report{File: file, OK: fault == nil, Problems: []problem{}}
	var problems config.Problems
	if fault != nil && !errors.As(fault, &problems) {
		problems = config.Problems{{File: file, Text: fault.Error()}}
	}
	for _, p := range problems {
		r.Problems = append(r.Problems, problem(p))
	}
	if err := printJSON(w, r); err != nil {
		return err
	}
	if !r.OK {
		return errNo
	}
	return nil
}

// summary puts the size of a configuration into words.
func summary(c *config.Config, table *zones.Table) string {
	endpoints := 0
	for _, network := range table.Networks() {
		endpoints += network.CountEndpoints()
	}
	return fmt.Sprintf("%s, %s, %s", count(len(c.Networks), "network"), count(endpoints, "endpoint"), count(len(c.Upstreams), "upstream"))
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
