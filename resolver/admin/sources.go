package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Source is where mappings come from, as /api/sources shows it.
type Source struct {
	Name  string    `json:"name"`            // "file", "hosts", "store" or "azure." and a name
	Taken time.Time `json:"taken,omitzero"`  // when what it gives was complete; absent where it never was
	Age   float64   `json:"age"`             // seconds since then
	Tried time.Time `json:"tried,omitzero"`  // when it was asked last
	Every float64   `json:"every,omitempty"` // seconds from one time to the next
	Error string    `json:"error,omitempty"` // why there is nothing newer
	// Calls are those that were made since the start, Throttled those of them that were
	// turned away.
	Calls     int64 `json:"calls,omitempty"`
	Throttled int64 `json:"throttled,omitempty"`
	Serving   int   `json:"serving"` // mappings, in all networks
	// By is the instance of the fleet that lists Azure for all; absent where each does.
	By string `json:"by,omitempty"`
	// Subscriptions are those that it sees, and those that it saw.
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
	// Pending wait for approval; Leaving are not listed any more and go with the next
	// listing; Held wait for POST /-/accept; Kept stay, because what is known of them is
	// not complete; Left are served to nobody.
	Pending []Resource `json:"pending,omitempty"`
	Leaving []Resource `json:"leaving,omitempty"`
	Held    []Resource `json:"held,omitempty"`
	Kept    []Resource `json:"kept,omitempty"`
	Left    []Resource `json:"left,omitempty"`
	// Differences are names that another source of more authority says otherwise.
	Differences []Difference `json:"differences,omitempty"`
	Warnings    []string     `json:"warnings,omitempty"`
}

// Subscription is a subscription of a source.
type Subscription struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	Tenant string    `json:"tenant"`
	Seen   time.Time `json:"seen"`
	// Gone is since when it is not listed any more, while all that it had is kept.
	Gone      time.Time      `json:"gone,omitzero"`
	Endpoints map[string]int `json:"endpoints"` // by their state
}

// Resource is a resource of which something is to be known.
type Resource struct {
	ID     string    `json:"id"`
	Since  time.Time `json:"since,omitzero"`
	Why    string    `json:"why,omitempty"`
	Serves []string  `json:"serves,omitempty"` // what networks are served by it
}

// Difference is a name that two sources say different things of.
type Difference struct {
	Network string       `json:"network"`
	Name    string       `json:"name"`
	Served  []netip.Addr `json:"served"`
	By      string       `json:"by"`
	Learned []netip.Addr `json:"learned"`
	From    string       `json:"from"`
}

// sources are all sources, with their age at a time.
func (s *Server) sources(now time.Time) []Source {
	if s.options.Sources == nil {
		return []Source{}
	}
	all := s.options.Sources()
	for i := range all {
		if !all[i].Taken.IsZero() {
			all[i].Age = max(0, now.Sub(all[i].Taken).Seconds())
		}
	}
	return all
}

// ofSources are the conditions of the sources that learn. Of files, the last reload says
// what is wrong.
func ofSources(sources []Source) (all []Condition) {
	say := func(since time.Time, format string, args ...any) {
		all = append(all, Condition{Degraded, fmt.Sprintf(format, args...), since, "/sources"})
	}
	for _, s := range sources {
		if s.Every == 0 {
			continue
		}
		if s.Error != "" && !s.Taken.IsZero() {
			say(s.Taken, "%s is not listed, and what was known goes on: %s", s.Name, s.Error)
		}
		if len(s.Held) > 0 {
			say(s.Held[0].Since, "%s holds back %s until somebody accepts", s.Name, counted(len(s.Held), "removal", "removals"))
		}
		for _, subscription := range s.Subscriptions {
			if !subscription.Gone.IsZero() {
				say(subscription.Gone, "%s does not list subscription %s any more, and keeps what it had: give the identity its role back",
					s.Name, cmp.Or(subscription.Name, subscription.ID))
			}
		}
	}
	return all
}

// sourceList is what the page of the sources shows.
type sourceList struct {
	Sources []Source
	Store   *Store
	Change  change
}

func (s *Server) sourcesPage(r *http.Request) page {
	return page{Data: sourceList{s.sources(time.Now()), s.options.Status().Store, s.change(r)}}
}

// listSources answers /api/sources with every source.
func (s *Server) listSources(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.sources(time.Now()))
}

// accept answers POST /-/accept with source and subscription as form values or
// parameters: what that source holds back may go. Without a source, what any does. A
// subscription that is gone goes only if it is named.
func (s *Server) accept(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm() // what is no form has no values
	accepted, err := 0, error(nil)
	if s.options.Accept != nil {
		accepted, err = s.options.Accept(strings.TrimSpace(r.Form.Get("source")), nonEmpty(r.Form["subscription"]))
	}
	if err != nil {
		s.outcome(w, r, http.StatusNotFound, refusal(err.Error()))
		return
	}
	s.outcome(w, r, http.StatusOK, result{
		OK: true, Title: "Accepted", Back: "/sources",
		Text:  counted(accepted, "resource goes", "resources go") + " with the next complete listing, which is under way.",
		value: map[string]int{"accepted": accepted},
	})
}

func nonEmpty(texts []string) []string {
	var all []string
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" {
			all = append(all, text)
		}
	}
	return all
}
