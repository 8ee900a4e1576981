package resolver

import (
	"strings"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
	"pldns/zones"
)

// Explanation is a decision in a form for people and programs: what was asked,
// by whom, each step, and what the client gets.
type Explanation struct {
	Name      string           `json:"name"`
	Type      string           `json:"type"`
	Client    string           `json:"client"`
	Listener  string           `json:"listener,omitempty"`
	Showing                    // what the client shows besides
	Network   string           `json:"network,omitempty"` // absent: the client belongs to none
	Ingress   string           `json:"ingress,omitempty"` // what narrowed the networks it may belong to; absent: nothing
	Door      string           `json:"door,omitempty"`    // Ingress, as it was called before; it goes with the next release
	Steps     []Step           `json:"steps"`
	Rcode     string           `json:"rcode"`
	Answer    []string         `json:"answer"`
	Authority []string         `json:"authority,omitempty"`
	Errors    []ExplainedError `json:"errors,omitempty"`
	Source    string           `json:"source"`
	Zone      string           `json:"zone,omitempty"`
	Policy    *ExplainedPolicy `json:"policy,omitempty"` // absent: no entry of a policy holds
	Upstream  string           `json:"upstream,omitempty"`
	Server    string           `json:"server,omitempty"`
	Hops      int              `json:"hops"`
	Release   string           `json:"release,omitempty"` // of the fleet's store that decided; absent: there is no store
}

// ExplainedError is an extended error (RFC 8914) with the words for its code.
type ExplainedError struct {
	Code    uint16 `json:"code"`
	Meaning string `json:"meaning"`
	Text    string `json:"text"`
}

// ExplainedPolicy is what a policy has said.
type ExplainedPolicy struct {
	Name   string `json:"name"`
	Entry  string `json:"entry"`
	Action string `json:"action"`
}

// Showing is what a client shows of itself besides its address, in a form for
// people and programs; see [zones.Shown].
type Showing struct {
	ServerName   string   `json:"server_name,omitempty"`
	Certificates []string `json:"certificates,omitempty"`
	Path         string   `json:"path,omitempty"`
	LinkID       *uint32  `json:"link_id,omitempty"`
}

// NewShowing is what a client shows.
func NewShowing(client zones.Client) Showing {
	var s Showing
	shown := client.Shown
	if shown == nil {
		return s
	}
	if !shown.ServerName.IsZero() {
		s.ServerName = shown.ServerName.String()
	}
	for _, name := range shown.Certificates {
		s.Certificates = append(s.Certificates, name.String())
	}
	if s.Path = shown.Path; shown.Linked {
		link := shown.Link
		s.LinkID = &link
	}
	return s
}

// NewExplanation puts a decision together with its trace.
func NewExplanation(q Query, a Answer, trace *Trace) Explanation {
	e := Explanation{
		Name: q.Name.String(), Type: wire.TypeName(q.Type), Client: q.Client.String(),
		Showing: NewShowing(q.Client), Network: a.Network, Ingress: trace.Ingress, Door: trace.Ingress, Steps: trace.Steps,
		Rcode:  wire.RcodeName(a.Rcode),
		Answer: Presentation(a.Records), Authority: Presentation(a.Authority),
		Source: a.Source.String(), Upstream: a.Group, Server: a.Server, Hops: a.Hops,
	}
	if q.Client.Listener.IsValid() {
		e.Listener = q.Client.Listener.String()
	}
	if !a.Zone.IsZero() {
		e.Zone = a.Zone.String()
	}
	if v := a.Verdict; v.Policy != "" {
		e.Policy = &ExplainedPolicy{v.Policy, v.Entry, v.Action.String()}
	}
	for _, err := range a.Errors {
		e.Errors = append(e.Errors, ExplainedError{err.Code, dns.ExtendedErrorCodeToString[err.Code], err.Text})
	}
	return e
}

// Answered tells whether the client gets what it asked for.
func (e Explanation) Answered() bool {
	return e.Rcode == "NOERROR" && len(e.Answer) > 0 && len(e.Authority) == 0
}

// NewClientQuery is the query that a client would make for a name and a type,
// with nothing unusual about it.
func NewClientQuery(name zones.Name, qtype uint16, client zones.Client) Query {
	return Query{
		Question: Question{Name: name, Type: qtype}, Spelling: name.FQDN(), Class: dns.ClassINET,
		Client: client, RecursionDesired: true,
	}
}

// Presentation writes records in master-file format, one line each.
func Presentation(records []dns.RR) []string {
	lines := make([]string, 0, len(records))
	for _, rr := range records {
		lines = append(lines, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	return lines
}
