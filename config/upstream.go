package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// groupDraft is an upstream group while the files are read.
type groupDraft struct {
	name      string
	place     Place
	servers   []entry
	bootstrap []entry
	policy    string
	maxQPS    float64
	broken    bool // whether a list of it is reported already
	used      bool
	builtIn   bool // whether no file defines it
}

// upstreams reads the groups of one file.
func (l *loader) upstreams(root table) {
	t, _ := root.sub("upstreams")
	l.labelled(t, "an upstream group", l.group)
}

// group reads what one file says about a group.
func (l *loader) group(name string, t table) {
	draft := l.groups[name]
	if draft == nil {
		draft = &groupDraft{name: name, place: t.here()}
		l.groups[name] = draft
	}
	t.only("servers", "policy", "max_qps", "bootstrap")
	if t.has("servers") {
		servers, ok := t.texts("servers", "168.63.129.16")
		draft.servers, draft.broken = append(draft.servers, servers...), draft.broken || !ok
	}
	if t.has("bootstrap") {
		bootstrap, ok := t.texts("bootstrap", "10.0.0.4")
		draft.bootstrap, draft.broken = append(draft.bootstrap, bootstrap...), draft.broken || !ok
	}
	if t.has("policy") {
		draft.policy = t.choice("policy", defaultPolicy, "fastest", "spread")
	}
	if value, given := t.value("max_qps"); given {
		const remedy = "write a number of queries a second above 0, or leave it out for no limit"
		draft.maxQPS = l.number(t.place("max_qps"), value, maxMaxQPS, remedy)
	}
}

// finishUpstreams makes the groups that all files together define.
func (l *loader) finishUpstreams() {
	for _, name := range slices.Sorted(maps.Keys(l.groups)) {
		draft := l.groups[name]
		if draft.builtIn {
			system := Server{Text: "system", System: true, Transport: "udp"}
			l.config.Upstreams = append(l.config.Upstreams, Upstream{Name: name, Policy: defaultPolicy, Servers: []Server{system}})
			continue
		}
		l.config.Upstreams = append(l.config.Upstreams, l.finishGroup(draft))
	}
}

// finishGroup checks one group that the operator defined.
func (l *loader) finishGroup(draft *groupDraft) Upstream {
	if !draft.used {
		l.rep.add(draft.place, &fault{"nothing is forwarded to this group",
			fmt.Sprintf(`add "." = %q or another suffix to [forward], name it in [shadow], or remove the group`, draft.name)})
	}
	if len(draft.servers) == 0 && !draft.broken {
		l.rep.add(draft.place, &fault{"has no servers", `add servers = ["168.63.129.16"] or other addresses`})
	}
	group := Upstream{Name: draft.name, Policy: cmp.Or(draft.policy, defaultPolicy), MaxQPS: draft.maxQPS}
	bootstrap := l.bootstrap(draft)
	seen := make(map[string]Place)
	host := "" // the name that the bootstrap addresses are of
	for _, e := range draft.servers {
		server, f := parseServer(e.text, bootstrap)
		if f == nil {
			f = l.serverFault(server, host)
		}
		if f != nil {
			l.rep.add(e.place, f)
			draft.broken = true
			continue
		}
		if first, twice := seen[server.identity()]; twice {
			l.rep.clash(e.place, first, faultf("keep one of the two", "%q is given twice", e.text))
		}
		seen[server.identity()] = e.place
		if len(server.Bootstrap) > 0 {
			host = server.Name
		}
		group.Servers = append(group.Servers, server)
	}
	if host == "" && len(bootstrap) > 0 && !draft.broken {
		l.rep.add(draft.bootstrap[0].place, &fault{"no server of this group needs a bootstrap address",
			"remove bootstrap, or name the server in an https:// or h3:// URL"})
	}
	return group
}

// bootstrap reads the addresses of a group's server that has a URL.
func (l *loader) bootstrap(draft *groupDraft) []netip.Addr {
	var addrs []netip.Addr
	for _, e := range draft.bootstrap {
		addr, f := parseAddr(e.text, "10.0.0.4")
		if kind := unusable(addr); f == nil && kind != "" {
			f = faultf("write an IP address of the server", "%q is %s", e.text, kind)
		}
		if f != nil {
			l.rep.add(e.place, f)
		}
		addrs = append(addrs, addr) // faulty or not: it was meant to be one
	}
	if draft.broken {
		addrs = append(addrs, netip.Addr{}) // what is in the faulty list may be one
	}
	return addrs
}

// serverFault refuses a server that is ourselves, and a second name for one list
// of bootstrap addresses.
func (l *loader) serverFault(server Server, host string) *fault {
	if len(server.Bootstrap) > 0 && host != "" && server.Name != host {
		return faultf("give it a group of its own", "bootstrap holds the addresses of %s, not of %s", host, server.Name)
	}
	addrs := server.Bootstrap
	if server.Addr.IsValid() {
		addrs = []netip.AddrPort{server.Addr}
	}
	for _, addr := range addrs {
		for _, open := range l.config.Listen.DNS {
			if opens(open, addr) && (!open.Addr().IsUnspecified() || addr.Addr().IsLoopback()) {
				return faultf("write the address of another server", "%q is our own listener: every query would come back", server.Text)
			}
		}
	}
	return nil
}

// identity is the same for two spellings of one server.
func (s *Server) identity() string {
	if s.System {
		return "system"
	}
	return fmt.Sprint(s.Transport, " ", s.Addr, " ", s.Name, " ", s.URL)
}
