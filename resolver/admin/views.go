package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"pldns/resolver"
)

// rows is how many rows of a table one page shows.
const rows = 50

// overviewRows is how many networks the overview shows.
const overviewRows = 10

// glance is how everything is.
type glance struct {
	Status    Status
	Networks  []Network
	Unhealthy int // endpoints
	Upstreams []Upstream
	Failing   int // upstream servers
	Leaks     int
	Live      bool
}

// overview shows how everything is at one glance.
func (s *Server) overview(w http.ResponseWriter, _ *http.Request) {
	data := glance{Status: s.options.Status(), Networks: s.networks(), Upstreams: s.options.Upstreams(), Live: s.options.Recent.On()}
	for _, network := range data.Networks {
		data.Unhealthy += network.Unhealthy
	}
	for _, upstream := range data.Upstreams {
		if !upstream.Healthy || upstream.Looping || len(upstream.LoopSuffixes) > 0 {
			data.Failing++
		}
	}
	for _, leaks := range s.options.Leaks() {
		data.Leaks += len(leaks.Unmapped)
	}
	slices.SortStableFunc(data.Networks, func(a, b Network) int { return b.Unhealthy - a.Unhealthy })
	data.Networks = data.Networks[:min(overviewRows, len(data.Networks))]
	s.show(w, http.StatusOK, page{Title: "Overview", Path: "/", Content: data.content})
}

// listing is what every view with a search and pages has.
type listing struct {
	window
	Search string
	Fault  string // what is wrong with the search
}

// listed reads the search and the page that are asked for. A fault is shown, and
// the first page with it.
func listed(values url.Values) listing {
	w, err := windowOf(values, rows, rows)
	l := listing{window: w, Search: strings.TrimSpace(values.Get("search"))}
	l.fault(err)
	return l
}

func (l *listing) fault(err error) {
	if err != nil {
		l.Fault = err.Error()
	}
}

// code is the status of the page.
func (l *listing) code() int {
	if l.Fault != "" {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// networkList is what the page of the networks shows.
type networkList struct {
	listing
	Networks []Network
}

func (s *Server) networksPage(w http.ResponseWriter, r *http.Request) {
	data := networkList{listing: listed(r.URL.Query())}
	wanted := strings.ToLower(data.Search)
	data.Networks = cut(&data.window, slices.DeleteFunc(s.networks(), func(n Network) bool {
		return !strings.Contains(strings.ToLower(n.Name), wanted)
	}))
	s.show(w, data.code(), page{Title: "Networks", Path: "/networks", Content: data.content})
}

// endpointList is what the page of the endpoints shows.
type endpointList struct {
	listing
	Network   string
	Health    string
	Networks  []Network // to choose from
	Endpoints []Endpoint
}

func (s *Server) endpointsPage(w http.ResponseWriter, r *http.Request) {
	data := endpointList{listing: listed(r.URL.Query()), Networks: s.options.Networks()}
	want, err := searchOf(r.URL.Query())
	data.fault(err)
	data.Network, data.Health = want.Network, want.Health
	part := s.endpointsFor(want, data.window)
	data.window, data.Endpoints = part.window, part.Endpoints
	s.show(w, data.code(), page{Title: "Endpoints", Path: "/endpoints", Content: data.content})
}

func (s *Server) upstreamsPage(w http.ResponseWriter, _ *http.Request) {
	list := s.options.Upstreams()
	s.show(w, http.StatusOK, page{Title: "Upstreams", Path: "/upstreams", Content: func(page) part { return upstreamsContent(list) }})
}

// unmappedRow and unaskedRow are rows of the two tables of the leak watch.
type (
	unmappedRow struct {
		Network string
		Unmapped
	}
	unaskedRow struct{ Network, Name string }
)

// leakList is what the page of the leaks shows.
type leakList struct {
	listing
	Never    bool // endpoints that nobody asks for, in place of names that are not mapped
	Unmapped []unmappedRow
	Unasked  []unaskedRow
}

func (s *Server) leaksPage(w http.ResponseWriter, r *http.Request) {
	data := leakList{listing: listed(r.URL.Query()), Never: r.URL.Query().Get("show") == "never-asked"}
	wanted := strings.ToLower(data.Search)
	finds := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(text), wanted) })
	}
	for _, network := range s.options.Leaks() {
		for _, u := range network.Unmapped {
			if finds(network.Network, u.Name, u.Asked) {
				data.Unmapped = append(data.Unmapped, unmappedRow{network.Network, u})
			}
		}
	}
	if data.Never {
		for network, name := range s.neverAsked {
			if finds(network, name) {
				data.Unasked = append(data.Unasked, unaskedRow{network, name})
			}
		}
		data.Unasked = cut(&data.window, data.Unasked)
	} else {
		data.Unmapped = cut(&data.window, data.Unmapped)
	}
	s.show(w, data.code(), page{Title: "Leaks", Path: "/leaks", Content: data.content})
}

// liveList is what the page of the recent decisions shows.
type liveList struct {
	listing
	On        bool
	Until     string
	Refresh   bool
	Decisions []Decision
}

// livePage shows the recent decisions. It refreshes itself only for those who ask
// for that: nothing moves under the hands of a reader.
func (s *Server) livePage(w http.ResponseWriter, r *http.Request) {
	data := liveList{listing: listed(r.URL.Query()), Refresh: r.URL.Query().Get("refresh") == "on"}
	until := s.options.Recent.Until()
	data.On, data.Until = !until.IsZero(), when(until)
	data.Decisions = cut(&data.window, s.recentFor(data.Search))
	p := page{Title: "Live", Path: "/live", Content: data.content}
	if data.On && data.Refresh {
		p.Refresh = 5
	}
	s.show(w, data.code(), p)
}

