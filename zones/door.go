package zones

import (
	"fmt"
	"net/netip"
)

// DoorKind is what a door is known by. The kinds are in the order in which the
// doors of one client are looked at: what Azure or a certificate vouches for
// before what a client merely says.
type DoorKind uint8

// The kinds of doors.
const (
	NoDoor          DoorKind = iota
	LinkDoor                 // the link id of a Private Link Service
	CertificateDoor          // a DNS name of the client's certificate
	PathDoor                 // the path of DNS over HTTPS
	NameDoor                 // the TLS server name, or the HTTP host
	ListenerDoor             // the local address
	doorKinds
)

// DoHPath is the path of DNS over HTTPS (RFC 8484); what a [PathDoor] is known by
// follows it after a slash.
const DoHPath = "/dns-query"

// Door is one way to reach a network. It is comparable; the zero Door is none.
type Door struct {
	Kind     DoorKind
	Link     uint32
	Name     Name           // of a CertificateDoor or NameDoor
	Path     string         // of a PathDoor
	Listener netip.AddrPort // [::] stands for every local address with its port
}

// IsZero reports whether d is no door.
func (d Door) IsZero() bool { return d.Kind == NoDoor }

// String names the door in explanations and messages.
func (d Door) String() string {
	switch d.Kind {
	case LinkDoor:
		return fmt.Sprintf("link id %d", d.Link)
	case CertificateDoor:
		return fmt.Sprintf("certificate %s", d.Name)
	case PathDoor:
		return fmt.Sprintf("path %s/%s", DoHPath, d.Path)
	case NameDoor:
		return fmt.Sprintf("server name %s", d.Name)
	case ListenerDoor:
		return fmt.Sprintf("listener %s", d.Listener)
	default:
		return "no door"
	}
}

// NewListenerDoor is the door of a local address, in its one form.
func NewListenerDoor(listener netip.AddrPort) Door {
	if listener.Addr().IsUnspecified() {
		listener = anyAddress(listener.Port())
	} else {
		listener = netip.AddrPortFrom(plain(listener.Addr()), listener.Port())
	}
	return Door{Kind: ListenerDoor, Listener: listener}
}

// Doors are the doors that the network claims; none for a network that is known
// by its clients alone.
func (s *NetworkSpec) Doors() []Door {
	var doors []Door
	for _, link := range s.Links {
		doors = append(doors, Door{Kind: LinkDoor, Link: link})
	}
	for _, name := range s.Certificates {
		doors = append(doors, Door{Kind: CertificateDoor, Name: name})
	}
	for _, path := range s.Paths {
		doors = append(doors, Door{Kind: PathDoor, Path: path})
	}
	for _, name := range s.ServerNames {
		doors = append(doors, Door{Kind: NameDoor, Name: name})
	}
	for _, listener := range s.Listeners {
		doors = append(doors, NewListenerDoor(listener))
	}
	return doors
}

// behindShown gives the networks behind the first claimed door among what a client
// shows. Not decided: nothing of it matters here, and its listener comes next.
//
// A server name that nobody claims is passed over, because the server has names
// for everybody too. The others say who somebody is: whoever shows one that
// nobody claims, where such doors are in use, is a stranger, and must not be taken
// for a client that shows nothing.
func (t *Table) behindShown(shown *Shown) (candidates *prefixes, door Door, decided bool) {
	if shown.Linked && t.uses[LinkDoor] {
		candidates, door = t.claimed(Door{Kind: LinkDoor, Link: shown.Link})
		return candidates, door, true
	}
	if len(shown.Certificates) > 0 && t.uses[CertificateDoor] {
		for _, name := range shown.Certificates {
			if candidates, door = t.claimed(Door{Kind: CertificateDoor, Name: name}); candidates != t.nobody {
				break
			}
		}
		return candidates, door, true
	}
	if shown.Path != "" {
		candidates, door = t.claimed(Door{Kind: PathDoor, Path: shown.Path})
		return candidates, door, true
	}
	if !shown.ServerName.IsZero() {
		candidates, door = t.claimed(Door{Kind: NameDoor, Name: shown.ServerName})
		return candidates, door, candidates != t.nobody
	}
	return nil, Door{}, false
}

// claimed gives the networks behind a door: nobody if no network claims it.
func (t *Table) claimed(door Door) (*prefixes, Door) {
	if candidates, claimed := t.doors[door]; claimed {
		return candidates, door
	}
	return t.nobody, door
}
