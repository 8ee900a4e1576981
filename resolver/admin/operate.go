package admin

import (
	"cmp"
	"net/http"
	"strconv"
)

// result is what came of something that was to be changed.
type result struct {
	OK    bool
	Title string
	Text  string
	Back  string // the page to go on with; empty for the one with the form
	value any    // for programs
}

// refusal is a result that says why nothing was done.
func refusal(text string) result {
	return result{Title: "Not done", Text: text, value: map[string]string{"error": text}}
}

// outcome answers a request to change something: a page to browsers, JSON to
// programs.
func (s *Server) outcome(w http.ResponseWriter, r *http.Request, code int, result result) {
	if !wantsPage(r) {
		writeJSON(w, code, result.value)
		return
	}
	path := "/operate"
	switch r.URL.Path {
	case "/-/live":
		path = "/live"
	case "/-/accept":
		path = "/sources"
	}
	result.Back = cmp.Or(result.Back, path)
	s.show(w, r, "outcome", page{Title: result.Title, Path: path, Code: code, Data: result})
}

// reload answers POST /-/reload: 200 when the configuration of now is served, 422
// and why when it cannot be.
func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	if err := s.options.Reload(); err != nil {
		failed := refusal(err.Error())
		failed.Title = "Not reloaded: what was served before goes on"
		s.outcome(w, r, http.StatusUnprocessableEntity, failed)
		return
	}
	s.outcome(w, r, http.StatusOK, result{
		OK: true, Title: "Reloaded", Text: "The configuration of now is served.", Back: "/", value: s.options.Status(),
	})
}

// flush answers POST /-/flush with name and subtree as form values or parameters.
func (s *Server) flush(w http.ResponseWriter, r *http.Request) {
	name, subtree, err := about(r)
	if err != nil {
		s.outcome(w, r, http.StatusBadRequest, refusal(err.Error()))
		return
	}
	flushed := s.options.Cache.Flush(name, subtree)
	s.outcome(w, r, http.StatusOK, result{
		OK: true, Title: "Flushed", Text: counted(flushed, "remembered answer is", "remembered answers are") + " forgotten.",
		value: map[string]int{"flushed": flushed},
	})
}

// live answers POST /-/live with on=true or on=false: the list of recent decisions
// is switched on for ten minutes, or off and forgotten.
func (s *Server) live(w http.ResponseWriter, r *http.Request) {
	on, err := strconv.ParseBool(r.FormValue("on"))
	if err != nil {
		s.outcome(w, r, http.StatusBadRequest, refusal("on: write true or false"))
		return
	}
	s.options.Recent.Switch(on)
	if wantsPage(r) {
		http.Redirect(w, r, "/live", http.StatusSeeOther)
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"on": on})
}
