package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/observe"
	"pldns/resolver/wire"
)

// LiveQuery is one query and what became of it, as /api/live tells it. Its keys are those
// of the query log.
type LiveQuery struct {
	Time      time.Time `json:"time"`              // when it was read
	Network   string    `json:"network,omitempty"` // absent: the client belongs to none
	Transport string    `json:"transport"`
	Listener  string    `json:"listener,omitempty"`
	Client    string    `json:"client,omitempty"`
	// ClientName is what the client is called; absent where that is not known.
	ClientName string `json:"client_name,omitempty"`
	resolver.Showing
	Name   string `json:"name,omitempty"` // absent: none could be read
	Type   string `json:"type,omitempty"`
	Rcode  string `json:"rcode"`
	Source string `json:"source"`
	// Remembered says that the reply was given again from the reply cache: upstream and
	// server are not known then.
	Remembered bool `json:"remembered,omitempty"`
	// Policy is what a response policy has said.
	Policy       string `json:"policy,omitempty"`
	PolicyEntry  string `json:"policy_entry,omitempty"`
	PolicyAction string `json:"policy_action,omitempty"`

	Upstream  string       `json:"upstream,omitempty"`
	Server    string       `json:"server,omitempty"`
	Refusal   string       `json:"refusal,omitempty"`   // why it was refused undecided
	Addresses []netip.Addr `json:"addresses,omitempty"` // of its A and AAAA records, the first eight
	Answer    []string     `json:"answer,omitempty"`    // the data of the last records
	Duration  float64      `json:"duration_ms"`
	EDE       []LiveEDE    `json:"ede,omitempty"`
	Release   string       `json:"release,omitempty"` // of the fleet's store, that was served
}

// LiveEDE is an extended error (RFC 8914).
type LiveEDE struct {
	Code uint16 `json:"code"`
	Text string `json:"text,omitempty"`
}

const (
	liveAddresses = 8
	liveRecords   = 4
)

// liveQuery puts a query into words.
func liveQuery(s *observe.Seen, called func(string, netip.Addr) string) LiveQuery {
	client := s.Query.Client
	q := LiveQuery{
		Time: s.Began.UTC(), Network: s.Answer.Network, Transport: s.Transport, Showing: resolver.NewShowing(client),
		Rcode: wire.RcodeName(s.Answer.Rcode), Source: s.Answer.Source.String(), Remembered: s.Remembered,
		Upstream: s.Answer.Group, Server: s.Answer.Server, Duration: float64(s.Took.Microseconds()) / 1000, Release: s.Release,
	}
	if client.Addr.IsValid() {
		q.Client, q.ClientName = client.Addr.String(), called(s.Answer.Network, client.Addr)
	}
	if client.Listener.IsValid() {
		q.Listener = client.Listener.String()
	}
	if !s.Name.IsZero() {
		q.Name, q.Type = s.Name.String(), wire.TypeName(s.Query.Type)
	}
	if v := s.Answer.Verdict; v.Policy != "" {
		q.Policy, q.PolicyEntry, q.PolicyAction = v.Policy, v.Entry, v.Action.String()
	}
	if s.Why != listen.Accepted {
		q.Refusal = s.Why.String()
	}
	for _, e := range s.Answer.Errors {
		q.EDE = append(q.EDE, LiveEDE(e))
	}
	q.read(s.Reply)
	return q
}

// read adds what a reply says.
func (q *LiveQuery) read(reply []byte) {
	var m dns.Msg
	if m.Unpack(reply) != nil {
		return // it is one of ours, but for one that was cut
	}
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			q.address(rr.A)
		case *dns.AAAA:
			q.address(rr.AAAA)
		}
	}
	for _, rr := range m.Answer[max(0, len(m.Answer)-liveRecords):] {
		q.Answer = append(q.Answer, recordData(rr))
	}
	opt := m.IsEdns0()
	if opt == nil || len(q.EDE) > 0 {
		return
	}
	for _, option := range opt.Option {
		if e, is := option.(*dns.EDNS0_EDE); is {
			q.EDE = append(q.EDE, LiveEDE{e.InfoCode, e.ExtraText})
		}
	}
}

func (q *LiveQuery) address(ip []byte) {
	if addr, ok := netip.AddrFromSlice(ip); ok && len(q.Addresses) < liveAddresses {
		q.Addresses = append(q.Addresses, addr.Unmap())
	}
}

const (
	// maxStreams is how many streams are open at one time, half of them to one address.
	maxStreams = 16
	// atOnce is how many queries are written together, and livePause the time between two
	// writings: what a reader costs is bounded, however much is asked.
	atOnce    = 100
	livePause = 100 * time.Millisecond
	// alivePause is how long nothing is written at most, so that a connection which has
	// gone is noticed.
	alivePause = 15 * time.Second
	// livePatience is how long a reader may take to take what is written.
	livePatience = 10 * time.Second
)

// streams are those that are open.
type streams struct {
	mu   sync.Mutex
	open map[netip.Addr]int
	all  int
}

// enter tells whether there is room for one more, and takes it.
func (s *streams) enter(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.open[from] >= maxStreams/2 {
		return false
	}
	if s.open == nil {
		s.open = make(map[netip.Addr]int)
	}
	s.all++
	s.open[from]++
	return true
}

func (s *streams) leave(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.open[from]--; s.open[from] == 0 {
		delete(s.open, from)
	}
}

