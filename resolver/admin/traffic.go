package admin

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"pldns/resolver/traffic"
)

// Traffic is what /api/traffic says: what was answered to one network, or in all.
type Traffic struct {
	Network string    `json:"network,omitempty"` // absent: in all
	Span    string    `json:"span"`
	Step    float64   `json:"step_seconds"`
	Until   time.Time `json:"until"` // the end of the last step that is over
	// Total is what all steps come to, and Points are the steps with an answer, the oldest
	// first. The one that goes on is the last.
	Total  TrafficPoint   `json:"total"`
	Points []TrafficPoint `json:"points"`
	// Networks are all networks, by the queries of the last minute; only in all.
	Networks []NetworkTraffic `json:"networks,omitempty"`
}

// TrafficPoint is what was answered in a time. Queries without an answer are not counted.
type TrafficPoint struct {
	At      time.Time `json:"at"`
	Length  float64   `json:"seconds"`
	Queries uint64    `json:"queries"`
	// Rcodes, Sources and Transports are the queries by each; what is absent is 0.
	Rcodes     map[string]uint64 `json:"rcodes"`
	Sources    map[string]uint64 `json:"sources"`
	Transports map[string]uint64 `json:"transports"`
	// P50, P90 and P99 are seconds that so many hundredths of the answers took at most; of
	// several steps, those of the slowest.
	P50 float64 `json:"p50_seconds"`
	P90 float64 `json:"p90_seconds"`
	P99 float64 `json:"p99_seconds"`
}

// NetworkTraffic is a network and its queries of the last minute.
type NetworkTraffic struct {
	Network string  `json:"network"` // empty: clients of no network
	Queries uint64  `json:"queries"`
	Rate    float64 `json:"rate"` // queries a second
}

// Top is what /api/top says of one network.
type Top struct {
	Network string     `json:"network"`
	Kind    string     `json:"kind"`
	Since   time.Time  `json:"since"`
	Sample  uint32     `json:"sample"` // queries that one that is looked at stands for; 0: none is
	Entries []TopEntry `json:"entries"`
}

// TopEntry is a name or client that is asked for or asks most.
type TopEntry struct {
	Name string `json:"name"`
	// ClientName is what a client is called; absent where that is not known.
	ClientName string `json:"client_name,omitempty"`
	// Count is how often at most, of slow names for how many milliseconds, and Least how
	// often at the least.
	Count uint64 `json:"count"`
	Least uint64 `json:"least"`
}

// Waited are the seconds of an entry of slow names.
func (e TopEntry) Waited() float64 { return float64(e.Count) / 1000 }

// topEntries is how many entries of a list are shown.
const topEntries = 20

// point puts a point into words.
func point(p traffic.Point) TrafficPoint {
	shown := TrafficPoint{
		At: p.At.UTC(), Length: p.Length.Seconds(), Queries: p.Total(),
		P50: p.P50.Seconds(), P90: p.P90.Seconds(), P99: p.P99.Seconds(),
	}
	groups := []*map[string]uint64{&shown.Rcodes, &shown.Sources, &shown.Transports}
	for i, group := range traffic.Groups() {
		*groups[i] = make(map[string]uint64)
		for _, column := range group.Columns {
			if n := p.Counts[column]; n > 0 {
				(*groups[i])[column.String()] = n
			}
		}
	}
	return shown
}

// spanOf reads which span is asked for; what is not known is false.
func spanOf(values url.Values) (traffic.Span, bool) {
	if !values.Has("span") {
		return traffic.ParseSpan("hour")
	}
	return traffic.ParseSpan(values.Get("span"))
}

// listTraffic answers /api/traffic[?network=NAME][&span=SPAN] with a [Traffic], or 400 or
// 404 and {"error": ...}.
func (s *Server) listTraffic(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	span, known := spanOf(values)
	if !known {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "span: write minute, hour, day or 90days"})
		return
	}
	s.options.Traffic.Look()
	history, name := s.options.Traffic.All(span), values.Get("network")
	if values.Has("network") {
		if !s.hasTraffic(w, name) {
			return
		}
		history = s.options.Traffic.Of(name, span)
	}
	shown := Traffic{
		Network: name, Span: span.Name, Step: span.Step.Seconds(), Until: history.Until.UTC(),
		Total: point(history.Sum()), Points: make([]TrafficPoint, 0, len(history.Points)),
	}
	for _, p := range history.Points {
		shown.Points = append(shown.Points, point(p))
	}
	if !values.Has("network") {
		for _, busy := range s.options.Traffic.Networks() {
			shown.Networks = append(shown.Networks, NetworkTraffic{busy.Network, busy.Total(), busy.Rate()})
		}
	}
	writeJSON(w, http.StatusOK, shown)
}

