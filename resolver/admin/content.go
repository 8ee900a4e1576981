package admin

import (
	"fmt"

	"pldns/resolver"
)

// The contents of the other pages.

func (g glance) content(p page) part {
	return all(
		either(g.Status.Ready,
			notice("good", text("Serving. The configuration was loaded ", ago(p.Now, g.Status.Loaded), ".")),
			el("p", class("notice bad"), at("role", "alert"), text("Not ready: ", g.Status.Reason))),
		g.silent(),
		g.failedReload(),
		each(g.Status.Loops, func(loop string) part { return notice("bad", text(loop)) }, nil),
		g.warnings(),
		g.facts(p),
		el("h2", text("What does this client get for this name, and why?")), blank().form(),
		el("h2", text("Networks")), networkRows(g.Networks),
		only(g.Status.Networks > len(g.Networks), paragraph("", el("a", href("/networks"), text("All ", thousands(g.Status.Networks), " networks")))),
		g.doors(), g.certificate(p),
		el("h2", text("Upstreams")), upstreamRows(g.Upstreams))
}

// doors are where queries arrive.
func (g glance) doors() part {
	if len(g.Status.Listening) == 0 {
		return nil
	}
	return all(el("h2", text("Doors")), table("Doors", columns("Queries arrive over", "At"), rowsOf(g.Status.Listening, func(l Listening) part {
		over := "UDP and TCP"
		switch l.Over {
		case "dot":
			over = "TLS"
		case "doh":
			over = "HTTPS"
		}
		return all(rowHead(text(over)), cell(code(l.Address), only(l.Over == "doh", text(" "), el("small", text("path "), code("/dns-query")))))
	}), ""))
}

// certificate says what the secure doors show.
func (g glance) certificate(p page) part {
	c := g.Status.Certificate
	if c == nil {
		return nil
	}
	names := make([]part, 0, 2*len(c.Names))
	for i, name := range c.Names {
		names = append(names, only(i > 0, text(", ")), code(name))
	}
	return paragraph("", text("The certificate is for "), all(names...), text(", and "),
		either(p.Now.After(c.Until), all(el("strong", text("has expired")), text(" on")), text("is good until")), text(" ", when(c.Until), "."),
		only(c.Clients, text(" Clients are asked for one of theirs.")))
}

// silent are the listeners that answer nobody, as far as the program itself can tell.
func (g glance) silent() part {
	var rows []part
	for _, s := range g.Status.Silent {
		rows = append(rows, el("li", code(s.Address.String()), text(" over ", s.Transport, ", since ", when(s.Since), ": ", s.Error)))
	}
	return only(len(rows) > 0, alert(paragraph("", text("These listeners do not answer the program's own questions:")), el("ul", rows...)))
}

func (g glance) failedReload() part {
	last := g.Status.LastReload
	if last == nil || last.OK {
		return nil
	}
	return alert(paragraph("", text("The reload of ", when(last.At), " failed, and what was served before goes on:")), el("pre", text(last.Error)))
}

// warnings are what the configuration says and probably does not mean.
func (g glance) warnings() part {
	if len(g.Status.Warnings) == 0 {
		return nil
	}
	return div("notice warn", paragraph("", text("The configuration is served, and probably not all of it is meant:")),
		el("ul", each(g.Status.Warnings, func(warning string) part { return el("li", text(warning)) }, nil)))
}

// fact is something that there is to know, in a colour if it stands out.
func fact(colour, name string, value ...part) part {
	return div(colour, el("dt", text(name)), el("dd", value...))
}

// colour is a colour on a condition.
func colour(condition bool, name string) string {
	if condition {
		return name
	}
	return ""
}

func (g glance) facts(p page) part {
	count := func(n int, path string, query ...string) part {
		return el("a", href(path, query...), text(thousands(n)))
	}
	reload, live := "none", "off"
	if last := g.Status.LastReload; last != nil {
		reload = ago(p.Now, last.At)
		if !last.OK {
			reload = "failed " + reload
		}
	}
	if g.Live {
		live = "on"
	}
	return el("dl", class("facts"),
		fact("", "Networks", count(g.Status.Networks, "/networks")),
		fact("", "Endpoints", count(g.Status.Endpoints, "/endpoints")),
		fact(colour(g.Unhealthy > 0, "bad"), "Unhealthy endpoints", count(g.Unhealthy, "/endpoints", "health", unhealthy)),
		fact(colour(g.Failing > 0, "bad"), "Failing upstream servers",
			el("a", href("/upstreams"), text(fmt.Sprintf("%d of %d", g.Failing, len(g.Upstreams))))),
		fact(colour(g.Leaks > 0, "warn"), "Names that leak", count(g.Leaks, "/leaks")),
		fact("", "Last reload", text(reload)),
		fact("", "Live list", el("a", href("/live"), text(live))))
}

