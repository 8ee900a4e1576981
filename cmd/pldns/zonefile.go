package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/daemon"
	"pldns/zones"
)

func newExportZone() *cobra.Command {
	var file, network, server, tokenFile string
	command := &cobra.Command{
		Use:   "zone NAME",
		Short: "Write a zone as a network sees it, as a zone file",
		Long: `Zone writes what a network sees of a zone as a zone file (RFC 1035 section 5), which
BIND, Knot, NSD and others load as it is: a zone that is held as a copy, from the copy
on disk, or what is made of the endpoints and the records of the network. Of an
endpoint all addresses are written, whatever its probes say.

With --server the zone is that of a running pldns, at this moment and with the serial
that other servers are told. The file has all that a zone transfer gives, so that takes
the token of listen.admin_token_file.`,
		Example: `  pldns export zone privatelink.blob.core.windows.net --network europe > blob.zone
  pldns export zone corp.example --network europe --server 127.0.0.1:8053 --token-file /etc/pldns/admin.token`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			name, err := zones.ParseName(args[0])
			if err != nil {
				return fmt.Errorf("%w: give the name of a zone, such as privatelink.database.windows.net", err)
			}
			if server != "" {
				return fetchZone(command.Context(), command.OutOrStdout(), server, tokenFile, network, name)
			}
			if tokenFile != "" {
				return errors.New("--token-file is for --server: leave it out, or name the server")
			}
			loaded, err := loadLearned(command.ErrOrStderr(), file)
			if err != nil {
				return failing(err)
			}
			zone, notes, err := daemon.ZoneContent(loaded, network, name)
			if err != nil {
				return failing(err)
			}
			printNotes(command, notes)
			_, err = zone.WriteTo(command.OutOrStdout())
			return failing(err)
		},
	}
	configFlag(command, &file)
	f := command.Flags()
	f.StringVar(&network, "network", "", "the `name` of the network; needed where there are several")
	f.StringVar(&server, "server", "", "the admin `address` of a running pldns to ask instead")
	f.StringVar(&tokenFile, "token-file", "", "the `file` that listen.admin_token_file of the server names")
	command.MarkFlagsMutuallyExclusive("config", "server")
	return command
}

// fetchZone writes a zone of a running server.
func fetchZone(ctx context.Context, out io.Writer, server, tokenFile, network string, zone zones.Name) error {
	base := server
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	parameters := url.Values{"zone": {zone.String()}}
	if network != "" {
		parameters.Set("network", network)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/zonefile?"+parameters.Encode(), nil)
	if err != nil {
		return fmt.Errorf("--server %s: %w", server, err)
	}
	if tokenFile != "" {
		token, err := os.ReadFile(tokenFile)
		if err != nil {
			return failing(fmt.Errorf("read the token: %w: name the file of listen.admin_token_file with --token-file", err))
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return failing(fmt.Errorf("ask %s: %w (is it the admin address of a running pldns?)", server, err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		text := fmt.Sprintf("%s answers %s: %s", server, response.Status, strings.TrimSpace(string(said)))
		if response.StatusCode == http.StatusUnauthorized {
			text += " (--token-file FILE sends the token)"
		}
		return failing(errors.New(text))
	}
	if _, err := io.Copy(out, response.Body); err != nil {
		return failing(fmt.Errorf("read the answer of %s: %w: the zone is not whole", server, err))
	}
	return nil
}
