package resolver

import (
	"fmt"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
	"pldns/zones"
)

// Trace is the account of one decision, step by step. Its methods do nothing on
// a nil Trace, so that serving and explaining are the same code.
type Trace struct {
	Steps []Step
	// Ingress is what narrowed the networks that the client may belong to, in words;
	// empty when nothing did.
	Ingress string

	origin func(network string, endpoint zones.Name) string // nil knows nothing
	of     string                                           // the name of the network
}

// Step is one step of a decision: its stage and what happened.
type Step struct {
	Stage   string   `json:"stage"` // network, zone, copy, policy, upstream, splice, private, dns64 or answer
	Room    string   `json:"room"`  // Stage, as it was called before; it goes with the next release
	Text    string   `json:"text"`
	Records []string `json:"records,omitempty"` // as they joined the answer, in presentation format
}

func (t *Trace) add(stage, format string, values ...any) {
	if t != nil {
		t.Steps = append(t.Steps, Step{Stage: stage, Room: stage, Text: fmt.Sprintf(format, values...)})
	}
}

// with adds records to the last step.
func (t *Trace) with(records []dns.RR) {
	if t == nil {
		return
	}
	last := &t.Steps[len(t.Steps)-1]
	last.Records = append(last.Records, Presentation(records)...)
}

// network tells which network the client belongs to.
func (t *Trace) network(client zones.Client, match zones.Match, found bool) {
	if t == nil {
		return
	}
	behind := ""
	if !match.Ingress.IsZero() {
		t.Ingress = match.Ingress.String()
		behind = ", behind " + t.Ingress
	}
	if !found {
		t.add("network", "no network lists client %s%s", client, behind)
		return
	}
	t.of = match.Network.Name()
	t.add("network", "%s: client %s is in %s, the longest prefix that holds it%s",
		match.Network.Name(), client, match.Prefix, behind)
}

// lookup tells what the network's table has for a name.
func (t *Trace) lookup(name zones.Name, qtype uint16, result zones.Result) {
	if t == nil {
		return
	}
	t.add("zone", "%s %s: %s", name, wire.TypeName(qtype), outcome(result, t.from(result)))
	t.with(result.Records)
	if result.SOA != nil && result.Owned() {
		t.with([]dns.RR{result.SOA})
	}
}

// designated tells of an answer about this server itself.
func (t *Trace) designated(answer Answer) {
	t.add("zone", "the encrypted listeners of this server by which the client comes to its network (DDR, RFC 9462)")
	t.answer(answer)
}

// outcome puts a look-up into words.
func outcome(result zones.Result, from string) string {
	by := "a record of the operator"
	switch {
	case !result.Endpoint.IsZero():
		by = fmt.Sprintf("endpoint %s%s", result.Endpoint.Name(), from)
	case result.Zone.Special:
		by = "the special-use zone"
	}
	in := ""
	if !result.Zone.Name.IsZero() {
		in = fmt.Sprintf(" in zone %s", result.Zone.Name)
	}
	switch result.Kind {
	case zones.Records:
		return fmt.Sprintf("answered by %s%s", by, in)
	case zones.Alias:
		return fmt.Sprintf("an alias of %s, by %s%s", result.Target, by, in)
	case zones.NoData:
		return fmt.Sprintf("owned%s, and has no record of this type: NODATA", in)
	case zones.Copied:
		return "held as a copy" + in + missed(result)
	case zones.NoName:
		return fmt.Sprintf("no endpoint and no record%s, where missing = %q%s", in, result.Zone.Missing, missed(result))
	default:
		return "in no zone of the network" + missed(result)
	}
}

// from is where the endpoint of a look-up comes from, in brackets; empty where that is
// not known.
func (t *Trace) from(result zones.Result) string {
	if t.origin == nil || result.Endpoint.IsZero() {
		return ""
	}
	if text := t.origin(t.of, result.Endpoint.Name()); text != "" {
		return " (" + text + ")"
	}
	return ""
}

// missed tells why the wildcard of an endpoint does not hold for a name below it.
func missed(result zones.Result) string {
	if result.Missed.IsZero() {
		return ""
	}
	return fmt.Sprintf("; endpoint %s is for hosts, and a label that begins with _ names none", result.Missed)
}

// exchange tells what the outside said.
func (t *Trace) exchange(route Route, q Question, reply Reply, err error) {
	if t == nil {
		return
	}
	asked := fmt.Sprintf("%s %s: upstream %s, by forward entry %q", q.Name, wire.TypeName(q.Type), route.Group, route.Suffix)
	if err != nil {
		t.add("upstream", "%s: %v", asked, err)
		return
	}
	server := ""
	if reply.Server != "" {
		server = " of " + reply.Server
	}
	t.add("upstream", "%s: %s from %s%s", asked, wire.RcodeName(reply.Rcode), reply.Source, server)
	t.with(reply.Unpacked().Answer)
	for _, e := range reply.Errors {
		t.add("upstream", "extended error %d (%s): %s", e.Code, dns.ExtendedErrorCodeToString[e.Code], e.Text)
	}
}

// answer tells what the client gets.
func (t *Trace) answer(a Answer) {
	if t == nil {
		return
	}
	a = a.Unpacked()
	t.add("answer", "%s from %s, records: %d, CNAMEs followed: %d", wire.RcodeName(a.Rcode), a.Source, len(a.Records), a.Hops)
	t.with(a.Records)
	t.with(a.Authority)
	for _, e := range a.Errors {
		t.add("answer", "extended error %d (%s): %s", e.Code, dns.ExtendedErrorCodeToString[e.Code], e.Text)
	}
}
