package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/observe"
	"pldns/resolver/wire"
	"pldns/zones"
)

// Decision is one answer to one client, as the live list shows it.
type Decision struct {
	At     time.Time `json:"at"`
	Client string    `json:"client"`
	// ClientName is what the client is called; absent where that is not known.
	ClientName string `json:"client_name,omitempty"`
	Listener   string `json:"listener,omitempty"`
	// Transport is udp, tcp, tls, https, doq or h3.
	Transport string `json:"transport,omitempty"`
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

// decision puts a decision into words.
func (s *Server) decision(d observe.Decision) Decision {
	client := d.Query.Client
	shown := Decision{
		At: d.At.UTC(), Client: client.Addr.String(), ClientName: s.options.Called(d.Answer.Network, client.Addr),
		Transport: string(d.Over), Showing: resolver.NewShowing(client), Network: d.Answer.Network,
		Name: d.Query.Name.String(), Type: wire.TypeName(d.Query.Type), Rcode: wire.RcodeName(d.Answer.Rcode),
		Source: d.Answer.Source.String(), Upstream: d.Answer.Group, Took: d.Took.Seconds(),
	}
	if client.Listener.IsValid() {
		shown.Listener = client.Listener.String()
	}
	for _, rr := range d.Records {
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
		strings.HasPrefix(d.Client, search) || strings.Contains(strings.ToLower(d.ClientName), search) ||
		strings.ToLower(d.Rcode) == search || d.Source == search
}

// recordData is the data of a record in presentation format.
func recordData(rr dns.RR) string {
	return strings.TrimPrefix(rr.String(), rr.Header().String())
}

// recent answers /api/recent[?search=TEXT] and the filters of /api/live with the live list,
// or 400 and {"error": ...}.
func (s *Server) recent(w http.ResponseWriter, r *http.Request) {
	filter, err := observe.ParseFilter(r.URL.Query())
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, s.recentFor(filter, r.FormValue("search")))
}

// recentFor are the decisions that a filter and a search find, the newest first.
func (s *Server) recentFor(filter observe.Filter, search string) []Decision {
	found := make([]Decision, 0)
	for _, each := range s.options.Recent.List() {
		if !filter.Match(each.Exchange()) {
			continue
		}
		if d := s.decision(each); d.matches(strings.TrimSpace(search)) {
			found = append(found, d)
		}
	}
	return found
}
