package config

import (
	"fmt"
	"math"
	"strings"

	"pldns/zones"
)

// opened says which doors there are besides listeners. What is written counts, in
// order or not, so that one fault does not make another.
type opened struct{ names, certificates, paths, links bool }

// open notes which doors the main file opens.
func (l *loader) open(root table) {
	listen, _ := root.sub("listen")
	tls, _ := root.sub("tls")
	trust, _ := root.sub("trust")
	l.opened = opened{
		names: listen.has("dot") || listen.has("doh"), certificates: tls.has("client_ca"),
		paths: listen.has("doh"), links: trust.has("proxy_protocol"),
	}
}

// doors reads the doors of a network that are no listeners.
func (l *loader) doors(t table, draft *networkDraft) {
	name := func(kind zones.DoorKind) func(string) (zones.Door, *fault) {
		return func(text string) (zones.Door, *fault) {
			if strings.HasPrefix(text, "*") {
				return zones.Door{}, faultf("write each name", "%q is a wildcard", text)
			}
			parsed, f := parseSuffix(text)
			return zones.Door{Kind: kind, Name: parsed}, f
		}
	}
	l.namedDoors(t, draft, "server_names", "fabrikam.dns.contoso.net", name(zones.NameDoor), l.opened.names,
		&fault{"no listener has server names", `add listen.dot = [":853"] or listen.doh = [":443"]`})
	l.namedDoors(t, draft, "certificates", "gateway.fabrikam.com", name(zones.CertificateDoor), l.opened.certificates,
		&fault{"no client is asked for a certificate", `add tls.client_ca = "clients.pem"`})
	l.namedDoors(t, draft, "doh_paths", draft.Name, parsePath, l.opened.paths,
		&fault{"no listener has paths", `add listen.doh = [":443"]`})
	l.linkDoors(t, draft)
}

// namedDoors reads the doors of a key that are texts.
func (l *loader) namedDoors(t table, draft *networkDraft, key, example string,
	parse func(string) (zones.Door, *fault), open bool, closed *fault) {
	if !t.has(key) {
		return
	}
	entries, ok := t.texts(key, example)
	draft.broken = draft.broken || !ok
	for _, e := range entries {
		door, f := parse(e.text)
		l.claim(draft, door, e.place, e.text, f)
	}
	if !open && ok {
		l.rep.add(t.place(key), closed)
		draft.broken = true
	}
}

// linkDoors reads the link ids of a network.
func (l *loader) linkDoors(t table, draft *networkDraft) {
	value, given := t.value("link_ids")
	if !given {
		return
	}
	list, is := value.([]any)
	if !is {
		t.mismatch(t.place("link_ids"), value, "write link_ids = [536871234]", "a list of whole numbers")
		draft.broken = true
		return
	}
	for i, element := range list {
		at := t.place("link_ids").at(i)
		number, is := element.(int64)
		switch {
		case !is:
			t.mismatch(at, element, "write the number that Azure shows, without quotes", "a whole number")
			draft.broken = true
		case number < 0 || number > math.MaxUint32:
			l.claim(draft, zones.Door{}, at, "", faultf("write the number that Azure shows", "%d is no link id", number))
		default:
			l.claim(draft, zones.Door{Kind: zones.LinkDoor, Link: uint32(number)}, at, fmt.Sprint(number), nil)
		}
	}
	if !l.opened.links {
		l.rep.add(t.place("link_ids"), &fault{"nobody is trusted to tell link ids",
			`add trust.proxy_protocol = ["10.0.0.4/32"] with the addresses that the Private Link Service connects from`})
		draft.broken = true
	}
}

// claim enters a door, or reports what is wrong with it.
func (l *loader) claim(draft *networkDraft, door zones.Door, at Place, text string, f *fault) bool {
	if _, twice := draft.doors[door]; f == nil && twice {
		f = alreadyFault(text)
	}
	if f != nil {
		l.rep.add(at, f)
		draft.broken = true
		return false
	}
	draft.doors[door] = at
	switch door.Kind {
	case zones.LinkDoor:
		draft.LinkIDs = append(draft.LinkIDs, door.Link)
	case zones.CertificateDoor:
		draft.Certificates = append(draft.Certificates, door.Name)
	case zones.PathDoor:
		draft.DoHPaths = append(draft.DoHPaths, door.Path)
	case zones.NameDoor:
		draft.ServerNames = append(draft.ServerNames, door.Name)
	}
	return true
}

// parsePath reads what follows the common path of DNS over HTTPS.
func parsePath(text string) (zones.Door, *fault) {
	if !bare(text) || len(text) > maxLabel {
		return zones.Door{}, faultf("write what follows "+zones.DoHPath+"/: up to 63 letters, digits, hyphens and underscores",
			"%q is no path", text)
	}
	return zones.Door{Kind: zones.PathDoor, Path: text}, nil
}
