package config

import "slices"

// Traffic says what is kept of traffic.
type Traffic struct {
	// State is the file in which its history outlives the program; empty for none.
	State string
	// Top says that names and clients are listed that are asked for and ask most.
	Top bool
}

// traffic reads what is kept of traffic. It comes behind all that names files. Where
// history is belongs to the machine, whatever a release says; what is listed is as the
// release says, unless the machine's own file does.
func (l *loader) traffic(root, released table, files files) {
	t, _ := root.sub("traffic")
	t.only("state", "top")
	shared, _ := released.sub("traffic")
	shared.only("state", "top")
	if t.has("top") && !l.own {
		l.config.Traffic.Top = t.boolean("top", defaultTop)
	} else {
		l.config.Traffic.Top = shared.boolean("top", defaultTop)
	}
	const example = "/var/lib/pldns/traffic.json"
	state, given := t.text("state", example)
	if !given {
		return
	}
	if state == "" {
		l.rep.add(t.place("state"), faultf("write the path of a file, or remove it", "is empty"))
		return
	}
	state = files.path(state)
	taken := append(l.config.TLS.Files(), l.main, l.config.Listen.AdminTokenFile)
	taken = append(taken, l.config.QueryLog.Files()...)
	for _, a := range l.config.Azure {
		taken = append(taken, a.State)
	}
	if slices.Contains(taken, state) {
		l.rep.add(t.place("state"), faultf("name a file of its own", "%q is in use for something else", state))
		return
	}
	l.config.Traffic.State = state
}
