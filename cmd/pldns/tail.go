package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newTail() *cobra.Command {
	var t tailing
	var tokenFile string
	var network, client, name, outcome, transport []string
	command := &cobra.Command{
		Use:   "tail",
		Short: "Follow the queries of a running server",
		Long: `Tail prints each query that a running pldns answers, when it does: who asked for what,
and what was answered by whom. It goes on until it is interrupted, and when the server
goes away it tries again until it is back. What it cannot show, because there is too
much of it, it counts on standard error: a filter helps.

Who asks for what is nobody's business but the operator's: the server wants the token of
listen.admin_token_file, or that the live list of its page is switched on.`,
		Example: `  pldns tail --token-file /etc/pldns/admin.token --network europe --outcome failed
  pldns tail --name '*.database.windows.net' --client 10.0.1.0/24 --json`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if tokenFile != "" {
				token, err := os.ReadFile(tokenFile)
				if err != nil {
					return failing(fmt.Errorf("read the token: %w: name the file of listen.admin_token_file with --token-file", err))
				}
				t.token = strings.TrimSpace(string(token))
			}
			t.parameters = url.Values{}
			for key, values := range map[string][]string{
				"network": network, "client": client, "name": name, "outcome": outcome, "transport": transport,
			} {
				if len(values) > 0 {
					t.parameters[key] = values
				}
			}
			t.out, t.talk = command.OutOrStdout(), command.ErrOrStderr()
			return failing(t.follow(command.Context()))
		},
	}
	f := command.Flags()
	f.StringVar(&t.server, "server", "127.0.0.1:8053", "the admin `address` of a running pldns")
	f.StringVar(&tokenFile, "token-file", "", "the `file` that listen.admin_token_file names")
	f.StringArrayVar(&network, "network", nil, "only clients of this `network`, empty for those of none; may be given again")
	f.StringArrayVar(&client, "client", nil, "only the client with this `address`, or those in a prefix; may be given again")
	f.StringArrayVar(&name, "name", nil, "only names with this `text` in them, or, with *, that look so; may be given again")
	f.StringArrayVar(&outcome, "outcome", nil, "only what came to this `word`: answered, nodata, nxdomain, refused, servfail or failed")
	f.StringSliceVar(&transport, "transport", nil, "only what came over this `transport`: udp, tcp, dot, doh, doq or h3; may be "+
		"given again")
	oneOf(command, "transport", shorts()...)
	f.BoolVar(&t.asJSON, "json", false, "print each query as a line of JSON")
	return command
}

// tailing follows the queries of a server.
type tailing struct {
	server, token string
	parameters    url.Values
	asJSON        bool
	out, talk     io.Writer
	away          bool // it was said that the server is
}

// tailPause is how long the server is left alone before it is tried again.
const tailPause = time.Second

// tailSilence is how long the server may say nothing, which it does not.
const tailSilence = 45 * time.Second

// follow prints queries until ctx ends. The error is what the server refuses, or that it
// could not be reached even once.
func (t *tailing) follow(ctx context.Context) error {
	for met := false; ; {
		began, err := t.stream(ctx)
		met = met || began
		var refused *statusError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused) && refused.code != http.StatusServiceUnavailable, errors.Is(err, errOutput):
			return err
		case !met && refused == nil:
			return fmt.Errorf("ask %s: %w (is it the admin address of a running pldns?)", t.server, err)
		case !t.away:
			fmt.Fprintf(t.talk, "pldns tail: %s is away, and is tried until it is back: %v\n", t.server, err)
		}
		t.away = true
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(tailPause):
		}
	}
}

// errOutput is what is printed that nobody takes.
var errOutput = errors.New("nobody takes what is printed")

