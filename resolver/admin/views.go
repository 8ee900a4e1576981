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
	"pldns/resolver/forward/share"
	"pldns/resolver/traffic"
)

// rows is how many rows of a table one page shows.
const rows = 50

// overviewRows is how many networks the overview shows.
const overviewRows = 10

// overview is what the first page shows: how everything is at one glance.
type overview struct {
	State        State
	Status       Status
	FailedReload *Reload // nil where the last one was served
	Networks     []Network
	Unhealthy    int // endpoints
	Upstreams    []Upstream
	Failing      int           // upstream servers
	Unmapped     int           // names
	Certificates []Certificate // that end first
	Live         bool
	Form         explained
	Traffic      []chart // of the last hour
	Busy         traffic.Point
}

func (s *Server) overview(*http.Request) page {
	data := overview{
		Status: s.options.Status(), Networks: s.networks(), Upstreams: s.options.Upstreams(), Live: s.options.Recent.On(),
		Form: explained{Types: commonTypes()},
	}
	data.State, data.Certificates = s.stateNow(), endingFirst(data.Status.Certificates)
	s.options.Traffic.Look()
	hour, _ := traffic.ParseSpan("hour")
	minute, _ := traffic.ParseSpan("minute")
	data.Traffic, data.Busy = chartsOf(s.options.Traffic.All(hour))[:2], s.options.Traffic.All(minute).Sum()
	if last := data.Status.LastReload; last != nil && !last.OK {
		data.FailedReload = last
	}
	for _, network := range data.Networks {
		data.Unhealthy += network.Unhealthy
	}
	for _, upstream := range data.Upstreams {
		if upstream.Fault() != "" {
			data.Failing++
		}
	}
	for _, network := range s.options.Unmapped() {
		data.Unmapped += len(network.Unmapped)
	}
	slices.SortStableFunc(data.Networks, func(a, b Network) int { return b.Unhealthy - a.Unhealthy })
	data.Networks = data.Networks[:min(overviewRows, len(data.Networks))]
	return page{Data: data}
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

func (s *Server) networksPage(r *http.Request) page {
	data := networkList{listing: listed(r.URL.Query())}
	wanted := strings.ToLower(data.Search)
	data.Networks = cut(&data.window, slices.DeleteFunc(s.networks(), func(n Network) bool {
		return !strings.Contains(strings.ToLower(n.Name), wanted)
	}))
	return page{Data: data, Code: data.code()}
}

// choices is how many networks a form suggests.
const choices = 200

// endpointList is what the page of the endpoints shows.
type endpointList struct {
	listing
	Network   string
	Networks  []Network // to choose from, the first ones
	Health    string
	Healths   []string // to choose from
	Endpoints []Endpoint
}

func (s *Server) endpointsPage(r *http.Request) page {
	data := endpointList{
		listing: listed(r.URL.Query()), Networks: first(choices, s.options.Networks()).([]Network),
		Healths: []string{healthy, unhealthy, unprobed},
	}
	want, err := searchOf(r.URL.Query())
	data.fault(err)
	data.Network, data.Health = want.Network, want.Health
	part := s.endpointsFor(want, data.window)
	data.window, data.Endpoints = part.window, part.Endpoints
	return page{Data: data, Code: data.code()}
}

// upstreamList is what the page of the upstreams shows.
type upstreamList struct {
	Upstreams []Upstream
	Limited   []limitedShare
}

// limitedShare is somebody who has so much under way at a group that questions of
// theirs make room.
type limitedShare struct {
	Group string
	share.Usage
}

func (s *Server) upstreamsPage(*http.Request) page {
	data := upstreamList{Upstreams: s.options.Upstreams()}
	last := ""
	for _, upstream := range data.Upstreams {
		if upstream.Group == last {
			continue // the servers of a group stand together, each with the load of the group
		}
		last = upstream.Group
		for _, limited := range upstream.Load.Limited {
			data.Limited = append(data.Limited, limitedShare{upstream.Group, limited})
		}
	}
	return page{Data: data}
}

// operation is what the page with the forms for operators shows.
type operation struct {
	Status Status
	Change change
}

// change is whether something can be changed, because there is a token, and whether the
// browser has been told that.
type change struct{ May, SignedIn bool }

func (s *Server) change(r *http.Request) change { return change{s.access().Token != "", s.signedIn(r)} }

func (s *Server) operatePage(r *http.Request) page {
	return page{Data: operation{s.options.Status(), s.change(r)}}
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

// fill enters a client of a network, and one thing that tells it from others.
func (e *explained) fill(networks []Network, name string) {
	at := slices.IndexFunc(networks, func(n Network) bool { return n.Name == name })
	if at < 0 {
		return
	}
	n := networks[at]
	if client := n.Client(); client.IsValid() {
		e.Client = client.String()
	}
	switch { // any of them will do
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

func (s *Server) explainPage(r *http.Request) page {
	values := r.URL.Query()
	data := explained{question: questionOf(values), Types: commonTypes()}
	code := http.StatusOK
	if network := values.Get("network"); network != "" { // the form, filled in for a client of this network
		data.fill(s.options.Networks(), network)
	} else if values.Has("name") {
		code = s.explainInto(&data, r)
	}
	return page{Data: data, Code: code}
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
	case e.Answered():
	case e.Rcode == "NOERROR":
		chain = append(chain, link{Via: e.Type, Texts: []string{"no record of this type (NODATA)"}, Bad: true})
	default:
		chain = append(chain, link{Via: e.Type, Texts: []string{e.Rcode}, Bad: true})
	}
	return chain
}
