package config

import (
	"fmt"
	"math"
	"strings"

	"pldns/zones"
)

// opened says which ingresses there are besides listeners. What is written counts, in
// order or not, so that one fault does not make another.
type opened struct{ names, certificates, paths, links bool }

// open notes which ingresses the main file opens.
func (l *loader) open(root table) {
	listen, _ := root.sub("listen")
	tls, _ := root.sub("tls")
	trust, _ := root.sub("trust")
	l.opened = opened{
		names: listen.has("dot") || listen.has("doh") || listen.has("doq"), certificates: tls.has("client_ca"),
		paths: listen.has("doh"), links: trust.has("proxy_protocol"),
	}
}

// ingresses reads the ingresses of a network that are no listeners.
func (l *loader) ingresses(t table, draft *networkDraft) {
	name := func(kind zones.IngressKind) func(string) (zones.Ingress, *fault) {
		return func(text string) (zones.Ingress, *fault) {
			if strings.HasPrefix(text, "*") {
				return zones.Ingress{}, faultf("write each name", "%q is a wildcard", text)
			}
			parsed, f := parseSuffix(text)
			return zones.Ingress{Kind: kind, Name: parsed}, f
		}
	}
	l.namedIngresses(t, draft, "server_names", "fabrikam.dns.contoso.net", name(zones.NameIngress), l.opened.names,
		&fault{"no listener has server names", `add listen.dot = [":853"], listen.doq = [":853"] or listen.doh = [":443"]`})
	l.namedIngresses(t, draft, "certificates", "gateway.fabrikam.com", name(zones.CertificateIngress), l.opened.certificates,
		&fault{"no client is asked for a certificate", `add tls.client_ca = "clients.pem"`})
	l.namedIngresses(t, draft, "doh_paths", draft.Name, parsePath, l.opened.paths,
		&fault{"no listener has paths", `add listen.doh = [":443"]`})
	l.linkIngresses(t, draft)
}

// namedIngresses reads the ingresses of a key that are texts.
func (l *loader) namedIngresses(t table, draft *networkDraft, key, example string,
	parse func(string) (zones.Ingress, *fault), open bool, closed *fault) {
	if !t.has(key) {
		return
	}
	entries, ok := t.texts(key, example)
	draft.broken = draft.broken || !ok
	for _, e := range entries {
		ingress, f := parse(e.text)
		l.claim(draft, ingress, e.place, e.text, f)
	}
	if !open && ok {
		l.rep.add(t.place(key), closed)
		draft.broken = true
	}
}

// linkIngresses reads the link ids of a network.
func (l *loader) linkIngresses(t table, draft *networkDraft) {
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
			l.claim(draft, zones.Ingress{}, at, "", faultf("write the number that Azure shows", "%d is no link id", number))
		default:
			l.claim(draft, zones.Ingress{Kind: zones.LinkIngress, Link: uint32(number)}, at, fmt.Sprint(number), nil)
		}
	}
	if !l.opened.links {
		l.rep.add(t.place("link_ids"), &fault{"nobody is trusted to tell link ids",
			`add trust.proxy_protocol = ["10.0.0.4/32"] with the addresses that the Private Link Service connects from`})
		draft.broken = true
	}
}

// claim enters an ingress, or reports what is wrong with it.
func (l *loader) claim(draft *networkDraft, ingress zones.Ingress, at Place, text string, f *fault) bool {
	if _, twice := draft.ingresses[ingress]; f == nil && twice {
		f = alreadyFault(text)
	}
	if f != nil {
		l.rep.add(at, f)
		draft.broken = true
		return false
	}
	draft.ingresses[ingress] = at
	switch ingress.Kind {
	case zones.LinkIngress:
		draft.LinkIDs = append(draft.LinkIDs, ingress.Link)
	case zones.CertificateIngress:
		draft.Certificates = append(draft.Certificates, ingress.Name)
	case zones.PathIngress:
		draft.DoHPaths = append(draft.DoHPaths, ingress.Path)
	case zones.NameIngress:
		draft.ServerNames = append(draft.ServerNames, ingress.Name)
	}
	return true
}

// parsePath reads what follows the common path of DNS over HTTPS.
func parsePath(text string) (zones.Ingress, *fault) {
	if !bare(text) || len(text) > maxLabel {
		return zones.Ingress{}, faultf("write what follows "+zones.DoHPath+"/: up to 63 letters, digits, hyphens and underscores",
			"%q is no path", text)
	}
	return zones.Ingress{Kind: zones.PathIngress, Path: text}, nil
}
