package admin

import (
	"bytes"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"pldns/resolver"
)

// No template has what browsers run, nor what leads to another server, but for the one
// script, which is a file, and what stands for it where scripts are not run.
func TestTemplatesHoldNothingThatRuns(t *testing.T) {
	names, err := fs.Glob(files, "templates/*/*.html")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	actions := regexp.MustCompile(`\{\{[^}]*\}\}`)
	for _, name := range append(names, "templates/layout.html", "templates/parts.html", "templates/charts.html") {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		tags := html.NewTokenizer(bytes.NewReader(actions.ReplaceAll(text, nil)))
		for tags.Next() != html.ErrorToken {
			tag := tags.Token()
			if layout := name == "templates/layout.html"; layout && (tag.Data == "noscript" || tag.String() == `<script src="/static/page.js" defer="">` ||
				tag.String() == "</script>") {
				continue
			}
			if slices.Contains([]string{"script", "style", "iframe", "object", "embed", "base", "noscript"}, tag.Data) && tag.Type != html.TextToken {
				t.Errorf("%s has the element %s", name, tag.Data)
			}
			for _, a := range tag.Attr {
				leads := slices.Contains([]string{"href", "src", "action", "formaction", "srcdoc"}, a.Key)
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") || leads && a.Val != "" && (!strings.ContainsAny(a.Val[:1], "/?#") || strings.HasPrefix(a.Val, "//")) {
					t.Errorf("%s has %s=%q", name, a.Key, a.Val)
				}
			}
		}
	}
}

// Whatever an explanation holds, it is read as what it was: the page has the elements
// that it has for a harmless one.
func FuzzPage(f *testing.F) {
	for _, seed := range []string{"", `"><script>alert(1)</script>`, "</title><b>", "&amp;", "a\nb\t<", "' onclick='x", "\u2028--><!--", "javascript:alert(1)"} {
		f.Add(seed)
	}
	explain := pageTemplates()["explain"]
	elements := func(t *testing.T, text string) []string {
		data := explained{
			question: question{Name: text, Type: text, Client: text, Listener: text, ServerName: text, Path: "p" + text, LinkID: text, Certificate: text},
			Types:    []string{text}, Faults: []string{text}, Chain: []link{{Texts: []string{text}}, {Via: "v" + text, Texts: []string{text}, Bad: true}},
			Explanation: &resolver.Explanation{
				Name: text, Client: text, Listener: "l" + text, Network: text, Ingress: "i" + text, Source: text, Zone: "z" + text, Server: "s" + text,
				Showing: resolver.Showing{ServerName: "s" + text, Path: "p" + text, Certificates: []string{text}},
				Steps:   []resolver.Step{{Stage: text, Text: text, Records: []string{text}}},
				Errors:  []resolver.ExplainedError{{Meaning: text, Text: text}},
			},
		}
		var written bytes.Buffer
		if err := explain.Execute(&written, page{Data: data, Title: text, Menu: []view{{Path: "/" + text, Title: text}}, Now: time.Now()}); err != nil {
			t.Fatal(err)
		}
		read, err := html.Parse(&written)
		if err != nil {
			t.Fatal(err)
		}
		var tags []string
		for node := range read.Descendants() {
			if node.Type == html.ElementNode {
				tags = append(tags, node.Data)
				for _, attribute := range node.Attr {
					tags = append(tags, node.Data+" "+attribute.Key)
				}
			}
			if node.Type == html.CommentNode {
				t.Errorf("a comment came in: %q", node.Data)
			}
		}
		return tags
	}
	f.Fuzz(func(t *testing.T, hostile string) {
		got, want := strings.Join(elements(t, hostile), "\n"), strings.Join(elements(t, "harmless"), "\n")
		if got != want {
			t.Errorf("the page has\n%s\nnot\n%s", got, want)
		}
	})
}
