package admin

import (
	"bytes"
	"testing"

	"golang.org/x/net/html"
)

// What browsers run, and what is not escaped, cannot be made.
func TestMarkupThatIsRefused(t *testing.T) {
	for name, make := range map[string]func(){
		"a script":                 func() { el("script", text("alert(1)")) },
		"a style sheet":            func() { el("style") },
		"a handler":                func() { at("onclick", "alert(1)") },
		"an address as a value":    func() { at("href", "javascript:alert(1)") },
		"a style":                  func() { at("style", "color: red") },
		"a link to a script":       func() { href("javascript:alert(1)") },
		"a link to another server": func() { href("//contoso.com/") },
		"a form for another":       func() { action("https://contoso.com/") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it is made")
				}
			}()
			make()
		})
	}
}

// Whatever a text or a value holds, it is read as what it was.
func FuzzMarkup(f *testing.F) {
	for _, seed := range []string{"", `"><script>alert(1)</script>`, "</title><b>", "&amp;", "a\nb\t<", "' onclick='x", "\u2028--><!--"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, hostile string) {
		root := &html.Node{Type: html.DocumentNode}
		all(el("p", at("title", hostile), text(hostile)), el("a", href("/explain", "name", hostile), code(hostile)), el("pre", text(hostile)))(root)
		var page bytes.Buffer
		if err := html.Render(&page, root); err != nil {
			t.Fatal(err)
		}
		read, err := html.Parse(&page)
		if err != nil {
			t.Fatal(err)
		}
		var tags []string
		for node := range read.Descendants() {
			if node.Type == html.ElementNode {
				tags = append(tags, node.Data)
			}
			if node.Type == html.CommentNode {
				t.Errorf("a comment came in: %q", node.Data)
			}
		}
		want := []string{"html", "head", "body", "p", "a", "code", "pre"}
		if len(tags) != len(want) {
			t.Fatalf("elements %v", tags)
		}
		for i := range want {
			if tags[i] != want[i] {
				t.Errorf("elements %v", tags)
			}
		}
	})
}
