package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Clients says what clients are called, for people who read logs and pages.
type Clients struct {
	// Files are hosts files and leases of DHCP servers, by the network that they hold for;
	// those of the empty name hold for all.
	Files map[string][]string
	// Reverse says that a client without a name is looked up by its address, as its
	// network does.
	Reverse bool
}

// IsZero tells whether nobody is called anything.
func (c Clients) IsZero() bool { return len(c.Files) == 0 && !c.Reverse }

// Equal tells whether two say the same.
func (c Clients) Equal(other Clients) bool {
	return c.Reverse == other.Reverse && maps.EqualFunc(c.Files, other.Files, slices.Equal)
}

// clientNames reads what clients are called. The files are the machine's own, so a release
// says nothing of it.
func (l *loader) clientNames(root table, files files) {
	t, given := root.sub("clients")
	if !given {
		return
	}
	t.only("files", "reverse", "networks")
	l.config.Clients = Clients{Files: make(map[string][]string), Reverse: t.boolean("reverse", false)}
	l.clientFiles(t, "", files)
	networks, _ := t.sub("networks")
	l.labelled(networks, "a network", func(name string, inner table) {
		inner.only("files")
		l.clientFiles(inner, name, files)
		l.calledPlaces = append(l.calledPlaces, inner.here())
		l.called = append(l.called, name)
	})
}

// clientFiles reads the files of one network.
func (l *loader) clientFiles(t table, network string, files files) {
	const example = "/var/lib/misc/dnsmasq.leases"
	entries, _ := t.texts("files", example)
	list, _ := distinct(l.rep, entries, func(text string) (path string, f *fault) {
		switch {
		case text == "":
			f = faultf(fmt.Sprintf("write the path of a file, such as %q, or remove it", example), "is empty")
		case strings.ContainsAny(text, "*?["):
			f = faultf("name each file", "%q is a pattern", text)
		}
		return files.path(text), f
	})
	if len(list) > 0 {
		l.config.Clients.Files[network] = list
	}
}

// finishClients refuses names of clients of a network that there is not. Which there are is
// not known here where a release has them.
func (l *loader) finishClients() {
	for i, name := range l.called {
		if _, known := l.drafts[name]; !known && l.config.Store == nil && !l.own {
			l.rep.add(l.calledPlaces[i], faultf("write one of: "+strings.Join(slices.Sorted(maps.Keys(l.drafts)), ", "),
				"network %q is not defined", name))
		}
	}
}
