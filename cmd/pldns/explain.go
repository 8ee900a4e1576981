package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"pldns/cmd/internal/daemon"
	"pldns/config"
	"pldns/resolver"
	"pldns/resolver/admin"
)

func newExplain() *cobra.Command {
	var file, client, listener, server string
	var shown shownFlags
	var asJSON, offline bool
	var released releaseFlag
	command := &cobra.Command{
		Use:   "explain NAME [TYPE]",
		Short: "Say what a client is answered, and why",
		Long: `Explain decides one question by the code that serves, and prints each step:
the network of the client and why, the zone and the rule, every hop, what was
asked of which upstream, and the answer. Without --server it reads the
configuration file and asks the upstreams itself; with --server it asks a
running pldns at its admin address, which answers from what it serves and
remembers; with --release it decides as of a release of the store, also of one that
is not served any more. It exits with 0 if the client gets what it asks for, else with 1.`,
		Example: `  pldns explain mydb.database.windows.net --client 10.0.0.7
  pldns explain mydb.database.windows.net AAAA --client 10.0.0.7 --server 127.0.0.1:8053`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(command *cobra.Command, args []string) error {
			question := url.Values{"name": {args[0]}, "client": {client}, "listener": {listener}}
			shown.set(question)
			if len(args) == 2 {
				question.Set("type", args[1])
			}
			query, err := admin.ParseQuestion(question)
			if err != nil {
				return err
			}
			var e resolver.Explanation
			if server != "" {
				e, err = explainRemotely(command.Context(), server, question)
			} else {
				e, err = explainFile(command, file, released, query, offline)
			}
			var problems config.Problems
			if errors.As(err, &problems) {
				return failing(fmt.Errorf("the configuration cannot be served:\n%w", err))
			}
			if err != nil {
				return failing(err)
			}
			return reportExplanation(command.OutOrStdout(), e, asJSON)
		},
	}
	configFlag(command, &file)
	jsonFlag(command, &asJSON)
	flags := command.Flags()
	flags.StringVar(&client, "client", "", "the `address` that the query comes from")
	flags.StringVar(&listener, "listener", "", "the local `address` that the query reaches")
	shown.register(command)
	released.add(command)
	flags.StringVar(&server, "server", "", "the admin `address` of a running pldns to ask")
	flags.BoolVar(&offline, "offline", false, "do not ask upstreams; say where one would be asked")
	command.ValidArgsFunction = nameThenTypes
	command.MarkFlagsMutuallyExclusive("server", "offline")
	command.MarkFlagsMutuallyExclusive("server", "config")
	command.MarkFlagsMutuallyExclusive("server", "release")
	return command
}

// shownFlags are what the client shows besides its address.
type shownFlags struct{ serverName, certificate, path, linkID string }

func (f *shownFlags) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.serverName, "server-name", "", "the TLS server `name` or HTTP host it asks for")
	flags.StringVar(&f.certificate, "certificate", "", "a DNS `name` of its client certificate")
	flags.StringVar(&f.path, "path", "", "the `network` after /dns-query/ in the URL it asks")
	flags.StringVar(&f.linkID, "link-id", "", "the `number` of its Private Link Service connection")
}

// set adds what is given to the parameters of an explanation.
func (f *shownFlags) set(question url.Values) {
	for key, text := range map[string]string{
		"server_name": f.serverName, "certificate": f.certificate, "path": f.path, "link_id": f.linkID,
	} {
		if text != "" {
			question.Set(key, text)
		}
	}
}

// reportExplanation prints an explanation.
func reportExplanation(w io.Writer, e resolver.Explanation, asJSON bool) error {
	write := printExplanation
	if asJSON {
		write = func(w io.Writer, e resolver.Explanation) error { return printJSON(w, e) }
	}
	if err := write(w, e); err != nil {
		return err
	}
	if !e.Answered() {
		return errNo
	}
	return nil
}

// explainFile decides from a file alone.
func explainFile(command *cobra.Command, file string, released releaseFlag, query resolver.Query, notAsking bool) (resolver.Explanation,
	error) {
	loaded, err := released.load(command, file)
	if err != nil {
		return resolver.Explanation{}, err
	}
	if len(loaded.Azure) > 0 {
		printNotes(command, daemon.Composed(loaded).Warnings)
	}
	snapshot, err := daemon.NewSnapshot(loaded, notAsking)
	if err != nil {
		return resolver.Explanation{}, err
	}
	answer, trace := snapshot.Explain(command.Context(), query)
	explanation := resolver.NewExplanation(query, answer, trace)
	if loaded.Release != nil {
		explanation.Release = loaded.Release.ID
	}
	return explanation, nil
}

// explainRemotely has a running server decide.
func explainRemotely(ctx context.Context, server string, question url.Values) (resolver.Explanation, error) {
	var e resolver.Explanation
	err := fetchJSON(ctx, server, "/api/explain", question, &e)
	return e, err
}
