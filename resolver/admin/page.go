package admin

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/html"
)

//go:embed static
var static embed.FS // never assigned: the embed directive wants a variable

// page is what the layout shows around the content of a view.
type page struct {
	Title   string
	Path    string // of the entry of the menu that leads here
	Refresh int    // seconds until the browser asks anew; 0 for never
	Now     time.Time
	Change  bool // whether there is a token, so that something can be changed
	Content func(page) part
}

// entry is an entry of the menu.
type entry struct{ Path, Text string }

// menu is the menu of every page.
func menu() []entry {
	return []entry{
		{"/", "Overview"}, {"/networks", "Networks"}, {"/endpoints", "Endpoints"}, {"/upstreams", "Upstreams"},
		{"/leaks", "Leaks"}, {"/explain", "Explain"}, {"/live", "Live"}, {"/operate", "Operate"},
	}
}

// document is the whole page.
func (p page) document() *html.Node {
	root := &html.Node{Type: html.DocumentNode}
	root.AppendChild(&html.Node{Type: html.DoctypeNode, Data: "html"})
	el("html", at("lang", "en"), p.head(), el("body",
		el("a", class("skip"), href("#main"), text("Skip to the content")),
		el("header", paragraph("brand", text("pldns")), el("nav", at("aria-label", "Pages"), el("ul", each(menu(), func(e entry) part {
			return el("li", el("a", href(e.Path), only(e.Path == p.Path, at("aria-current", "page")), text(e.Text)))
		}, nil)))),
		el("main", at("id", "main"), at("tabindex", "-1"), el("h1", text(p.Title)), p.Content(p)),
		el("footer", paragraph("", text("As of ", when(p.Now), ". Reload the page to see what has changed."))),
	))(root)
	return root
}

func (p page) head() part {
	return el("head",
		el("meta", at("charset", "utf-8")),
		el("meta", at("name", "viewport"), at("content", "width=device-width, initial-scale=1")),
		el("meta", at("name", "color-scheme"), at("content", "light dark")),
		only(p.Refresh > 0, el("meta", at("http-equiv", "refresh"), at("content", fmt.Sprint(p.Refresh)))),
		el("title", text(p.Title, " – pldns")),
		el("link", at("rel", "icon"), href("/static/icon.svg"), at("type", "image/svg+xml")),
		el("link", at("rel", "stylesheet"), href("/static/page.css")),
	)
}

// show writes a page. It is put together before anything is sent, so that a
// fault never sends half of one.
func (s *Server) show(w http.ResponseWriter, code int, p page) {
	p.Now, p.Change = time.Now(), s.access().Token != ""
	var written bytes.Buffer
	if err := html.Render(&written, p.document()); err != nil {
		s.options.Log.Error("a page of the admin server could not be made", "page", p.Title, "error", err)
		http.Error(w, "this page could not be made: the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	// Writing fails when the client has gone; there is nobody left to tell.
	_, _ = written.WriteTo(w)
}

// wantsPage tells whether a browser shows the answer to somebody.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// files serves the style sheet and the icon.
func files() http.Handler {
	only, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the path is a constant
	}
	return http.StripPrefix("/static/", http.FileServerFS(only))
}

// when writes a time for people everywhere.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// ago writes how long before now a time was, roughly.
func ago(now, t time.Time) string {
	switch d := now.Sub(t); {
	case d < 2*time.Second:
		return "just now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds ago", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", d/time.Hour)
	default:
		return fmt.Sprintf("%d days ago", d/(24*time.Hour))
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
