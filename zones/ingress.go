package zones

import (
	"fmt"
	"net/netip"
)

// IngressKind is what an ingress is known by. The kinds are in the order in which the
// ingresses of one client are looked at: what Azure or a certificate vouches for
// before what a client merely says.
type IngressKind uint8

// The kinds of ingresses.
const (
	NoIngress          IngressKind = iota
	LinkIngress                    // the link id of a Private Link Service
	CertificateIngress             // a DNS name of the client's certificate
	PathIngress                    // the path of DNS over HTTPS
	NameIngress                    // the TLS server name, or the HTTP host
	ListenerIngress                // the local address
	ingressKinds
)

// DoHPath is the path of DNS over HTTPS (RFC 8484); what a [PathIngress] is known by
// follows it after a slash.
const DoHPath = "/dns-query"

// Ingress is one way to reach a network. It is comparable; the zero Ingress is none.
type Ingress struct {
	Kind     IngressKind
	Link     uint32
	Name     Name           // of a CertificateIngress or NameIngress
	Path     string         // of a PathIngress
	Listener netip.AddrPort // [::] stands for every local address with its port
}

// IsZero reports whether d is no ingress.
func (d Ingress) IsZero() bool { return d.Kind == NoIngress }

// String names the ingress in explanations and messages.
func (d Ingress) String() string {
	switch d.Kind {
	case LinkIngress:
		return fmt.Sprintf("link id %d", d.Link)
	case CertificateIngress:
		return fmt.Sprintf("certificate %s", d.Name)
	case PathIngress:
		return fmt.Sprintf("path %s/%s", DoHPath, d.Path)
	case NameIngress:
		return fmt.Sprintf("server name %s", d.Name)
	case ListenerIngress:
		return fmt.Sprintf("listener %s", d.Listener)
	default:
		return "no ingress"
	}
}

// NewListenerIngress is the ingress of a local address, in its one form.
func NewListenerIngress(listener netip.AddrPort) Ingress {
	if listener.Addr().IsUnspecified() {
		listener = anyAddress(listener.Port())
	} else {
		listener = netip.AddrPortFrom(plain(listener.Addr()), listener.Port())
	}
	return Ingress{Kind: ListenerIngress, Listener: listener}
}

// Ingresses are the ingresses that the network claims; none for a network that is known
// by its clients alone.
func (s *NetworkSpec) Ingresses() []Ingress {
	var ingresses []Ingress
	for _, link := range s.Links {
		ingresses = append(ingresses, Ingress{Kind: LinkIngress, Link: link})
	}
	for _, name := range s.Certificates {
		ingresses = append(ingresses, Ingress{Kind: CertificateIngress, Name: name})
	}
	for _, path := range s.Paths {
		ingresses = append(ingresses, Ingress{Kind: PathIngress, Path: path})
	}
	for _, name := range s.ServerNames {
		ingresses = append(ingresses, Ingress{Kind: NameIngress, Name: name})
	}
	for _, listener := range s.Listeners {
		ingresses = append(ingresses, NewListenerIngress(listener))
	}
	return ingresses
}

// behindShown gives the networks behind the first claimed ingress among what a client
// shows. Not decided: nothing of it matters here, and its listener comes next.
//
// A server name that nobody claims is passed over, because the server has names
// for everybody too. The others say who somebody is: whoever shows one that
// nobody claims, where such ingresses are in use, is a stranger, and must not be taken
// for a client that shows nothing.
func (t *Table) behindShown(shown *Shown) (candidates *prefixes, ingress Ingress, decided bool) {
	if shown.Linked && t.uses[LinkIngress] {
		candidates, ingress = t.claimed(Ingress{Kind: LinkIngress, Link: shown.Link})
		return candidates, ingress, true
	}
	if len(shown.Certificates) > 0 && t.uses[CertificateIngress] {
		for _, name := range shown.Certificates {
			if candidates, ingress = t.claimed(Ingress{Kind: CertificateIngress, Name: name}); candidates != t.nobody {
				break
			}
		}
		return candidates, ingress, true
	}
	if shown.Path != "" {
		candidates, ingress = t.claimed(Ingress{Kind: PathIngress, Path: shown.Path})
		return candidates, ingress, true
	}
	if !shown.ServerName.IsZero() {
		candidates, ingress = t.claimed(Ingress{Kind: NameIngress, Name: shown.ServerName})
		return candidates, ingress, candidates != t.nobody
	}
	return nil, Ingress{}, false
}

// claimed gives the networks behind an ingress: nobody if no network claims it.
func (t *Table) claimed(ingress Ingress) (*prefixes, Ingress) {
	if candidates, claimed := t.ingresses[ingress]; claimed {
		return candidates, ingress
	}
	return t.nobody, ingress
}
