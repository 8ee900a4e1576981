package vpn

import (
	"net/netip"
	"path"
	"strings"
)

func isWireGuardConfig(text string) bool {
	return hasLine(text, "[Interface]") && hasLine(text, "[Peer]")
}

// hasLine tells whether a text has a line that is this, whatever the letter case.
func hasLine(text, want string) bool {
	for line := range strings.Lines(text) {
		if strings.EqualFold(strings.TrimSpace(line), want) {
			return true
		}
	}
	return false
}

// readWireGuardConfig reads a file of wg-quick(8), whose name is that of the interface.
func readWireGuardConfig(origin, text string) []Profile {
	name := strings.TrimSuffix(path.Base(strings.ReplaceAll(origin, `\`, "/")), ".conf")
	p := Profile{Client: WireGuard, Name: name, Interface: name}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		key, value, found := strings.Cut(line, "=")
		if !found {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "address":
			for text := range strings.SplitSeq(value, ",") {
				address, _, _ := strings.Cut(strings.TrimSpace(text), "/")
				if addr, err := netip.ParseAddr(address); err == nil && len(p.Addresses) < maxRoutes {
					p.Addresses = append(p.Addresses, addr)
				}
			}
		case "allowedips":
			p.allowed(value)
		}
	}
	return []Profile{p}
}

// allowed takes a list of AllowedIPs, of which one may go without its length.
func (p *Profile) allowed(list string) {
	for text := range strings.SplitSeq(list, ",") {
		address, mask, _ := strings.Cut(strings.TrimSpace(text), "/")
		if prefix, ok := masked(address, mask); ok {
			p.route(prefix)
		}
	}
}

// The columns of wg show all dump: an interface has five, a peer nine.
const (
	interfaceColumns = 5
	peerColumns      = 9
	columnAllowed    = 4
	columnHandshake  = 5
)

func isWireGuardDump(text string) bool {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.Count(first, "\t") == interfaceColumns-1
}

// readWireGuardDump reads the output of "wg show all dump". The columns with keys are
// not looked at.
func readWireGuardDump(text string) []Profile {
	var all interfaces
	for line := range strings.Lines(text) {
		columns := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		switch len(columns) {
		case interfaceColumns:
			all.of(columns[0])
		case peerColumns:
			all.of(columns[0]).peer(columns[columnAllowed], columns[columnHandshake] != "0")
		}
	}
	return all.profiles()
}

func isWireGuardShow(text string) bool {
	return strings.HasPrefix(strings.TrimSpace(text), "interface: ")
}

// readWireGuardShow reads the output of "wg show", as people pass it on.
func readWireGuardShow(text string) []Profile {
	var all interfaces
	var now *state
	var allowed string
	var answered, peer bool
	flush := func() {
		if peer {
			now.peer(allowed, answered)
		}
		allowed, answered, peer = "", false, false
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "interface":
			flush()
			now = all.of(value)
		case "peer":
			flush()
			peer = now != nil
		case "allowed ips":
			allowed = value
		case "latest handshake":
			answered = true
		}
	}
	flush()
	return all.profiles()
}

// interfaces are those that wg shows, in its order.
type interfaces []*state

// state is an interface with what its peers allow.
type state struct {
	Profile
	peers, answered int
}

// of is the interface of a name; beyond the bound it is one that nobody is told of.
func (all *interfaces) of(name string) *state {
	for _, one := range *all {
		if one.Interface == name {
			return one
		}
	}
	one := &state{Profile: Profile{Client: WireGuard, Name: name, Interface: name, Assigned: true}}
	if len(*all) < maxProfiles {
		*all = append(*all, one)
	}
	return one
}

func (s *state) peer(allowed string, answered bool) {
	s.allowed(strings.TrimSuffix(allowed, "(none)"))
	s.peers++
	if answered {
		s.answered++
	}
}

func (all interfaces) profiles() []Profile {
	var profiles []Profile
	for _, one := range all {
		one.Silent = one.peers > 0 && one.answered == 0
		profiles = append(profiles, one.Profile)
	}
	return profiles
}
