package admin

import (
	"fmt"
	"net/netip"
	"strings"
)

// The contents of the pages that are lists.

// faultNotice says what is wrong with a search.
func (l listing) faultNotice() part {
	return only(l.Fault != "", el("p", class("notice bad"), at("role", "alert"), text(l.Fault)))
}

// finder is the search field of a list.
func (l listing) finder(label, placeholder string) part {
	return div("field wide", el("label", at("for", "search"), text(label)),
		el("input", at("id", "search"), at("name", "search"), at("type", "search"), at("value", l.Search), plainly(placeholder)))
}

// pager says which part of a list is shown, and leads to the others.
func (w window) pager() part {
	to := func(page int, word string, more ...part) part {
		return el("li", el("a", href(w.Link(page)), all(more...), text(word)))
	}
	return el("nav", class("pager"), at("aria-label", "Pages of the table"),
		el("p", either(w.Total > 0, text(thousands(w.From()), " to ", thousands(w.To()), " of ", thousands(w.Total)), text("Nothing found"))),
		only(w.Pages > 1, el("ul",
			only(w.Before() > 0, to(1, "First"), to(w.Before(), "Previous", at("rel", "prev"))),
			el("li", at("aria-current", "page"), text("Page ", thousands(w.Page), " of ", thousands(w.Pages))),
			only(w.After() > 0, to(w.After(), "Next", at("rel", "next")), to(w.Pages, "Last")))))
}

func (l networkList) content(page) part {
	return all(finder(l.finder("Name of the network", ""), button("Search")), l.faultNotice(), l.pager(), networkRows(l.Networks))
}

// shownPrefixes and shownDoors are how many of a network are shown at once.
const shownPrefixes, shownDoors = 4, 4

func networkRows(list []Network) part {
	return table("Networks", columns("Network", "Clients", "Doors", "Missing names", "#Endpoints", "#Probed", "Health"), rowsOf(list, func(n Network) part {
		return all(
			rowHead(el("a", href("/endpoints", "network", n.Name), text(n.Name))),
			cell(n.whose()), cell(n.doorways()), cell(text(n.Missing)), number(thousands(n.Endpoints)), number(thousands(n.Probed)), cell(n.condition()))
	}), "There is no such network.")
}

// whose says whose queries belong to a network.
func (n Network) whose() part {
	prefix := func(p netip.Prefix) part { return all(code(p), text(" ")) }
	return all(
		each(n.Clients[:min(shownPrefixes, len(n.Clients))], prefix, nil),
		only(len(n.Clients) > shownPrefixes, el("details", el("summary", text("all ", len(n.Clients), " prefixes")), each(n.Clients, prefix, nil))),
		only(len(n.Clients) == 0, text("every client")))
}

// doorways says by which doors its queries come.
func (n Network) doorways() part {
	doors := n.Doors()
	line := func(door string) part { return span("line", text(door)) }
	return all(
		each(doors[:min(shownDoors, len(doors))], line, text("any")),
		only(len(doors) > shownDoors, el("details", el("summary", text("all ", len(doors), " doors")), each(doors, line, nil))))
}

// condition says how the endpoints of a network are.
func (n Network) condition() part {
	switch {
	case n.Unhealthy > 0:
		return el("a", class("badge bad"), href("/endpoints", "network", n.Name, "health", unhealthy), text(thousands(n.Unhealthy), " unhealthy"))
	case n.Probed > 0:
		return badge("good", healthy)
	default:
		return badge("plain", unprobed)
	}
}

func (l endpointList) content(page) part {
	choice := func(id, label, any string, chosen string, words []string) part {
		return div("field", el("label", at("for", id), text(label)), el("select", at("id", id), at("name", id),
			el("option", at("value", ""), text(any)),
			each(words, func(word string) part { return el("option", only(word == chosen, is("selected")), text(word)) }, nil)))
	}
	names := make([]string, len(l.Networks))
	for i, n := range l.Networks {
		names[i] = n.Name
	}
	return all(
		finder(l.finder("Part of a name, an address or a prefix", "mydb, 10.0.1.4 or 10.0.1.0/24"),
			choice("network", "Network", "all", l.Network, names),
			choice("health", "Health", "any", l.Health, []string{healthy, unhealthy, unprobed}), button("Search")),
		l.faultNotice(), l.pager(),
		table("Endpoints", columns("Name", "Network", "Addresses", "Probe", "Answer with", "#TTL"), rowsOf(l.Endpoints, endpointRow), "No endpoint matches."),
		only(l.Pages > 1, l.pager()))
}