func (s *Server) operatePage(w http.ResponseWriter, _ *http.Request) {
	status := s.options.Status()
	s.show(w, http.StatusOK, page{Title: "Operate", Path: "/operate", Content: func(p page) part { return operateContent(p, status) }})
}

// explained is what the explain page shows.
type explained struct {
	question
	Types       []string
	Faults      []string
	Explanation *resolver.Explanation // nil before something is asked
	Chain       []link
}

// question is what is to be explained, as it was written.
type question struct {
	Name, Type, Client, Listener          string
	ServerName, Path, LinkID, Certificate string
}

// questionOf reads a question.
func questionOf(values url.Values) question {
	text := func(key string) string { return strings.TrimSpace(values.Get(key)) }
	return question{
		Name: text("name"), Type: text("type"), Client: text("client"), Listener: text("listener"),
		ServerName: text("server_name"), Path: text("path"), LinkID: text("link_id"), Certificate: text("certificate"),
	}
}

// values are the parameters of the question.
func (q question) values() url.Values {
	return url.Values{
		"name": {q.Name}, "type": {q.Type}, "client": {q.Client}, "listener": {q.Listener},
		"server_name": {q.ServerName}, "path": {q.Path}, "link_id": {q.LinkID}, "certificate": {q.Certificate},
	}
}

// Shows tells whether the client shows more than an address.
func (q question) Shows() bool { return q.ServerName+q.Path+q.LinkID+q.Certificate != "" }

// commonTypes are the types that the form suggests.
func commonTypes() []string {
	return []string{"A", "AAAA", "HTTPS", "CNAME", "TXT", "SRV", "MX", "PTR"}
}

// blank is a form that nobody has filled in.
func blank() explained { return explained{Types: commonTypes()} }

// fill enters a client of a network, and a door that tells it from others.
func (e *explained) fill(networks []Network, name string) {
	at := slices.IndexFunc(networks, func(n Network) bool { return n.Name == name })
	if at < 0 {
		return
	}
	n := networks[at]
	if client := n.Client(); client.IsValid() {
		e.Client = client.String()
	}
	switch { // any of its doors will do
	case len(n.Listeners) > 0 && !n.Listeners[0].Addr().IsUnspecified():
		e.Listener = n.Listeners[0].String()
	case len(n.LinkIDs) > 0:
		e.LinkID = strconv.FormatUint(uint64(n.LinkIDs[0]), 10)
	case len(n.ServerNames) > 0:
		e.ServerName = n.ServerNames[0]
	case len(n.DoHPaths) > 0:
		e.Path = n.DoHPaths[0]
	case len(n.Certificates) > 0:
		e.Certificate = n.Certificates[0]
	}
}

// link is a link of the chain of an answer: what the one before leads to, and by
// records of which type.
type link struct {
	Via   string // empty for the first
	Texts []string
	Bad   bool // the chain ends without what was asked for
}

func (s *Server) explainPage(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	data := explained{question: questionOf(values), Types: commonTypes()}
	code := http.StatusOK
	if network := values.Get("network"); network != "" { // the form, filled in for a client of this network
		data.fill(s.options.Networks(), network)
	} else if values.Has("name") {
		code = s.explainInto(&data, r)
	}
	s.show(w, code, page{Title: "Explain", Path: "/explain", Content: data.content})
}

// explainInto decides, and draws the way of the decision.
func (s *Server) explainInto(data *explained, r *http.Request) int {
	query, err := ParseQuestion(data.values())
	if err != nil {
		data.Faults = faultsOf(err)
		return http.StatusBadRequest
	}
	answer, trace := s.options.Explain(r.Context(), query)
	explanation := resolver.NewExplanation(query, answer, trace)
	data.Explanation, data.Chain = &explanation, chainOf(query, answer, explanation)
	return http.StatusOK
}

// faultsOf takes joined errors apart.
func faultsOf(err error) []string {
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return []string{err.Error()}
	}
	var faults []string
	for _, one := range several.Unwrap() {
		faults = append(faults, one.Error())
	}
	return faults
}

// chainOf draws the records of an answer as the chain that they are: from the
// asked name over every alias to the data, or to what is said in its place.
func chainOf(q resolver.Query, a resolver.Answer, e resolver.Explanation) []link {
	chain := []link{{Texts: []string{q.Name.String()}}}
	for _, rr := range a.Records {
		rrtype := rr.Header().Rrtype
		via, data := dns.Type(rrtype).String(), recordData(rr)
		last := &chain[len(chain)-1]
		switch {
		case rrtype == dns.TypeRRSIG:
		case rrtype != dns.TypeCNAME && last.Via == via:
			last.Texts = append(last.Texts, data)
		default:
			chain = append(chain, link{Via: via, Texts: []string{strings.TrimSuffix(data, ".")}})
		}
	}
	switch {
	case e.Yes():
	case e.Rcode == "NOERROR":
		chain = append(chain, link{Via: e.Type, Texts: []string{"no record of this type (NODATA)"}, Bad: true})
	default:
		chain = append(chain, link{Via: e.Type, Texts: []string{e.Rcode}, Bad: true})
	}
	return chain
}
