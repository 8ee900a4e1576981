package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pldns/resolver"
	"pldns/resolver/admin"
)

func newShadow() *cobra.Command {
	var server string
	var asJSON bool
	command := &cobra.Command{
		Use:   "shadow",
		Short: "List answers that another server gives otherwise",
		Long: `Shadow asks a running pldns, whose configuration has [shadow], how a sample of its
answers compares with what another upstream says, such as Azure DNS or a Private
Resolver that clients are to be moved from: by network, how many were compared, and
each question that is answered otherwise, with both answers. What differed and agrees
again is counted, and not listed. It exits with 1 when something differs, and when
nothing has been compared yet.

  rcode      such as NXDOMAIN against an answer
  nodata     one has records of the type, and the other has none
  addresses  a private address that the other does not give, or none
  alias      the same address under another name`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var shadow admin.Shadow
			if err := fetchJSON(command.Context(), server, "/api/shadow", nil, &shadow); err != nil {
				return failing(err)
			}
			if shadow.Upstream == "" {
				return failing(fmt.Errorf("%s compares no answers: name an upstream group in [shadow] of its configuration", server))
			}
			write := printShadow
			if asJSON {
				write = func(w io.Writer, shadow admin.Shadow) error { return printJSON(w, shadow) }
			}
			if err := write(command.OutOrStdout(), shadow); err != nil {
				return err
			}
			if compared, differing := sumOf(shadow); compared == 0 || differing > 0 {
				return errNo
			}
			return nil
		},
	}
	jsonFlag(command, &asJSON)
	command.Flags().StringVar(&server, "server", "127.0.0.1:8053", "the admin `address` of a running pldns")
	return command
}

// sumOf is how many answers were compared, and how many questions differ still.
func sumOf(shadow admin.Shadow) (compared, differing int) {
	for _, n := range shadow.Networks {
		compared += n.Compared()
		for _, d := range n.Differences {
			if d.Agreed == nil {
				differing++
			}
		}
	}
	return compared, differing
}

// printShadow writes a line for each question that differs, and how many answers were
// compared.
func printShadow(w io.Writer, shadow admin.Shadow) error {
	const width = 2000 // of a cell at most: twice what a name takes
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, differing := sumOf(shadow)
	if differing > 0 {
		other := strings.ToUpper(resolver.CleanText(shadow.Upstream, width))
		fmt.Fprintf(table, "NETWORK\tNAME\tTYPE\tDIFFERS BY\tPLDNS\t%s\tTIMES\tLAST\n", other)
	}
	for _, n := range shadow.Networks {
		for _, d := range n.Differences {
			if d.Agreed == nil {
				cells := []string{n.Network, d.Name, d.Type, d.Kind, d.Ours.Text, d.Theirs.Text}
				for _, cell := range cells {
					fmt.Fprintf(table, "%s\t", resolver.CleanText(cell, width))
				}
				fmt.Fprintf(table, "%d\t%s\n", d.Count, d.Last.UTC().Format(time.RFC3339))
			}
		}
	}
	if err := table.Flush(); err != nil {
		return failing(err)
	}
	for _, server := range shadow.Failing {
		fmt.Fprintf(w, "%s does not answer\n", resolver.CleanText(server, width))
	}
	for _, n := range shadow.Networks {
		again := 0
		for _, d := range n.Differences {
			if d.Agreed != nil {
				again++
			}
		}
		_, err := fmt.Fprintf(w,
			"%s: compared %d, different %d, not answered %d, repeated %d, dropped %d; differ now %d, agree again %d\n",
			resolver.CleanText(n.Network, width), n.Compared(), n.Different, n.Failed, n.Repeated, n.Dropped,
			len(n.Differences)-again, again)
		if err != nil {
			return failing(err)
		}
	}
	return nil
}
