package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pldns/resolver/admin"
)

func newUnmapped() *cobra.Command {
	var server, network, since string
	var top int
	var asJSON bool
	command := &cobra.Command{
		Use:     "unmapped",
		Aliases: []string{"leaks"}, // as it was called before; it goes with the next release
		Short:   "List names that should perhaps be mapped, and mappings nobody asks for",
		Long: `Unmapped asks a running pldns which privatelink names it had to answer from outside,
because the asker's network maps no endpoint for them, and which endpoints nobody
has asked for since it began. It prints them as a stub of a configuration: fill in
the address of the private endpoint and remove the "#" where there is one. Names that
were answered most come first, then those that the most clients asked for; where a
source found an endpoint in Azure that this network is not given, its id stands
there. It exits with 1 when a name was answered from outside.`,
		Example: `  pldns unmapped --network europe --top 20 --since 24h`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var all []admin.Unmapped
			if command.CalledAs() == "leaks" {
				fmt.Fprintln(command.ErrOrStderr(), `"pldns leaks" is called "pldns unmapped" now; the old name goes with the next release`)
			}
			parameters := make(url.Values)
			for name, value := range map[string]string{"network": network, "since": since} {
				if value != "" {
					parameters.Set(name, value)
				}
			}
			if command.Flags().Changed("top") {
				parameters.Set("top", strconv.Itoa(top))
			}
			if err := fetchUnmapped(command.Context(), server, parameters, &all); err != nil {
				return failing(err)
			}
			write := printUnmapped
			if asJSON {
				write = func(w io.Writer, all []admin.Unmapped) error { return printJSON(w, all) }
			}
			if err := write(command.OutOrStdout(), all); err != nil {
				return err
			}
			for _, network := range all {
				if len(network.Unmapped) > 0 {
					return errNo
				}
			}
			return nil
		},
	}
	jsonFlag(command, &asJSON)
	f := command.Flags()
	f.StringVar(&server, "server", "127.0.0.1:8053", "the admin `address` of a running pldns")
	f.StringVar(&network, "network", "", "only the `network` of this name")
	f.IntVar(&top, "top", 0, "at most so many names of a network, the most frequent")
	f.StringVar(&since, "since", "", "only names that were answered in this `time`, such as 24h, or since a moment such as "+
		"2026-11-27T08:00:00Z")
	return command
}

// fetchUnmapped asks a server for its unmapped names; one of the release before has them
// under another path.
func fetchUnmapped(ctx context.Context, server string, parameters url.Values, into *[]admin.Unmapped) error {
	err := fetchJSON(ctx, server, "/api/unmapped", parameters, into)
	var other *statusError
	if errors.As(err, &other) && other.code == http.StatusNotFound && len(parameters) == 0 {
		return fetchJSON(ctx, server, "/api/leaks", nil, into)
	}
	return err
}

// printUnmapped writes a stub of a configuration.
func printUnmapped(w io.Writer, all []admin.Unmapped) error {
	var text strings.Builder
	for _, network := range all {
		if len(network.Unmapped) == 0 && len(network.NeverAsked) == 0 {
			fmt.Fprintf(&text, "# %s: nothing to report\n\n", network.Network)
			continue
		}
		fmt.Fprintf(&text, "[networks.%s.endpoints]\n", network.Network)
		for _, u := range network.Unmapped {
			fmt.Fprintf(&text, "# %q = \"\" # asked %s by %s, last %s, answered %s\n",
				u.Name, counted(u.Count, "time"), counted(u.Clients, "client"), u.Last.UTC().Format(time.RFC3339), u.Address)
			if u.Azure != nil {
				fmt.Fprintf(&text, "#   %s knows %s", u.Azure.Source, u.Azure.Resource)
				if u.Azure.Why != "" {
					fmt.Fprintf(&text, " (%s)", u.Azure.Why)
				}
				text.WriteString("\n")
			}
		}
		for _, name := range network.NeverAsked {
			fmt.Fprintf(&text, "# %q is mapped, and nobody has asked for it\n", name)
		}
		text.WriteString("\n")
	}
	_, err := io.WriteString(w, text.String())
	return failing(err)
}

// counted is a number of things.
func counted(number int, thing string) string {
	if number != 1 {
		thing += "s"
	}
	return strconv.Itoa(number) + " " + thing
}

// statusError is the answer of an admin server that is no success.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

// fetchJSON reads a page of an admin server.
func fetchJSON(ctx context.Context, server, path string, parameters url.Values, into any) error {
	base := server
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path+"?"+parameters.Encode(), nil)
	if err != nil {
		return fmt.Errorf("--server %s: %w", server, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w (is it the admin address of a running pldns?)", server, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", server, err)
	}
	if response.StatusCode != http.StatusOK {
		return &statusError{response.StatusCode, fmt.Sprintf("%s answers %s: %s", server, response.Status, strings.TrimSpace(string(body)))}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s is no pldns admin address: %w", server, err)
	}
	return nil
}
