package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"pldns/config/release"
	"pldns/resolver"
)

// jsonFlag adds --json to a command.
func jsonFlag(command *cobra.Command, asJSON *bool) {
	command.Flags().BoolVar(asJSON, "json", false, "print JSON")
}

// printJSON writes a value as indented JSON.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return failing(encoder.Encode(value))
}

// printExplanation writes a decision for people: a line for each step, what the
// step brought under it, and the reply as the client gets it.
//
// A server of the release before says room for stage.
func printExplanation(w io.Writer, e resolver.Explanation) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s, asked by %s", e.Name, e.Type, e.Client)
	if e.Listener != "" {
		fmt.Fprintf(&text, " at %s", e.Listener)
	}
	if e.Release != "" {
		fmt.Fprintf(&text, ", by release %s", release.Digest(e.Release).Short())
	}
	text.WriteString("\n\n")
	for _, step := range e.Steps {
		fmt.Fprintf(&text, "%-9s %s\n", cmp.Or(step.Stage, step.Room), step.Text)
		for _, record := range step.Records {
			fmt.Fprintf(&text, "%-9s   %s\n", "", record)
		}
	}
	_, err := io.WriteString(w, text.String())
	return failing(err)
}