// follow answers /api/live[?network=NAME][&client=PREFIX][&name=PATTERN][&outcome=WORD]
// with a stream of server-sent events, or 400, 401, 403, 409 or 503 and {"error": ...}.
func (s *Server) follow(w http.ResponseWriter, r *http.Request) {
	filter, err := observe.ParseFilter(r.URL.Query())
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	may, code, err := s.mayFollow(r)
	if err != nil {
		writeJSON(w, code, map[string]string{"error": err.Error()})
		return
	}
	var from netip.Addr
	if addr, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		from = addr.Addr().Unmap()
	}
	if !s.streams.enter(from) {
		w.Header().Set("Retry-After", "10")
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": fmt.Sprintf(
			"too many streams are open: %d at once, %d of them to one address: end another one", maxStreams, maxStreams/2)})
		return
	}
	defer s.streams.leave(from)
	reader := s.options.Live.Follow(filter)
	defer reader.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	out := &stream{control: http.NewResponseController(w), to: w, called: s.options.Called}
	// The server's bounds are those of a short answer. A connection that cannot have others
	// has no reader who could be kept waiting.
	_ = out.control.SetReadDeadline(time.Time{})
	begin := struct {
		Instance string    `json:"instance,omitempty"`
		Version  string    `json:"version,omitempty"`
		Until    time.Time `json:"until,omitzero"`
	}{s.options.Instance.Name, s.options.Instance.Version, may.until(s)}
	out.buffer.WriteString("retry: 3000\n\n")
	out.event("begin", begin)
	if out.flush() == nil {
		s.stream(r.Context(), out, reader, may)
	}
}

// stream writes what a reader sees, until it goes or may not see it any more.
func (s *Server) stream(ctx context.Context, out *stream, reader *observe.Reader, may following) {
	look, alive := time.NewTicker(time.Second), time.NewTicker(alivePause)
	defer look.Stop()
	defer alive.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	ready, lost := false, int64(0)
	for {
		seen := reader.Seen()
		if !ready {
			seen = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-s.stopping:
			out.end("the program ends")
			return
		case <-pause.C:
			ready = true
			continue
		case <-look.C:
			if reason := may.ends(s); reason != "" {
				out.end(reason)
				return
			}
			if lost += reader.Lost(); lost == 0 {
				continue
			}
			out.event("lost", map[string]int64{"lost": lost})
			lost = 0
		case <-alive.C:
			out.buffer.WriteString(": alive\n\n")
		case one := <-seen:
			out.queries(one, reader.Seen())
			ready = false
			pause.Reset(livePause)
		}
		if out.flush() != nil {
			return
		}
	}
}

// stream is a stream of server-sent events.
type stream struct {
	to      http.ResponseWriter
	control *http.ResponseController
	buffer  bytes.Buffer
	called  func(network string, client netip.Addr) string
}

// event adds an event; one without a name is a query.
func (out *stream) event(name string, data any) {
	if name != "" {
		out.buffer.WriteString("event: " + name + "\n")
	}
	out.buffer.WriteString("data: ")
	// What is written are strings and numbers that are finite; JSON has no line breaks.
	_ = json.NewEncoder(&out.buffer).Encode(data)
	out.buffer.WriteString("\n")
}

// queries adds a query and those that wait behind it, as many as are written at once.
func (out *stream) queries(one *observe.Seen, behind <-chan *observe.Seen) {
	out.event("", liveQuery(one, out.called))
	for range atOnce - 1 {
		select {
		case next := <-behind:
			out.event("", liveQuery(next, out.called))
		default:
			return
		}
	}
}

// end says why the stream ends.
func (out *stream) end(reason string) {
	out.event("end", map[string]string{"reason": reason})
	_ = out.flush() // it ends either way
}

// flush sends what was added. The error says that nobody takes it.
func (out *stream) flush() error {
	defer out.buffer.Reset()
	err := out.control.SetWriteDeadline(time.Now().Add(livePatience))
	if errors.Is(err, http.ErrNotSupported) {
		err = nil
	}
	if err == nil {
		_, err = out.to.Write(out.buffer.Bytes())
	}
	return cmp.Or(err, out.control.Flush())
}

// following is why somebody may read a stream: who knows the token always may, and
// everybody while the live list is on.
type following struct {
	token string // that was known; empty for none
}

// mayFollow tells whether somebody may read a stream, or else says why not.
func (s *Server) mayFollow(r *http.Request) (following, int, error) {
	want := s.access().Token
	switch {
	case r.Header.Get("Sec-Fetch-Site") == "cross-site":
		return following{}, http.StatusForbidden, errors.New("this is not for the pages of others")
	case want != "" && s.knowsToken(r, want):
		return following{want}, http.StatusOK, nil
	case r.Header.Get("Authorization") != "":
		return following{}, http.StatusUnauthorized, errors.New(wrongToken)
	case s.options.Recent.On():
		return following{}, http.StatusOK, nil
	case want == "":
		return following{}, http.StatusConflict, errors.New("nobody may see single queries here, because there is no token: name a file " +
			"that holds one in listen.admin_token_file")
	default:
		return following{}, http.StatusConflict, errors.New(`the live list is off: send the token as "Authorization: Bearer TOKEN", or ` +
			`switch the list on (POST /-/live with on=true)`)
	}
}

// until is when the stream ends by itself; zero for never.
func (f following) until(s *Server) time.Time {
	if f.token != "" {
		return time.Time{}
	}
	return s.options.Recent.Until().UTC().Truncate(time.Second)
}

// ends says why the stream has to end now; empty if it may go on.
func (f following) ends(s *Server) string {
	switch {
	case s.options.Recent.On(), f.token != "" && sameToken(f.token, s.access().Token):
		return ""
	case f.token != "":
		return "there is another token now"
	default:
		return "the live list was switched off"
	}
}
