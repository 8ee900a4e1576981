package admin

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Pages are trees of nodes, which golang.org/x/net/html writes: it escapes every
// text and every value, whatever is in them. What it would write as it is, the
// contents of a few elements such as script, cannot be made here; nor can values
// that browsers run. So nothing of a page is ever anything else than it was meant to be.

// part is something in an element: an attribute, a text, an element, or several of these.
type part func(in *html.Node)

// text is a text.
//
//go:noinline
func text(values ...any) part {
	return func(in *html.Node) {
		in.AppendChild(&html.Node{Type: html.TextNode, Data: fmt.Sprint(values...)})
	}
}

// el is an element.
//
//go:noinline
func el(tag string, parts ...part) part {
	if slices.Contains([]string{"script", "style", "iframe", "noembed", "noframes", "noscript", "plaintext", "xmp", "object", "embed", "base"}, tag) {
		panic("a page may not have the element " + tag)
	}
	return func(in *html.Node) {
		node := &html.Node{Type: html.ElementNode, Data: tag}
		all(parts...)(node)
		in.AppendChild(node)
	}
}

// at gives an element an attribute; its name is a constant.
//
//go:noinline
func at(name, value string) part {
	if strings.HasPrefix(name, "on") || slices.Contains([]string{"href", "src", "action", "formaction", "style", "srcdoc"}, name) {
		panic("at is not for the attribute " + name)
	}
	return func(in *html.Node) { in.Attr = append(in.Attr, html.Attribute{Key: name, Val: value}) }
}

// class is the class attribute.
//
//go:noinline
func class(names string) part { return at("class", names) }

// is gives an element attributes that have no value.
//
//go:noinline
func is(names ...string) part {
	return func(in *html.Node) {
		for _, name := range names {
			at(name, "")(in)
		}
	}
}

// href leads to a path of this server, to a place of this page (#) or to another
// query of it (?); after it come keys and values of the query.
//
//go:noinline
func href(path string, query ...string) part { return target("href", path, query) }

// action sends a form to a path of this server.
//
//go:noinline
func action(path string) part { return target("action", path, nil) }

//
//go:noinline
func target(name, path string, query []string) part {
	values := make(url.Values)
	for i := 0; i+1 < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	if !strings.ContainsAny(path[:1], "/?#") || strings.HasPrefix(path, "//") {
		panic("a page leads away from this server: " + path)
	}
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	return func(in *html.Node) { in.Attr = append(in.Attr, html.Attribute{Key: name, Val: path}) }
}

// all is several parts.
//
//go:noinline
func all(parts ...part) part {
	return func(in *html.Node) {
		for _, p := range parts {
			if p != nil {
				p(in)
			}
		}
	}
}

// only is parts that are there on a condition.
//
//go:noinline
func only(condition bool, parts ...part) part {
	if !condition {
		return nil
	}
	return all(parts...)
}

// either is one of two parts.
//
//go:noinline
func either(condition bool, yes, no part) part {
	if condition {
		return yes
	}
	return no
}

// each makes a part of each item of a list, or gives what is there in place of an empty one.
func each[T any](list []T, item func(T) part, none part) part {
	if len(list) == 0 {
		return none
	}
	return func(in *html.Node) {
		for _, one := range list {
			all(item(one))(in)
		}
	}
}

// code is a text of machines.
//
//go:noinline
func code(value any) part { return el("code", text(value)) }

// known is a text of machines, or a dash where there is none.
//
//go:noinline
func known(value string) part { return either(value != "", code(value), text("–")) }

// paragraph, div and span are elements with a class, which may be empty.
//
//go:noinline
func paragraph(names string, parts ...part) part {
	return el("p", only(names != "", class(names)), all(parts...))
}

//
//go:noinline
func div(names string, parts ...part) part {
	return el("div", only(names != "", class(names)), all(parts...))
}

//
//go:noinline
func span(names string, parts ...part) part {
	return el("span", only(names != "", class(names)), all(parts...))
}

// badge is a word in a colour: good, bad or plain.
//
//go:noinline
func badge(colour, word string) part { return span("badge "+colour, text(word)) }

// column is the head of a column of a table; number says that numbers are in it.
type column struct {
	text   string
	number bool
}

// columns are columns with these heads; numbers are below those that begin with #.
func columns(texts ...string) []column {
	list := make([]column, len(texts))
	for i, name := range texts {
		name, number := strings.CutPrefix(name, "#")
		list[i] = column{name, number}
	}
	return list
}

// table is a table that is read aloud under a name. Without rows it says so.
//
//go:noinline
func table(name string, heads []column, rows []part, none string) part {
	return div("scroll", at("role", "region"), at("aria-label", name), at("tabindex", "0"), el("table",
		el("thead", el("tr", each(heads, func(c column) part {
			return el("th", at("scope", "col"), only(c.number, class("number")), text(c.text))
		}, nil))),
		el("tbody", each(rows, func(row part) part { return el("tr", row) },
			el("tr", el("td", at("colspan", fmt.Sprint(len(heads))), text(none)))))))
}

// rowsOf makes a row of each item of a list.
func rowsOf[T any](list []T, row func(T) part) []part {
	made := make([]part, len(list))
	for i, one := range list {
		made[i] = row(one)
	}
	return made
}

// cell, number and rowHead are what is in a row.
//
//go:noinline
func cell(parts ...part) part { return el("td", parts...) }

//
//go:noinline
func number(value any) part { return el("td", class("number"), text(value)) }

//
//go:noinline
func rowHead(parts ...part) part { return el("th", at("scope", "row"), all(parts...)) }

// input is a labelled field of a form, with further attributes.
//
//go:noinline
func input(kind, id, name, label, value string, attributes ...part) part {
	return div(kind, el("label", at("for", id), text(label)),
		el("input", at("id", id), at("name", name), only(value != "", at("value", value)), all(attributes...)))
}

// plainly are the attributes of a field for names and addresses.
//
//go:noinline
func plainly(placeholder string) part {
	return all(only(placeholder != "", at("placeholder", placeholder)), at("autocomplete", "off"), at("spellcheck", "false"))
}

// finder is the form that searches a list.
//
//go:noinline
func finder(parts ...part) part {
	return el("form", at("method", "get"), class("row"), at("role", "search"), all(parts...))
}

// button sends a form.
//
//go:noinline
func button(word string) part { return el("button", text(word)) }

// notice is a paragraph that stands out.
//
//go:noinline
func notice(colour string, parts ...part) part { return paragraph("notice "+colour, parts...) }

// alert is a notice that is read aloud at once.
//
//go:noinline
func alert(parts ...part) part { return div("notice bad", at("role", "alert"), all(parts...)) }