// form asks for an explanation.
func (e explained) form() part {
	field := func(kind, id, label, value string, more ...part) part {
		return input(kind, "explain-"+id, id, label, value, at("autocomplete", "off"), all(more...))
	}
	unspelled := at("spellcheck", "false")
	return el("form", action("/explain"), at("method", "get"), class("row"),
		field("field wide", "name", "Name", e.Name, is("required"), at("placeholder", "mydb.database.windows.net"), at("autocapitalize", "none"), unspelled),
		div("field", el("label", at("for", "explain-type"), text("Type")),
			el("input", at("id", "explain-type"), at("name", "type"), at("value", e.Type), at("list", "explain-types"),
				at("placeholder", "A"), at("size", "8"), at("autocomplete", "off")),
			el("datalist", at("id", "explain-types"), each(e.Types, func(t string) part { return el("option", at("value", t)) }, nil))),
		field("field", "client", "Client address", e.Client, is("required"), at("placeholder", "10.0.0.7"), unspelled),
		div("field", el("label", at("for", "explain-listener"), text("Listener "), el("small", text("(optional)"))),
			el("input", at("id", "explain-listener"), at("name", "listener"), at("value", e.Listener), plainly("10.9.0.5:53"))),
		button("Explain"),
		el("details", class("more"), only(e.Shows(), is("open")),
			el("summary", text("What the client shows besides, over TLS, HTTPS or PROXY")),
			div("fields",
				e.shownField("server-name", "server_name", "TLS server name or HTTP host", e.ServerName, "fabrikam.dns.contoso.net"),
				e.shownField("path", "path", "DoH path: what follows /dns-query/", e.Path, "fabrikam"),
				e.shownField("certificate", "certificate", "Name of its certificate", e.Certificate, "gateway.fabrikam.com"),
				input("field", "explain-link-id", "link_id", "Private Link Service link id", e.LinkID,
					at("placeholder", "536871234"), at("inputmode", "numeric"), at("autocomplete", "off")))))
}

// shownField is for something that a client shows.
func (explained) shownField(id, name, label, value, example string) part {
	return input("field", "explain-"+id, name, label, value, at("autocapitalize", "none"), plainly(example))
}

func (e explained) content(page) part {
	return all(
		paragraph("", text("Decided now, by the code that answers queries; upstreams are asked where a query would ask them.")),
		only(len(e.Faults) > 0, alert(el("ul", each(e.Faults, func(f string) part { return el("li", text(f)) }, nil)))),
		e.form(), only(e.Explanation != nil, e.result()))
}

// result draws an explanation.
func (e explained) result() part {
	x := e.Explanation
	if x == nil {
		return nil
	}
	whose := "of no network"
	if x.Network != "" {
		whose = "of network " + x.Network
	}
	return el("section", at("aria-labelledby", "result"),
		el("h2", at("id", "result"), text("Client ", x.Client, " ", whose, " gets ", x.Rcode)),
		el("ol", class("chain"), each(e.Chain, link.part, nil)),
		el("h3", text("Hop by hop")),
		el("ol", class("path"), step("client", all(code(x.Name), text(" ", x.Type, "? asked from "), code(x.Client),
			only(x.Listener != "", text(" at "), code(x.Listener))), showing(x), nil),
			each(x.Steps, func(s resolver.Step) part { return step(fmt.Sprint(s.Room), text(s.Text), nil, s.Records) }, nil)),
		el("dl", class("facts"),
			only(x.Door != "", fact("", "Door", text(x.Door))),
			fact("", "Source", text(x.Source)),
			only(x.Zone != "", fact("", "Zone", code(x.Zone))),
			only(x.Upstream != "", fact("", "Upstream", text(x.Upstream))),
			only(x.Server != "", fact("", "Server", code(x.Server))),
			fact("", "CNAMEs followed", text(x.Hops))),
		each(x.Errors, func(err resolver.ExplainedError) part {
			return notice("warn", text(fmt.Sprintf("Extended error %d (%s): %s", err.Code, err.Meaning, err.Text)))
		}, nil))
}

func (l link) part() part {
	return el("li", only(l.Bad, class("bad")),
		only(l.Via != "", span("via", text(l.Via, " "), el("span", at("aria-hidden", "true"), text("→"))), text(" ")),
		span("box", each(l.Texts, func(t string) part { return code(t) }, nil)))
}

// showing is what the client shows besides its address.
func showing(x *resolver.Explanation) part {
	if x.ServerName == "" && x.Path == "" && len(x.Certificates) == 0 && x.LinkID == nil {
		return nil
	}
	shown := func(what, value string) part { return only(value != "", text(" ", what, " "), code(value), text(";")) }
	link := part(nil)
	if x.LinkID != nil {
		link = text(" link id ", fmt.Sprint(*x.LinkID), ";")
	}
	return paragraph("", text("It shows:"), link, each(x.Certificates, func(c string) part { return shown("certificate", c) }, nil),
		shown("path", x.Path), shown("server name", x.ServerName), text(" and its address."))
}

// step is what happened in a room, what else there is to say of it, and the records that came of it.
func step(room string, what, more part, records []string) part {
	return el("li", class("room-"+room), span("room", text(room)), div("", el("p", what), more,
		only(len(records) > 0, el("ul", class("records"), each(records, func(r string) part { return el("li", code(r)) }, nil)))))
}

