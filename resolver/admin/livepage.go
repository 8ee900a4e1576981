package admin

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"pldns/resolver"
	"pldns/resolver/observe"
)

// livePage is what the page of single queries shows.
type livePage struct {
	listing
	On     bool // the list is on, and everybody sees it
	Until  time.Time
	Change change
	// These are the filters, as they were written.
	Network, Client, Name, Outcome, Transport string

	Outcomes   []observe.Outcome    // to choose from
	Transports []resolver.Transport // to choose from
	Networks   []Network            // to choose from, the first ones
	Stream     string               // where single queries come from; empty where they do not
	Decisions  []Decision
}

// liveFilters are the parameters of the page that the stream has, too. A field of the form
// that is left empty is none.
func liveFilters(values url.Values) url.Values {
	filters := make(url.Values)
	for _, key := range observe.FilterKeys() {
		for _, text := range values[key] {
			if text = strings.TrimSpace(text); text != "" {
				filters.Add(key, text)
			}
		}
	}
	return filters
}

// livePage shows the recent decisions, and where a stream of further ones is.
func (s *Server) livePage(r *http.Request) page {
	values := r.URL.Query()
	filters := liveFilters(values)
	data := livePage{
		listing: listed(values), Until: s.options.Recent.Until(), Change: s.change(r), Outcomes: observe.Outcomes(),
		Network: filters.Get("network"), Client: filters.Get("client"), Name: filters.Get("name"), Outcome: filters.Get("outcome"),
		Transport: filters.Get("transport"), Transports: resolver.Transports(),
		Networks: first(choices, s.options.Networks()).([]Network),
	}
	data.On = !data.Until.IsZero()
	filter, err := observe.ParseFilter(filters)
	data.fault(err)
	if data.Fault == "" {
		data.Decisions = s.recentFor(filter, data.Search)
		if data.On || data.Change.SignedIn {
			data.Stream = "/api/live?" + filters.Encode()
		}
	}
	data.Decisions = cut(&data.window, data.Decisions)
	return page{Data: data, Code: data.code()}
}
