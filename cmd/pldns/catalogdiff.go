package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/daemon"
	"pldns/zones"
	"pldns/zones/azure"
)

func newCatalogDiff() *cobra.Command {
	var file, cloud string
	var asJSON bool
	command := &cobra.Command{
		Use:   "diff FILE",
		Short: "Compare the catalogue with a list of privatelink zones",
		Long: `Diff reads a list of privatelink zones, one a line or a JSON array of names, and
says which zones of the catalogue it lacks and which of its zones the catalogue
does not know. "-" is standard input. A zone of one region, such as
privatelink.northeurope.azmk8s.io, stands for its form, and so does any word in
braces for a region. Superseded zones, those that are documented below another,
and those that Microsoft's table lacks may be in the list and need not. It exits with 1 when there is a
difference.`,
		Example: `  pldns catalog diff zones.txt
  az network private-dns zone list --query '[].name' -o json | pldns catalog diff -`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			catalogue, err := catalogueOf(file)
			if err != nil {
				return err
			}
			if _, err := entriesOf(catalogue, cloud); err != nil {
				return err
			}
			listed, err := readZoneList(args[0], command.InOrStdin())
			if err != nil {
				return failing(err)
			}
			return printDiff(command.OutOrStdout(), compareZones(catalogue, azure.Cloud(cloud), listed), asJSON)
		},
	}
	jsonFlag(command, &asJSON)
	catalogueFlag(command, &file)
	command.Flags().StringVar(&cloud, "cloud", string(azure.Public), "the `cloud` whose zones are expected: public, usgov or china")
	oneOf(command, "cloud", clouds()...)
	return command
}

// isForeign tells whether names of zones, and words in braces, never have a letter.
func isForeign(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.{}", r)
}

// maxZoneList is how much of a list is read: far more than every zone there is.
const maxZoneList = 1 << 20

// readZoneList reads the names of a list, in lower case and without a final dot.
func readZoneList(file string, stdin io.Reader) ([]string, error) {
	in := stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the list of zones: %w", err)
		}
		defer func() { _ = opened.Close() }() // it was only read
		in = opened
	}
	data, err := io.ReadAll(io.LimitReader(in, maxZoneList+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the list of zones: %w", err)
	case len(data) > maxZoneList:
		return nil, fmt.Errorf("read the list of zones: %s is larger than 1 MiB: give a list of names", file)
	}
	names, err := parseZoneList(data)
	if err != nil {
		return nil, fmt.Errorf("read the list of zones: %s: %w", file, err)
	}
	return names, nil
}

// parseZoneList takes a list apart: a JSON array of names when it begins as one,
// or else a name a line, with empty lines and # comments.
func parseZoneList(data []byte) ([]string, error) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	var names []string
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		if err := json.Unmarshal([]byte(text), &names); err != nil {
			return nil, fmt.Errorf("%w: write a JSON array of names, or a name a line", err)
		}
	} else {
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "#")
			names = append(names, line)
		}
	}
	var clean []string
	for _, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			continue
		}
		if _, err := zones.ParseName(name); err != nil || name == "." || strings.ContainsFunc(name, isForeign) {
			return nil, fmt.Errorf("%q is no name of a zone: write a JSON array of names, or a name a line", name)
		}
		clean = append(clean, strings.TrimSuffix(name, "."))
	}
	if len(clean) == 0 {
		return nil, errors.New("it names no zone")
	}
	slices.Sort(clean)
	return slices.Compact(clean), nil
}

// zoneDiff is how a list of zones differs from the catalogue.
type zoneDiff struct {
	Missing []missingZone `json:"missing"` // zones of the catalogue that the list lacks
	Unknown []string      `json:"unknown"` // zones of the list that the catalogue does not know
	Same    int           `json:"same"`    // zones of the list that it does
}

type missingZone struct {
	Zone     string   `json:"zone"`
	Services []string `json:"services"`
}

// compareZones compares the current zones of a cloud with a list. What the list
// has of other clouds, or of superseded zones, is known.
func compareZones(catalogue *azure.Catalogue, cloud azure.Cloud, listed []string) zoneDiff {
	diff := zoneDiff{Missing: []missingZone{}, Unknown: []string{}}
	var known []string
	services := make(map[string][]string)
	for _, entry := range catalogue.Entries() {
		known = append(known, entry.PrivateZone)
		if entry.Cloud == cloud && !entry.Legacy && !entry.Observed && !slices.Contains(services[entry.PrivateZone], entry.Service) {
			services[entry.PrivateZone] = append(services[entry.PrivateZone], entry.Service)
		}
	}
	for _, zone := range slices.Sorted(maps.Keys(services)) {
		if at := strings.Index(zone, ".privatelink."); at > 0 && services[zone[at+1:]] != nil {
			continue // the other layout of a zone, which holds the same names
		}
		if !slices.ContainsFunc(listed, func(name string) bool { return isForm(zone, name) }) {
			diff.Missing = append(diff.Missing, missingZone{zone, services[zone]})
		}
	}
	for _, name := range listed {
		if slices.ContainsFunc(known, func(zone string) bool { return isForm(zone, name) }) {
			diff.Same++
			continue
		}
		diff.Unknown = append(diff.Unknown, name)
	}
	return diff
}

// isForm tells whether a name has the form of a zone: the same labels, any one
// where the form has a word in braces.
func isForm(form, name string) bool {
	labels, have := strings.Split(strings.ToLower(form), "."), strings.Split(name, ".")
	return slices.EqualFunc(labels, have, func(label, text string) bool {
		return strings.HasPrefix(label, "{") || label == text
	})
}

func printDiff(w io.Writer, diff zoneDiff, asJSON bool) error {
	if asJSON {
		if err := printJSON(w, diff); err != nil {
			return err
		}
	} else if err := diff.print(w); err != nil {
		return err
	}
	if len(diff.Missing)+len(diff.Unknown) > 0 {
		return errNo
	}
	return nil
}

// print writes a line for each difference, as a patch of the list would have it,
// and their number.
func (d zoneDiff) print(w io.Writer) error {
	var text strings.Builder
	for _, missing := range d.Missing {
		fmt.Fprintf(&text, "missing from the list: %s (%s)\n", missing.Zone, strings.Join(missing.Services, ", "))
	}
	for _, name := range d.Unknown {
		fmt.Fprintf(&text, "unknown to the catalogue: %s\n", name)
	}
	fmt.Fprintf(&text, "%s in common, %d missing, %d unknown\n", daemon.Count(d.Same, "zone"), len(d.Missing), len(d.Unknown))
	_, err := io.WriteString(w, text.String())
	return failing(err)
}
