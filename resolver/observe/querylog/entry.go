package querylog

import (
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/wire"
	"pldns/zones"
)

// entry is one query as it waits to be written: it is put into words by the one
// who writes.
type entry struct {
	began     time.Time
	took      time.Duration
	transport string
	why       listen.Refusal
	from      netip.AddrPort
	query     resolver.Query
	answer    resolver.Answer // without its records
	addresses []netip.Addr    // of the reply
	omitted   int64
}

// The bounds of what others have a say in.
const (
	maxText      = 256 // octets of a text
	maxErrors    = 4
	maxAddresses = 8
)

func newEntry(e *listen.Exchange) entry {
	line := entry{
		began: e.Began, took: e.Took, transport: e.Transport, why: e.Why, from: e.From, query: e.Query, answer: e.Answer,
		addresses: addressesOf(e.Reply),
	}
	line.answer.Wire, line.answer.Records, line.answer.Authority, line.answer.Additional = wire.Message{}, nil, nil, nil
	return line
}

// addressesOf are the first addresses in the answer section of a reply.
func addressesOf(reply []byte) (all []netip.Addr) {
	records, ok := wire.ReadRecords(reply)
	if !ok {
		return nil
	}
	for range wire.Count(reply, wire.Answer) {
		rec, ok := records.Record()
		if !ok || len(all) == maxAddresses {
			break
		}
		if rec.Type != dns.TypeA && rec.Type != dns.TypeAAAA {
			continue
		}
		if addr, is := netip.AddrFromSlice(reply[rec.Data:rec.End]); is {
			all = append(all, addr)
		}
	}
	return all
}

// line is one line, with its keys in their order.
type line struct {
	Time       string  `json:"time"` // RFC 3339, UTC: when the query was read
	Network    string  `json:"network"`
	Transport  string  `json:"transport"`
	Listener   string  `json:"listener,omitempty"`
	ServerName string  `json:"server_name,omitempty"`
	Path       string  `json:"path,omitempty"`
	LinkID     *uint32 `json:"link_id,omitempty"`
	Client     string  `json:"client,omitempty"`
	Port       uint16  `json:"client_port,omitempty"`
	ClientName string  `json:"client_name,omitempty"`
	Name       string  `json:"name,omitempty"`
	Type       string  `json:"type,omitempty"`
	Class      string  `json:"class,omitempty"` // only where it is not IN
	Rcode      string  `json:"rcode"`
	RcodeNum   int     `json:"rcode_number"`
	// Addresses are those of the reply's answer section, some at most.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Source    string       `json:"source"`
	Rule      string       `json:"rule,omitempty"`
	// Policy is what a response policy has said, also where it decided nothing.
	Policy       string `json:"policy,omitempty"`
	PolicyEntry  string `json:"policy_entry,omitempty"`
	PolicyAction string `json:"policy_action,omitempty"`

	Upstream string  `json:"upstream,omitempty"`
	Server   string  `json:"server,omitempty"`
	Refusal  string  `json:"refusal,omitempty"`
	Duration float64 `json:"duration_ms"`
	EDE      []ede   `json:"ede,omitempty"`
	Release  string  `json:"release,omitempty"`
	Omitted  int64   `json:"omitted,omitempty"`

	at time.Time
}

// ede is an extended error (RFC 8914).
type ede struct {
	Code uint16 `json:"code"`
	Text string `json:"text,omitempty"`
}

// line puts an entry into words, with as much of the client as may be told, and what it is
// called.
func (e *entry) line(clients Clients, called func(network string, client netip.Addr) string) line {
	q, a := &e.query, &e.answer
	out := line{
		Time:    e.began.UTC().Format("2006-01-02T15:04:05.000000Z07:00"),
		Network: a.Network, Transport: e.transport, Client: clients.client(q.Client),
		Rcode: wire.RcodeName(a.Rcode), RcodeNum: a.Rcode, Addresses: e.addresses,
		Source: a.Source.String(), Rule: a.Rule(), Upstream: a.Group, Server: a.Server,
		Duration: float64(e.took.Microseconds()) / 1000, Release: a.Release, Omitted: e.omitted,
		at: e.began,
	}
	if clients == Address && e.from.Addr() == q.Client.Addr {
		out.Port = e.from.Port()
	}
	if clients == Address && called != nil {
		out.ClientName = called(a.Network, q.Client.Addr)
	}
	if !q.Name.IsZero() {
		out.Name, out.Type = q.Name.String(), wire.TypeName(q.Type)
		if q.Class != dns.ClassINET && q.Class != 0 {
			out.Class = dns.Class(q.Class).String()
		}
	}
	if q.Client.Listener.IsValid() {
		out.Listener = q.Client.Listener.String()
	}
	if shown := q.Client.Shown; shown != nil {
		out.show(shown)
	}
	if v := a.Verdict; v.Policy != "" {
		out.Policy, out.PolicyEntry, out.PolicyAction = v.Policy, legible(v.Entry), v.Action.String()
	}
	if e.why != listen.Accepted {
		out.Refusal = e.why.String()
	}
	for _, err := range a.Errors[:min(len(a.Errors), maxErrors)] {
		out.EDE = append(out.EDE, ede{err.Code, legible(err.Text)})
	}
	return out
}

// show adds what the client showed to the listener. The names in its certificate are
// left out: they may be those of a person.
func (l *line) show(shown *zones.Shown) {
	if !shown.ServerName.IsZero() {
		l.ServerName = shown.ServerName.String()
	}
	l.Path = legible(shown.Path)
	if shown.Linked {
		l.LinkID = &shown.Link
	}
}

// client is as much of a client as may be written.
func (clients Clients) client(c zones.Client) string {
	prefix := c.Prefix()
	if !prefix.IsValid() || clients == Nobody {
		return ""
	}
	if clients == Subnet {
		bits := 56
		if c.Addr.Is4() {
			bits = 24
		}
		prefix = netip.PrefixFrom(c.Addr, min(bits, prefix.Bits()))
	}
	if prefix.IsSingleIP() {
		return c.Addr.String()
	}
	return prefix.Masked().String()
}

// legible is a text that others wrote, cut to a bearable length and without
// characters that do something to a terminal or cannot be seen.
func legible(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxText)], "\uFFFD")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}
