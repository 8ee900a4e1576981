package querylog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"time"
	"unicode"

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
	query     resolver.Query
	answer    resolver.Answer // without its records
	omitted   int64
}

func newEntry(e *listen.Exchange) entry {
	line := entry{
		began: e.Began, took: e.Took, transport: e.Transport, why: e.Why, query: e.Query, answer: e.Answer,
	}
	line.answer.Wire, line.answer.Records, line.answer.Authority = wire.Message{}, nil, nil
	return line
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
	Name       string  `json:"name,omitempty"`
	Type       string  `json:"type,omitempty"`
	Rcode      string  `json:"rcode"`
	Source     string  `json:"source"`
	Rule       string  `json:"rule,omitempty"`
	Upstream   string  `json:"upstream,omitempty"`
	Server     string  `json:"server,omitempty"`
	Refusal    string  `json:"refusal,omitempty"`
	Duration   float64 `json:"duration_ms"`
	EDE        []ede   `json:"ede,omitempty"`
	Omitted    int64   `json:"omitted,omitempty"`
}

// ede is an extended error (RFC 8914).
type ede struct {
	Code uint16 `json:"code"`
	Text string `json:"text,omitempty"`
}

// The bounds of what others have a say in.
const (
	maxText   = 256 // octets of a text
	maxErrors = 4
)

// writer puts entries into words.
type writer struct {
	bytes.Buffer
	clients Clients
	encoder *json.Encoder
}

func newWriter(clients Clients) *writer {
	w := &writer{clients: clients}
	w.encoder = json.NewEncoder(&w.Buffer)
	w.encoder.SetEscapeHTML(false)
	return w
}

// gather makes one batch: the first entry, and what waits behind it as far as
// there is room for. It gives the number of lines.
func (w *writer) gather(first entry, queue <-chan entry) (lines int) {
	w.Reset()
	for next := first; ; {
		before := w.Len()
		// A line holds strings and numbers that are finite, so this cannot fail.
		_ = w.encoder.Encode(w.line(&next))
		lines++
		if w.Len()+(w.Len()-before) > batchBytes {
			return lines
		}
		select {
		case next = <-queue:
		default:
			return lines
		}
	}
}

func (w *writer) line(e *entry) line {
	q, a := &e.query, &e.answer
	out := line{
		Time:    e.began.UTC().Format("2006-01-02T15:04:05.000000Z07:00"),
		Network: a.Network, Transport: e.transport, Client: w.client(q.Client),
		Rcode: wire.RcodeName(a.Rcode), Source: a.Source.String(), Rule: a.Rule(), Upstream: a.Group, Server: a.Server,
		Duration: float64(e.took.Microseconds()) / 1000, Omitted: e.omitted,
	}
	if !q.Name.IsZero() {
		out.Name, out.Type = q.Name.String(), wire.TypeName(q.Type)
	}
	if q.Client.Listener.IsValid() {
		out.Listener = q.Client.Listener.String()
	}
	if shown := q.Client.Shown; shown != nil {
		out.show(shown)
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
func (out *line) show(shown *zones.Shown) {
	if !shown.ServerName.IsZero() {
		out.ServerName = shown.ServerName.String()
	}
	out.Path = legible(shown.Path)
	if shown.Linked {
		out.LinkID = &shown.Link
	}
}

// client is as much of a client as may be written.
func (w *writer) client(c zones.Client) string {
	prefix := c.Prefix()
	if !prefix.IsValid() || w.clients == Nobody {
		return ""
	}
	if w.clients == Subnet {
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
