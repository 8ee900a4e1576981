package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pldns/zones"
)

// routes is one forward table while the files are read.
type routes map[zones.Name]routeDraft

type routeDraft struct {
	upstream string
	place    Place
}

// forward reads the forward table of one file into routes, which it makes if the
// table is the first.
func (l *loader) forward(root table, into routes) routes {
	t, given := root.sub("forward")
	if !given {
		return into
	}
	if into == nil {
		into = make(routes)
	}
	for _, key := range t.keys() {
		value, _ := t.get(key)
		l.route(t.place(key), key, value, into)
	}
	return into
}

// route reads one entry of a forward table.
func (l *loader) route(at Place, key string, value any, into routes) {
	if names := unquoted(key, value); len(names) > 0 {
		l.rep.add(at, unquotedFault(names))
		return
	}
	suffix, f := zones.Root(), (*fault)(nil)
	if key != "." {
		suffix, f = parseSuffix(key)
	}
	if f != nil {
		l.rep.add(at, f)
		return
	}
	upstream, is := value.(string)
	if !is {
		l.rep.add(at, faultf("write the name of one upstream group", "is %s, not a string", kindOf(value)))
		return
	}
	if first, twice := into[suffix]; twice {
		if at.Released() && !first.place.Released() {
			return
		}
		l.rep.clash(at, first.place, faultf("keep one of the two", "%s is forwarded twice", suffix))
		return
	}
	into[suffix] = routeDraft{upstream, at}
}

// finishForward makes the top-level table and marks the groups it uses.
func (l *loader) finishForward() {
	if _, given := l.top[zones.Root()]; !given {
		if l.top == nil {
			l.top = make(routes)
		}
		l.top[zones.Root()] = routeDraft{upstream: defaultUpstream}
	}
	l.config.Forward = l.effective(l.top)
}

// networkForward is the table that holds for a network: its own in place of the
// top-level one, so that no tenant reaches another's servers by accident; only the
// root, which everybody needs, is inherited.
func (l *loader) networkForward(own routes) []Route {
	if own == nil {
		return l.config.Forward
	}
	if _, given := own[zones.Root()]; !given {
		own[zones.Root()] = l.top[zones.Root()]
	}
	return l.effective(own)
}

// effective lists a table by suffix, and marks the groups it uses.
func (l *loader) effective(table routes) []Route {
	var list []Route
	for _, suffix := range slices.SortedFunc(maps.Keys(table), zones.Name.Compare) {
		if route := table[suffix]; l.uses(route) {
			list = append(list, Route{suffix, route.upstream})
		}
	}
	return list
}

// uses marks a group that is asked; false, and a fault, where there is none.
func (l *loader) uses(route routeDraft) bool {
	group := l.groups[route.upstream]
	switch {
	case group != nil:
		group.used = true
	case route.upstream == defaultUpstream:
		l.groups[defaultUpstream] = &groupDraft{name: defaultUpstream, used: true, builtIn: true}
	default:
		l.undefinedUpstream(route)
		return false
	}
	return true
}

// undefinedUpstream reports a group that no file defines.
func (l *loader) undefinedUpstream(route routeDraft) {
	// A network's root may be inherited from the top level, which said so already.
	if l.undefined[route.place] {
		return
	}
	l.undefined[route.place] = true
	defined := slices.Sorted(maps.Keys(l.groups))
	if !slices.Contains(defined, defaultUpstream) {
		defined = append(defined, defaultUpstream)
	}
	remedy := fmt.Sprintf("define [%s], or write one of: %s", join("upstreams", route.upstream), strings.Join(defined, ", "))
	l.rep.add(route.place, faultf(remedy, "upstream group %q is not defined", route.upstream))
}