func endpointRow(e Endpoint) part {
	return all(
		rowHead(el("a", href("/explain", "name", e.Name, "network", e.Network), at("title", "Explain this name"), code(e.Name)),
			only(e.Private != "", el("br"), el("small", code(e.Private)))),
		cell(text(e.Network)),
		cell(each(e.Addresses, func(a Address) part {
			return span("address", code(a.Address), text(" "), a.badge(), only(a.Fault != "", text(" "), el("small", class("fault"), text(a.Fault))))
		}, nil)),
		cell(known(e.Probe), only(e.ProbeName != "", el("br"), el("small", text("for "), code(e.ProbeName)))),
		cell(text(e.Pick)), number(fmt.Sprint(e.TTL, " s")))
}

func (a Address) badge() part {
	switch a.Health {
	case healthy:
		return badge("good", a.Health)
	case unhealthy:
		return badge("bad", a.Health)
	default:
		return badge("plain", a.Health)
	}
}

func upstreamsContent(list []Upstream) part {
	return all(
		paragraph("", text("Every server that may be asked. “Failures” is the share of failed queries, recent ones weighing most.")),
		upstreamRows(list), limitedRows(list))
}

// limitedRows are who has more under way than others, so that their questions make
// room; nothing where there is room for all.
func limitedRows(list []Upstream) part {
	type limitedRow struct {
		group string
		Share
	}
	var rows []limitedRow
	last := ""
	for _, u := range list {
		if u.Group == last {
			continue
		}
		last = u.Group
		for _, limited := range u.Load.Limited {
			rows = append(rows, limitedRow{u.Group, limited})
		}
	}
	return only(len(rows) > 0, all(el("h2", text("Limited now")),
		paragraph("", text("More is asked than an upstream takes. These have most under way, so their questions make room, "+
			"and all others are answered as ever.")),
		table("Who is limited", columns("Upstream", "Network", "Client", "Domain", "#Under way", "#Made room"),
			rowsOf(rows, func(r limitedRow) part {
				return all(rowHead(text(r.group)), cell(known(r.Network)), cell(known(r.Client)), cell(known(r.Suffix)),
					number(r.InFlight), number(r.GaveWay))
			}), "Nobody.")))
}

func upstreamRows(list []Upstream) part {
	return table("Upstream servers", columns("Upstream", "Server", "Over", "State", "#Round trip", "#Failures", "#Under way"), rowsOf(list, func(u Upstream) part {
		state := badge("good", "healthy")
		switch {
		case u.Looping:
			state = badge("bad", "leads back here")
		case len(u.LoopSuffixes) > 0:
			state = badge("bad", "leads back here: "+strings.Join(u.LoopSuffixes, ", "))
		case !u.Healthy:
			state = badge("bad", "unhealthy")
		}
		lacks := only(len(u.Without) > 0, text(" "), badge("plain", "asked without "+strings.Join(u.Without, ", ")))
		return all(rowHead(text(u.Group)), cell(code(u.Server)), cell(text(u.Transport)), cell(state, lacks),
			number(seconds(u.RTT)), number(percent(u.Failures)), number(u.InFlight))
	}), "Nothing is forwarded.")
}

func (l leakList) content(p page) part {
	tab := func(here bool, word, path string, query ...string) part {
		return el("li", el("a", href(path, query...), only(here, at("aria-current", "true")), text(word)))
	}
	return all(
		el("ul", class("tabs"), tab(!l.Never, "Answered from outside", "/leaks"), tab(l.Never, "Mapped, never asked for", "/leaks", "show", "never-asked")),
		finder(only(l.Never, el("input", at("type", "hidden"), at("name", "show"), at("value", "never-asked"))),
			l.finder("Part of a name or of a network’s name", ""), button("Search")),
		l.faultNotice(), either(l.Never, l.unasked(), l.unmapped(p)))
}

func (l leakList) unasked() part {
	return all(paragraph("", text("Endpoints that nobody has asked for since the program began.")), l.pager(),
		table("Endpoints nobody asks for", columns("Name", "Network"), rowsOf(l.Unasked, func(u unaskedRow) part {
			return all(rowHead(code(u.Name)), cell(text(u.Network)))
		}), "None."))
}

func (l leakList) unmapped(p page) part {
	return all(
		paragraph("", text("Names that somebody has a private endpoint for, and that were answered from outside because the asker’s network maps none.")),
		l.pager(),
		table("Names answered from outside", columns("Name", "Network", "Answered", "#Times", "Last"), rowsOf(l.Unmapped, func(u unmappedRow) part {
			return all(
				rowHead(code(u.Name), only(u.Private != u.Name, el("br"), el("small", code(u.Private)))),
				cell(text(u.Network)), cell(known(u.Address)), number(thousands(u.Count)),
				cell(at("title", when(u.Last)), text(ago(p.Now, u.Last))))
		}), "None."))
}
