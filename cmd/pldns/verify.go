package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/doctor"
	"pldns/cmd/internal/routes"
	"pldns/config"
)

func newVerify() *cobra.Command {
	var file, network, ca string
	var timeout time.Duration
	var asJSON bool
	command := &cobra.Command{
		Use:   "verify",
		Short: "Connect to every endpoint of a configuration, and check its certificate",
		Long: `Verify connects, from where it runs, to every address that the configuration maps
and holds the certificate there against the name. It finds two mappings whose
addresses were swapped, unless one certificate covers both names. The port is
that of the endpoint's probe, else that of its service. A wildcard has no name to
hold a certificate against, and is only connected to. At the end stand the ways
by which the addresses are reached: interface, source address, gateway. Where the
way is the reason for a failure, that has a name: no-route, way-back-missing if
nothing comes back, or overlap if the address lies in another network of this
machine. It exits with 1 if an address fails.`,
		Example: `  pldns verify -c office.toml
  pldns verify --network europe --json`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			roots, err := rootsOf(ca, timeout)
			if err != nil {
				return err
			}
			loaded, err := loadLearned(command.ErrOrStderr(), file)
			if err != nil {
				return failing(err)
			}
			targets, err := targetsOf(loaded, network)
			if err != nil {
				return err
			}
			line := newProgress(command.ErrOrStderr())
			results := doctor.Verify(command.Context(), doctor.VerifyConfig{
				Catalogue: loaded.Catalogue, Roots: roots, Timeout: timeout, Routes: routes.System{}, Progress: func(done, all int) {
					line.tell("verifying [%-*s] %d of %d", barWidth, strings.Repeat("#", barWidth*done/all), done, all)
				},
			}, targets)
			line.end()
			return reportResults(command.OutOrStdout(), results, asJSON)
		},
	}
	configFlag(command, &file)
	jsonFlag(command, &asJSON)
	command.Flags().StringVar(&network, "network", "", "only the endpoints of this `network`")
	proofFlags(command, &ca, &timeout)
	return command
}

// barWidth is the width of the bar that says how far verify is.
const barWidth = 30

// targetsOf are the mappings of one network, or of all. A mapping that is written
// under its private name stands for all public names of it; the usual one of them
// is verified.
func targetsOf(c *config.Config, network string) ([]doctor.Target, error) {
	named := func(n config.Network) bool { return network == "" || n.Name == network }
	if network != "" && !slices.ContainsFunc(c.Networks, named) {
		return nil, fmt.Errorf("--network %s: the configuration has no such network", network)
	}
	var targets []doctor.Target
	for _, n := range c.Networks {
		if !named(n) {
			continue
		}
		verified := make(map[config.Place]bool)
		for e := range n.Endpoints() {
			if verified[e.Place] {
				continue
			}
			verified[e.Place] = true
			targets = append(targets, doctor.Target{Network: n.Name, Name: e.Name, Addresses: e.Addresses, Port: e.Probe.Spec().Port})
		}
	}
	return targets, nil
}

// verified is what verify --json prints.
type verified struct {
	OK      bool            `json:"ok"` // no address failed or was left out
	Results []doctor.Result `json:"results"`
}

func reportResults(w io.Writer, results []doctor.Result, asJSON bool) error {
	count := make(map[doctor.Verdict]int)
	for _, r := range results {
		count[r.Verdict]++
	}
	fine := count[doctor.Fail]+count[doctor.Skipped] == 0
	write := printResults
	if asJSON {
		write = func(w io.Writer, results []doctor.Result, _ map[doctor.Verdict]int) error {
			return printJSON(w, verified{OK: fine, Results: results})
		}
	}
	if err := write(w, results, count); err != nil {
		return failing(err)
	}
	if !fine {
		return errNo
	}
	return nil
}

// printResults writes a line for each address, and how many went which way.
func printResults(w io.Writer, results []doctor.Result, verdicts map[doctor.Verdict]int) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range results {
		told := withRemedy(withCause(r.Cause, r.Seen), r.Remedy)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Verdict, r.Network, r.Name, r.Address, told)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if err := printWays(w, results); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "addresses: %d, ok: %d, failed: %d, noted: %d, skipped: %d\n", len(results),
		verdicts[doctor.OK], verdicts[doctor.Fail], verdicts[doctor.Note], verdicts[doctor.Skipped])
	return err
}

// printWays writes a line for each way by which addresses are reached, the one of the
// most addresses first.
func printWays(w io.Writer, results []doctor.Result) error {
	type way struct {
		text    string
		reaches int
	}
	var ways []way
	for _, r := range results {
		if r.Route == nil {
			continue
		}
		text := wayText(*r.Route)
		i := slices.IndexFunc(ways, func(other way) bool { return other.text == text })
		if i < 0 {
			i, ways = len(ways), append(ways, way{text: text})
		}
		ways[i].reaches++
	}
	slices.SortStableFunc(ways, func(a, b way) int { return cmp.Compare(b.reaches, a.reaches) })
	for _, one := range ways {
		if _, err := fmt.Fprintf(w, "way: %s: %d\n", one.text, one.reaches); err != nil {
			return err
		}
	}
	return nil
}

// wayText says by which way a route leads.
func wayText(r routes.Route) string {
	text := fmt.Sprintf("%s (%s)", r.Interface, r.Kind)
	if r.Source.IsValid() {
		text += " from " + r.Source.String()
	}
	switch {
	case r.Local:
		text += ", this machine itself"
	case r.Gateway.IsValid():
		text += " over " + r.Gateway.String()
	case r.Tunnel:
		text += ", a tunnel"
	default:
		text += " on its link"
	}
	return text
}
