package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/daemon"
	"pldns/config"
)

func newCheck() *cobra.Command {
	var file string
	var asJSON, strict bool
	var released releaseFlag
	command := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration file",
		Long: `Check reads the configuration and the files it includes, as serve does, and
reports every fault with the place it is at and what to do about it, and as
warnings what can be served and is probably not meant: a misspelt name, a
certificate that ends soon, clients that are the whole internet. It exits with 0
if the configuration can be served, with 1 if it cannot. With --strict a warning
counts as a fault. With --release it checks a release of the store as this machine
would serve it.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			report, err := released.check(command, file)
			result := checkedOf(file, report, err, strict)
			if asJSON {
				return result.printJSON(command.OutOrStdout())
			}
			return result.print(command.OutOrStdout())
		},
	}
	configFlag(command, &file)
	jsonFlag(command, &asJSON)
	released.add(command)
	command.Flags().BoolVar(&strict, "strict", false, "count warnings as faults")
	return command
}

// checked is what there is to say of a configuration.
type checked struct {
	file     string
	strict   bool
	fault    error // [config.Problems], or why there is nothing to check
	warnings config.Problems
	summary  string // empty where there is a fault
}

func checkedOf(file string, report config.Report, err error, strict bool) checked {
	result := checked{file: file, strict: strict}
	result.warnings = report.Warnings
	if len(report.Faults) > 0 {
		err = report.Faults
	}
	if result.fault = err; err == nil {
		result.summary = daemon.Summary(report.Config)
		result.warnings = append(result.warnings, memoryWarnings(file, report.Config.Cache)...)
	}
	return result
}

// memoryWarnings are what the memory of this machine has to say of a cache.
func memoryWarnings(file string, cache config.Cache) config.Problems {
	warning := daemon.CacheWarning(cache)
	if warning == "" {
		return nil
	}
	text, remedy, _ := strings.Cut(warning, ": ")
	return config.Problems{{File: file, Text: text, Remedy: remedy}}
}

// err is nil when the answer is yes.
func (c checked) err() error {
	if c.fault != nil || c.strict && len(c.warnings) > 0 {
		return errNo
	}
	return nil
}

// print writes the faults and warnings, one a line, and what it comes to.
func (c checked) print(w io.Writer) error {
	var text strings.Builder
	if c.fault != nil {
		fmt.Fprintln(&text, c.fault)
	}
	for _, warning := range c.warnings {
		fmt.Fprintf(&text, "warning: %s\n", warning)
	}
	number := daemon.Count(len(c.warnings), "warning")
	switch {
	case c.fault != nil:
	case len(c.warnings) == 0:
		fmt.Fprintf(&text, "%s: fine: %s\n", c.file, c.summary)
	case c.strict:
		fmt.Fprintf(&text, "%s: not fine with --strict: %s: %s\n", c.file, number, c.summary)
	default:
		fmt.Fprintf(&text, "%s: fine, but for %s: %s\n", c.file, number, c.summary)
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return failing(err)
	}
	return c.err()
}

// report is what check --json prints.
type report struct {
	File     string    `json:"file"`
	OK       bool      `json:"ok"`
	Problems []problem `json:"problems"`
	Warnings []problem `json:"warnings"`
}

// problem is a [config.Problem] in JSON.
type problem struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Key    string `json:"key,omitempty"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

func (c checked) printJSON(w io.Writer) error {
	r := report{File: c.file, OK: c.err() == nil, Problems: []problem{}, Warnings: []problem{}}
	var problems config.Problems
	if c.fault != nil && !errors.As(c.fault, &problems) {
		problems = config.Problems{{File: c.file, Text: c.fault.Error()}}
	}
	for _, p := range problems {
		r.Problems = append(r.Problems, problem(p))
	}
	for _, p := range c.warnings {
		r.Warnings = append(r.Warnings, problem(p))
	}
	if err := printJSON(w, r); err != nil {
		return err
	}
	return c.err()
}