// hasTraffic tells whether something is known of a network, and else says so.
func (s *Server) hasTraffic(w http.ResponseWriter, name string) bool {
	known := slices.Contains(s.options.Traffic.Names(), name)
	if !known {
		writeJSON(w, http.StatusNotFound, map[string]string{"error": "network: there is none of this name"})
	}
	return known
}

// listTop answers /api/top?network=NAME&kind=KIND with a [Top], or 400 or 404 and
// {"error": ...}.
func (s *Server) listTop(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	name := values.Get("network")
	kind, known := traffic.ParseKind(values.Get("kind"))
	if !values.Has("network") {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "network: name one, or nothing for clients of none"})
		return
	}
	if !known {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "kind: write names, clients, nxdomain or slow"})
		return
	}
	if s.hasTraffic(w, name) {
		writeJSON(w, http.StatusOK, s.top(name, kind))
	}
}

// top is a list of a network.
func (s *Server) top(name string, kind traffic.Kind) Top {
	entries, since := s.options.Traffic.Top(name, kind, topEntries)
	shown := Top{
		Network: name, Kind: kind.String(), Since: since.UTC(), Sample: s.options.Traffic.Wants().Remembered,
		Entries: make([]TopEntry, 0, len(entries)),
	}
	for _, e := range entries {
		entry := TopEntry{Name: e.Name, Count: e.Count, Least: e.Least}
		if addr, err := netip.ParseAddr(e.Name); kind == traffic.TopClients && err == nil {
			entry.ClientName = s.options.Called(name, addr)
		}
		shown.Entries = append(shown.Entries, entry)
	}
	return shown
}

// charted is a history in charts.
type charted struct {
	Path   string // of the page, for links to other spans
	Span   spanLink
	Spans  []spanLink
	Total  traffic.Point
	Charts []chart
}

// spanLink is a span and what it is called.
type spanLink struct{ Name, Title string }

// spanLinks are those of all spans.
func spanLinks() []spanLink {
	return []spanLink{{"minute", "Last minute"}, {"hour", "Last hour"}, {"day", "Last day"}, {"90days", "Last 90 days"}}
}

// charts draws a history.
func charts(path string, history traffic.History) charted {
	c := charted{Path: path, Spans: spanLinks(), Total: history.Sum()}
	c.Span = c.Spans[slices.IndexFunc(c.Spans, func(l spanLink) bool { return l.Name == history.Span.Name })]
	c.Charts = chartsOf(history)
	return c
}

// trafficPage is what the page of the traffic shows.
type trafficPage struct {
	listing
	Traffic  charted
	Networks []busyRow
}

// busyRow is a network of the page.
type busyRow struct {
	Title, Path                 string // Path is empty for clients of no network
	NXDomain, ServFail, Refused uint64
	traffic.Point
}

func (s *Server) trafficPage(r *http.Request) page {
	data := trafficPage{listing: listed(r.URL.Query())}
	span, known := spanOf(r.URL.Query())
	if !known {
		data.Fault = "span: write minute, hour, day or 90days"
		span, _ = traffic.ParseSpan("hour")
	}
	s.options.Traffic.Look()
	data.Traffic = charts("/traffic", s.options.Traffic.All(span))
	wanted := strings.ToLower(data.Search)
	var found []busyRow
	for _, busy := range s.options.Traffic.Networks() {
		row := busyRow{
			Title: busy.Network, Path: networkPath(busy.Network), Point: busy.Point, NXDomain: busy.Counts[traffic.NXDomain],
			ServFail: busy.Counts[traffic.ServFail], Refused: busy.Counts[traffic.Refused],
		}
		if busy.Network == "" {
			row.Title, row.Path = "clients of no network", ""
			if busy.Total() == 0 {
				continue
			}
		}
		if strings.Contains(strings.ToLower(row.Title), wanted) {
			found = append(found, row)
		}
	}
	data.Networks = cut(&data.window, found)
	return page{Data: data, Code: data.code()}
}

// networkPath is where the page of a network is.
func networkPath(name string) string { return "/networks/" + url.PathEscape(name) }
