package azureimport

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"pldns/config"
	"pldns/zones"
)

// checkedAs is the network that a table is tried in.
const checkedAs = "network"

// maxRounds is how often a table is tried: a clash of two names may hide others.
const maxRounds = 8

// checked are the mappings that a configuration takes. One that it does not take is
// left out, so that whatever is written can be loaded.
func (d *decision) checked(network string, mappings []Mapping) []Mapping {
	for range maxRounds {
		problems := d.problemsOf(mappings)
		if len(problems) == 0 {
			return mappings
		}
		kept := len(mappings)
		for _, problem := range problems {
			name := nameOfKey(problem.Key)
			mappings = slices.DeleteFunc(mappings, func(m Mapping) bool {
				if m.Name.String() != name {
					return false
				}
				d.leave(Gap{Reason: Refused, Resource: m.of.id, File: m.of.file, Names: []zones.Name{m.Name, m.id}},
					"%s: a configuration does not take %s: %s: left out", m.Source, m.Name, plain(problem.Text))
				return true
			})
		}
		if len(mappings) == kept {
			d.leave(Gap{Reason: Refused, Resource: network}, "a configuration does not take the table%s: %s: left out",
				strings.TrimRight(" "+network, " "), plain(problems[0].Text))
			return nil
		}
	}
	return nil
}

// problemsOf are the faults of a table in a configuration.
func (d *decision) problemsOf(mappings []Mapping) config.Problems {
	text := append([]byte("[networks."+checkedAs+"]\nclients = [\"10.0.0.0/8\"]\n"), Render([]Table{NetworkTable(checkedAs, mappings)})...)
	_, err := config.ParseWith(d.e.catalogue, "import", text, nil)
	var problems config.Problems
	if err != nil && !errors.As(err, &problems) {
		problems = config.Problems{{Text: err.Error()}}
	}
	return problems
}

// nameOfKey is the name that a key path of the table tried is about.
func nameOfKey(key string) string {
	rest, found := strings.CutPrefix(key, "networks."+checkedAs+".endpoints.")
	if !found {
		return ""
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return ""
	}
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return ""
	}
	return name
}