func (l liveList) content(p page) part {
	change := noToken()
	if p.Change {
		word := "Switch on for ten minutes"
		if l.On {
			word = "Switch off and forget"
		}
		change = el("form", action("/-/live"), at("method", "post"), class("row"),
			el("input", at("type", "hidden"), at("name", "on"), at("value", fmt.Sprint(!l.On))), tokenField("live"), button(word))
	}
	return all(
		either(l.On,
			notice("warn", text("On until ", l.Until, ". Every query is decided anew meanwhile, instead of being answered from memory.")),
			paragraph("", text("The last 500 decisions can be shown here: who asked for what, and what they got. That is off, for the sake of those who ask, until somebody switches it on; it switches itself off after ten minutes, and forgets them."))),
		change, only(l.On, l.decisions()))
}

func (l liveList) decisions() part {
	return all(
		el("h2", text("Recent decisions")),
		finder(l.finder("Part of a name or network, a client, a code or a source", "mydb, europe, 10.0.0., NXDOMAIN or local"),
			div("field check", el("input", at("id", "refresh"), at("name", "refresh"), at("type", "checkbox"), at("value", "on"), only(l.Refresh, is("checked"))),
				el("label", at("for", "refresh"), text("Refresh every 5 seconds"))), button("Show")),
		l.faultNotice(), l.pager(),
		table("Recent decisions", columns("At", "Client", "Network", "Question", "Answer", "From", "#Took"), rowsOf(l.Decisions, decisionRow), "No decision yet."))
}

func decisionRow(d Decision) part {
	good := d.Rcode == "NOERROR"
	rcodeColour := "bad"
	if d.Rcode == "NXDOMAIN" {
		rcodeColour = "plain"
	}
	return all(
		cell(el("time", at("datetime", d.At.Format("2006-01-02T15:04:05.000Z07:00")), text(d.At.Format("15:04:05.000")))),
		cell(code(d.Client), only(d.Door() != "", el("br"), el("small", text(d.Door())))),
		cell(either(d.Network != "", text(d.Network), badge("bad", "none"))),
		cell(class("long"), el("a", href(d.Explain()),
			at("title", "Explain this decision"), code(d.Name)), text(" ", d.Type)),
		cell(class("long"), only(!good, badge(rcodeColour, d.Rcode)),
			each(d.Answer, func(a string) part { return el("code", class("line"), text(a)) }, only(good, badge("plain", "no data")))),
		cell(text(d.Source), only(d.Upstream != "", el("br"), el("small", text(d.Upstream)))),
		number(seconds(d.Took)))
}

// tokenField is where the token is written.
func tokenField(form string) part {
	return input("field", form+"-token", "token", "Token", "", at("type", "password"), is("required"), at("autocomplete", "current-password"))
}

func noToken() part {
	return paragraph("notice", text("Nothing can be changed here, because there is no token. Name a file that holds one in "), code("listen.admin_token_file"), text("."))
}

func operateContent(p page, status Status) part {
	return all(only(!p.Change, noToken()),
		el("section", at("aria-labelledby", "reload"), el("h2", at("id", "reload"), text("Reload the configuration")),
			paragraph("", text("It is read, checked, built and tried, and then served as a whole. If anything is wrong with it, nothing changes.")),
			lastReload(p, status),
			only(p.Change, el("form", action("/-/reload"), at("method", "post"), class("row"), tokenField("reload"), button("Reload")))),
		el("section", at("aria-labelledby", "flush"), el("h2", at("id", "flush"), text("Flush what upstreams said")),
			paragraph("", text("What is remembered of a name is forgotten, and asked anew when somebody asks. Write "), code("."),
				text(" and tick “all names below it” to forget everything.")),
			only(p.Change, el("form", action("/-/flush"), at("method", "post"), class("row"),
				input("field wide", "flush-name", "name", "Name", "", is("required"), at("autocapitalize", "none"), plainly("www.contoso.com")),
				div("field check", el("input", at("id", "flush-subtree"), at("name", "subtree"), at("type", "checkbox"), at("value", "true")),
					el("label", at("for", "flush-subtree"), text("and all names below it"))),
				tokenField("flush"), button("Flush")))))
}

// lastReload says what came of the last reload.
func lastReload(p page, status Status) part {
	last := status.LastReload
	if last == nil {
		return paragraph("", text("Not reloaded since it was loaded at ", when(status.Loaded), "."))
	}
	return all(
		paragraph("", text("Last time ", ago(p.Now, last.At), ", at ", when(last.At), ": "),
			either(last.OK, badge("good", "served"), badge("bad", "refused"))),
		only(!last.OK, el("pre", text(last.Error))))
}

func (r result) content(page) part {
	on := "Go back"
	if r.OK {
		on = "Go on"
	}
	return all(
		either(r.OK, el("p", class("notice good"), at("role", "status"), text(r.Text)), alert(el("pre", text(r.Text)))),
		paragraph("", el("a", href(r.Back), text(on))))
}
