package admin

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"reflect"
	"strings"
	"time"
)

//go:embed static templates
var files embed.FS // never assigned: the embed directive wants a variable

// view is an entry of the menu, and the page that it leads to. The template of a page
// is the file of templates/pages that has the name of its path.
type view struct {
	Path, Title string
	make        func(*http.Request) page
	still       bool // it is what somebody asked for, and is not asked for anew
}

// views are all entries of the menu, in its order.
func (s *Server) views() []view {
	return []view{
		{"/", "Overview", s.overview, false}, {"/traffic", "Traffic", s.trafficPage, false},
		{"/networks", "Networks", s.networksPage, false}, {"/endpoints", "Endpoints", s.endpointsPage, false},
		{"/upstreams", "Upstreams", s.upstreamsPage, false}, {"/sources", "Sources", s.sourcesPage, false},
		{"/zones", "Zones", s.zonesPage, false},
		{"/unmapped", "Unmapped names", s.unmappedPage, false}, {"/shadow", "Shadow", s.shadowPage, false},
		{"/live", "Live", s.livePage, false}, {"/explain", "Explain", s.explainPage, true}, {"/operate", "Operate", s.operatePage, true},
	}
}

// page is what a template shows: a value of plain fields, with everything decided.
type page struct {
	Data    any // what the page itself shows
	Code    int // the HTTP status; 0 is 200
	Refresh int // seconds until the page is asked for anew; 0 for never

	// What follows is filled in for pages of the menu.
	Title string
	Path  string // of the entry of the menu that leads here
	Menu  []view
	Now   time.Time
	Store *Store // whose release is served; nil where there is none
	Instance
	// State is the worst of all states; the overview shows all of them itself.
	State State
	// Reloads is after how many seconds a browser without scripts asks for the page
	// anew, because its reader wants that; 0 for never. Other is the address of the page
	// with that switched on or off.
	Reloads int
	Other   string
	// SignedIn says that the browser has been told the token.
	SignedIn bool
}

// pageRefresh is after how many seconds a page is asked for anew, as long as it is looked
// at; the script of the page sees to it, and puts what has changed in its place.
const pageRefresh = 5

// handlePages routes what browsers show.
func (s *Server) handlePages(mux *http.ServeMux) {
	for _, v := range s.views() {
		pattern, name := v.Path, path.Base(v.Path)
		if v.Path == "/" {
			pattern, name = "/{$}", "overview"
		}
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
			p := v.make(r)
			if p.Title, p.Path = v.Title, v.Path; !v.still {
				p.Refresh = pageRefresh
			}
			s.show(w, r, name, p)
		})
	}
	mux.HandleFunc("GET /networks/{name}", s.networkPage)
	mux.Handle("GET /static/", http.FileServerFS(files))
}

// show writes a page by the template of that name. It is put together before anything
// is sent, so that a fault never sends half of one.
func (s *Server) show(w http.ResponseWriter, r *http.Request, name string, p page) {
	p.Menu, p.Now, p.Instance, p.Store = s.views(), time.Now(), s.options.Instance, s.options.Status().Store
	p.State, p.SignedIn = s.stateLately(), s.signedIn(r)
	if p.Refresh > 0 {
		p.reloads(r)
	}
	var written bytes.Buffer
	if err := s.templates()[name].Execute(&written, p); err != nil {
		s.options.Log.Error("a page of the admin server could not be made", "page", name, "error", err)
		http.Error(w, "this page could not be made: the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(cmp.Or(p.Code, http.StatusOK))
	// Writing fails when the client has gone; there is nobody left to tell.
	_, _ = written.WriteTo(w)
}

// reloads says whether the reader of a page wants it to be asked for anew without scripts.
func (p *page) reloads(r *http.Request) {
	values := r.URL.Query()
	if values.Get("refresh") == "on" {
		p.Reloads = noScriptRefresh
		values.Del("refresh")
	} else {
		values.Set("refresh", "on")
	}
	p.Other = r.URL.EscapedPath() + "?" + values.Encode()
}

// noScriptRefresh is after how many seconds a page without scripts is loaded anew.
const noScriptRefresh = 10

// pageTemplates are the templates of all pages by name, each with the layout and what
// several of them show. The files are part of the program, so a fault in one is a
// fault of the program.
func pageTemplates() map[string]*template.Template {
	shared := template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"table": newTable, "token": newTokenField, "join": func(words []string) string { return strings.Join(words, ", ") }, "first": first,
		"when": when, "minute": minute, "ago": ago, "lasting": func(since time.Time) string { return lasting(time.Since(since)) },
		"seconds": seconds, "thousands": thousands, "percent": percent, "rate": perSecond,
		"amount": func(n uint64) string { return thousands(int(n)) },
	}).ParseFS(files, "templates/*.html"))
	names, err := fs.Glob(files, "templates/pages/*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	all := make(map[string]*template.Template, len(names))
	for _, name := range names {
		all[strings.TrimSuffix(path.Base(name), ".html")] = template.Must(template.Must(shared.Clone()).ParseFS(files, name))
	}
	return all
}

// table is what a table begins with.
type table struct {
	Name    string // what it is called when it is read aloud
	Columns []column
}

// column is the head of a column; Number says that numbers are below it.
type column struct {
	Title  string
	Number bool
}

// newTable is a table with these heads of columns; numbers are below those that begin
// with #.
func newTable(name string, heads ...string) table {
	t := table{Name: name}
	for _, head := range heads {
		title, number := strings.CutPrefix(head, "#")
		t.Columns = append(t.Columns, column{title, number})
	}
	return t
}

// tokenField is where the token is written.
type tokenField struct {
	ID       string
	SignedIn bool // it need not be
}

func newTokenField(id string, signedIn bool) tokenField { return tokenField{id, signedIn} }

// first are the first n of a list of whatever kind, or as many as there are.
func first(n int, list any) any {
	all := reflect.ValueOf(list)
	return all.Slice(0, min(n, all.Len())).Interface()
}

// wantsPage tells whether a browser shows the answer to somebody.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// when writes a time for people everywhere.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// minute writes a time without its seconds, for where there is little room.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// ago writes how long ago a time was, roughly.
func ago(t time.Time) string {
	if d := time.Since(t); d >= 2*time.Second {
		return lasting(d) + " ago"
	}
	return "just now"
}

// lasting writes a time that has passed, roughly.
func lasting(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", max(0, d)/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	default:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
}

// seconds writes a duration in seconds as people read it.
func seconds(s float64) string {
	switch d := time.Duration(s * float64(time.Second)); {
	case d <= 0:
		return "–"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(10 * time.Millisecond).String()
	}
}

// thousands writes a number in groups of three digits.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// counted writes a number of things: one thing, two things.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }
