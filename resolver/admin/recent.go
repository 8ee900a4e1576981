package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
	"pldns/zones"
)

const (
	// maxRecent is how many decisions are remembered.
	maxRecent = 500
	// recentFor is how long they are watched after somebody has asked for it.
	recentFor = 10 * time.Minute
	// maxRecentRecords is how many records of an answer are remembered, the last
	// ones: they tell what the client got.
	maxRecentRecords = 4
)

// Recent remembers the last decisions, for the live list. It is off until
// [Recent.Switch] turns it on, and off again after ten minutes, because it shows
// who asks for what; what was remembered is forgotten then. Its methods may be
// called by many goroutines at once.
type Recent struct {
	began func() // called when watching begins; may be nil
	now   func() time.Time
	start time.Time
	until atomic.Int64 // nanoseconds after start, whatever the wall clock says; 0 when off

	mu   sync.Mutex
	ring []decided // of the last maxRecent decisions
	next int       // where the next one goes
}

// decided is one decision as it is remembered: cheaply, because there may be
// many, and put into words only for those who look.
type decided struct {
	at      time.Time
	took    time.Duration
	query   resolver.Query
	answer  resolver.Answer // only what is shown
	records []dns.RR
}

// NewRecent makes a list that is off. Whenever it is turned on, began is called,
// unless it is nil; now is the clock, nil for the real one.
func NewRecent(began func(), now func() time.Time) *Recent {
	if now == nil {
		now = time.Now
	}
	return &Recent{began: began, now: now, start: now()}
}

// On tells whether decisions are remembered now.
func (r *Recent) On() bool { return !r.Until().IsZero() }

// Until is when remembering ends; zero when it is off.
func (r *Recent) Until() time.Time {
	until := r.until.Load()
	if until == 0 {
		return time.Time{}
	}
	now := r.now()
	if left := time.Duration(until) - now.Sub(r.start); left > 0 {
		return now.Add(left)
	}
	r.expire(until)
	return time.Time{}
}

// expire forgets everything, unless somebody has turned the list on anew.
func (r *Recent) expire(until int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until.CompareAndSwap(until, 0) {
		r.ring, r.next = nil, 0
	}
}

// Switch turns the list on for ten minutes, or off.
func (r *Recent) Switch(on bool) {
	r.mu.Lock()
	if on {
		r.until.Store(int64(r.now().Sub(r.start) + recentFor))
	} else {
		r.until.Store(0)
		r.ring, r.next = nil, 0
	}
	r.mu.Unlock()
	if on && r.began != nil {
		r.began()
	}
}

// Observe remembers a decision, if the list is on.
func (r *Recent) Observe(q resolver.Query, a resolver.Answer, took time.Duration) {
	if !r.On() {
		return
	}
	records := a.Unpacked().Records
	d := decided{
		at: r.now(), took: took, query: q, records: records[max(0, len(records)-maxRecentRecords):],
		answer: resolver.Answer{Rcode: a.Rcode, Network: a.Network, Source: a.Source, Group: a.Group, Hops: a.Hops},
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until.Load() == 0 {
		return // turned off meanwhile
	}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, d)
		return
	}
	r.ring[r.next] = d
	r.next = (r.next + 1) % maxRecent
}

// Decision is one answer to one client, as the live list shows it.
type Decision struct {
	At       time.Time `json:"at"`
	Client   string    `json:"client"`
	Listener string    `json:"listener,omitempty"`
	resolver.Showing
	Network  string   `json:"network,omitempty"` // absent: the client belongs to none
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Rcode    string   `json:"rcode"`
	Source   string   `json:"source"`
	Upstream string   `json:"upstream,omitempty"`
	Answer   []string `json:"answer,omitempty"` // the data of the last records
	Took     float64  `json:"took_seconds"`
}

// List gives what is remembered, the newest first.
func (r *Recent) List() []Decision {
	list := make([]Decision, 0)
	if !r.On() {
		return list
	}
	r.mu.Lock()
	kept := slices.Concat(r.ring[r.next:], r.ring[:r.next])
	r.mu.Unlock()
	for _, d := range slices.Backward(kept) {
		list = append(list, d.decision())
	}
	return list
}

func (d decided) decision() Decision {
	shown := Decision{
		At: d.at.UTC(), Client: d.query.Client.Addr.String(), Showing: resolver.NewShowing(d.query.Client), Network: d.answer.Network,
		Name: d.query.Name.String(), Type: wire.TypeName(d.query.Type), Rcode: wire.RcodeName(d.answer.Rcode),
		Source: d.answer.Source.String(), Upstream: d.answer.Group, Took: d.took.Seconds(),
	}
	if d.query.Client.Listener.IsValid() {
		shown.Listener = d.query.Client.Listener.String()
	}
	for _, rr := range d.records {
		shown.Answer = append(shown.Answer, recordData(rr))
	}
	return shown
}

// Explain is where the decision is explained: a question by the same client that
// arrives where this one did and shows the same.
func (d Decision) Explain() string {
	values := url.Values{"name": {d.Name}, "type": {d.Type}, "client": {d.Client}}
	link := ""
	if d.LinkID != nil {
		link = strconv.FormatUint(uint64(*d.LinkID), 10)
	}
	for key, text := range map[string]string{
		"listener": d.Listener, "server_name": d.ServerName, "certificate": strings.Join(d.Certificates,
			","), "path": d.Path, "link_id": link,
	} {
		if text != "" {
			values.Set(key, text)
		}
	}
	return "/explain?" + values.Encode()
}

// Shown is what the client showed besides its address, in short.
func (d Decision) Shown() string {
	var shown []string
	if d.LinkID != nil {
		shown = append(shown, "link id "+strconv.FormatUint(uint64(*d.LinkID), 10))
	}
	for _, name := range d.Certificates {
		shown = append(shown, "certificate "+name)
	}
	if d.Path != "" {
		shown = append(shown, "path "+zones.DoHPath+"/"+d.Path)
	}
	if d.ServerName != "" {
		shown = append(shown, "server name "+d.ServerName)
	}
	return strings.Join(shown, ", ")
}

// matches tells whether a search finds the decision.
func (d Decision) matches(search string) bool {
	search = strings.ToLower(search)
	return search == "" || strings.Contains(d.Name, search) || strings.Contains(strings.ToLower(d.Network), search) ||
		strings.HasPrefix(d.Client, search) || strings.ToLower(d.Rcode) == search || d.Source == search
}

// recordData is the data of a record in presentation format.
func recordData(rr dns.RR) string {
	return strings.TrimPrefix(rr.String(), rr.Header().String())
}

// recent answers /api/recent[?search=TEXT] with the live list.
func (s *Server) recent(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, s.recentFor(r.FormValue("search")))
}

func (s *Server) recentFor(search string) []Decision {
	return slices.DeleteFunc(s.options.Recent.List(), func(d Decision) bool { return !d.matches(strings.TrimSpace(search)) })
}
