package resolver

import (
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// Explanation is a decision in a form for people and programs: what was asked,
// by whom, each step, and what the client gets.
type Explanation struct {
	Name      string           `json:"name"`
	Type      string           `json:"type"`
	Client    string           `json:"client"`
	Listener  string           `json:"listener,omitempty"`
	Network   string           `json:"network,omitempty"` // absent: the client belongs to none
	Steps     []Step           `json:"steps"`
	Rcode     string           `json:"rcode"`
	Answer    []string         `json:"answer"`
	Authority []string         `json:"authority,omitempty"`
	Errors    []ExplainedError `json:"errors,omitempty"`
	Source    string           `json:"source"`
	Zone      string           `json:"zone,omitempty"`
	Upstream  string           `json:"upstream,omitempty"`
	Server    string           `json:"server,omitempty"`
	Hops      int              `json:"hops"`
}

// ExplainedError is an extended error (RFC 8914) with the words for its code.
type ExplainedError struct {
	Code    uint16 `json:"code"`
	Meaning string `json:"meaning"`
	Text    string `json:"text"`
}

// NewExplanation puts a decision together with its trace.
func NewExplanation(q Query, a Answer, trace *Trace) Explanation {
	e := Explanation{
		Name: q.Name.String(), Type: typeName(q.Type), Client: q.Client.String(),
		Network: a.Network, Steps: trace.Steps, Rcode: rcodeName(a.Rcode),
		Answer: Presentation(a.Records), Authority: Presentation(a.Authority),
		Source: a.Source.String(), Upstream: a.Group, Server: a.Server, Hops: a.Hops,
	}
	if q.Client.Listener.IsValid() {
		e.Listener = q.Client.Listener.String()
	}
	if !a.Zone.IsZero() {
		e.Zone = a.Zone.String()
	}
	for _, err := range a.Errors {
		e.Errors = append(e.Errors, ExplainedError{err.Code, dns.ExtendedErrorCodeToString[err.Code], err.Text})
	}
	return e
}

// Yes tells whether the client gets what it asked for.
func (e Explanation) Yes() bool {
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

// typeName is the mnemonic of a type, or TYPE with its number (RFC 3597).
func typeName(qtype uint16) string { return dns.Type(qtype).String() }

// rcodeName is the mnemonic of a response code, or RCODE with its number.
func rcodeName(rcode int) string {
	if name, known := dns.RcodeToString[rcode]; known {
		return name
	}
	return "RCODE" + strconv.Itoa(rcode)
}