// stream follows one connection to its end. Began says that the server sent something.
func (t *tailing) stream(ctx context.Context) (began bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	base := t.server
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/live?"+t.parameters.Encode(), nil)
	if err != nil {
		return false, fmt.Errorf("--server %s: %w", t.server, err)
	}
	request.Header.Set("Accept", "text/event-stream")
	if t.token != "" {
		request.Header.Set("Authorization", "Bearer "+t.token)
	}
	silence := time.AfterFunc(tailSilence, cancel)
	defer silence.Stop()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err
		}
		return false, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return false, t.refusal(response)
	}
	if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		return false, &statusError{response.StatusCode, fmt.Sprintf("%s has no live stream: it answers with %q", t.server, kind)}
	}
	if t.away {
		fmt.Fprintf(t.talk, "pldns tail: %s is back\n", t.server)
		t.away = false
	}
	return true, t.read(response.Body, func() { silence.Reset(tailSilence) })
}

// refusal is why a server does not let anybody follow.
func (t *tailing) refusal(response *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	var said struct{ Error string }
	if json.Unmarshal(body, &said) != nil || said.Error == "" {
		said.Error = strings.TrimSpace(string(body))
	}
	text := fmt.Sprintf("%s answers %s: %s", t.server, response.Status, said.Error)
	if response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusConflict {
		text += " (--token-file FILE sends the token)"
	}
	return &statusError{response.StatusCode, text}
}

// read reads events (https://html.spec.whatwg.org/multipage/server-sent-events.html) until
// they end. Heard is called for each line.
func (t *tailing) read(body io.Reader, heard func()) error {
	const longestLine = 1 << 20
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, longestLine)
	event, data := "", ""
	for lines.Scan() {
		heard()
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if err := t.told(event, data); err != nil {
				return err
			}
			event, data = "", ""
		case field == "event":
			event = value
		case field == "data":
			data += value
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

// told deals with one event.
func (t *tailing) told(event, data string) error {
	switch event {
	case "", "message":
		if data == "" {
			return nil
		}
		return t.print(data)
	case "lost":
		var lost struct{ Lost int }
		if json.Unmarshal([]byte(data), &lost) == nil {
			fmt.Fprintf(t.talk, "pldns tail: %d queries are left out: there are too many\n", lost.Lost)
		}
	case "end":
		var end struct{ Reason string }
		_ = json.Unmarshal([]byte(data), &end)
		return fmt.Errorf("the server ends it: %s", end.Reason)
	}
	return nil
}

// tailed is a query as the server tells of it.
type tailed struct {
	Time                                          time.Time
	Network, Transport, Client, Name, Type, Rcode string
	Source, Upstream, Server, Refusal             string
	ClientName                                    string `json:"client_name"`
	Answer                                        []string
	Policy                                        string
	PolicyEntry                                   string  `json:"policy_entry"`
	PolicyAction                                  string  `json:"policy_action"`
	Duration                                      float64 `json:"duration_ms"`
	EDE                                           []struct {
		Code uint16
		Text string
	}
}

// print prints one query.
func (t *tailing) print(data string) error {
	line := data
	if !t.asJSON {
		var q tailed
		if err := json.Unmarshal([]byte(data), &q); err != nil {
			return fmt.Errorf("%s sends what is no query: %w", t.server, err)
		}
		line = q.String()
	}
	if _, err := io.WriteString(t.out, line+"\n"); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

// String is a query on one line. Texts that others wrote are quoted.
func (q tailed) String() string {
	network, by := q.Network, q.Source
	if network == "" {
		network = "-"
	}
	switch {
	case q.Refusal != "":
		by = q.Refusal
	case q.Upstream != "":
		by += " " + q.Upstream
		if q.Server != "" {
			by += " " + q.Server
		}
	}
	client := q.Client
	if q.ClientName != "" {
		client += "(" + q.ClientName + ")"
	}
	text := strings.Join([]string{q.Time.Local().Format("15:04:05.000"), network, client, q.Transport, q.Name, q.Type, q.Rcode}, " ")
	if len(q.Answer) > 0 {
		text += " " + strings.Join(q.Answer, ",")
	}
	if q.Policy != "" {
		by += fmt.Sprintf(", policy %s %q %s", q.Policy, q.PolicyEntry, q.PolicyAction)
	}
	text += fmt.Sprintf(" (%s, %.3g ms)", by, q.Duration)
	for _, e := range q.EDE {
		text += fmt.Sprintf(" EDE %d %q", e.Code, e.Text)
	}
	return text
}
