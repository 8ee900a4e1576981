package zones

import (
	"fmt"
	"net/netip"
	"unique"
)

// ProbeKind is what a probe takes for a sign of life.
type ProbeKind uint8

// The kinds of probes.
const (
	TCPProbe   ProbeKind = iota // a connection is accepted
	TLSProbe                    // and a certificate is shown that is good for the real name
	HTTPSProbe                  // and a request is answered, with a status below 500
)

// String is the word used in the configuration file.
func (k ProbeKind) String() string {
	switch k {
	case TLSProbe:
		return "tls"
	case HTTPSProbe:
		return "https"
	default:
		return "tcp"
	}
}

// ProbeSpec says how an address is probed.
type ProbeSpec struct {
	Kind ProbeKind
	Port uint16
	// Name is the real name, which the certificate must be for and which is asked
	// for over HTTPS. A TCPProbe has none.
	Name Name
	// Path is what an HTTPSProbe asks for, from the first slash on.
	Path string
}

// Probe is how it is found out whether an address is healthy. The zero Probe is
// none. It is comparable, and small: endpoints are many, and so are looks at the
// health of an address.
type Probe struct{ spec unique.Handle[ProbeSpec] }

// NewProbe is the probe that a specification describes.
func NewProbe(spec ProbeSpec) Probe { return Probe{unique.Make(spec)} }

// IsZero reports whether p is no probe.
func (p Probe) IsZero() bool { return p == Probe{} }

// Spec is what the probe was made of; that of no probe is the zero ProbeSpec.
func (p Probe) Spec() ProbeSpec {
	if p.IsZero() {
		return ProbeSpec{}
	}
	return p.spec.Value()
}

// Alike reports whether two probes differ at most in the name that they are about:
// the public names of one private name are probed by the first of them.
func (p Probe) Alike(other Probe) bool {
	a, b := p.Spec(), other.Spec()
	a.Name, b.Name = Name{}, Name{}
	return a == b && p.IsZero() == other.IsZero()
}

// String is the probe as the configuration file has it, empty for none.
func (p Probe) String() string {
	if p.IsZero() {
		return ""
	}
	spec := p.Spec()
	return fmt.Sprintf("%s:%d%s", spec.Kind, spec.Port, spec.Path)
}

// Target is an address as one probe sees it. Endpoints that name the same target
// share its health.
type Target struct {
	Addr  netip.Addr
	Probe Probe
}

// AddrPort is where the target is probed.
func (t Target) AddrPort() netip.AddrPort { return netip.AddrPortFrom(t.Addr, t.Probe.Spec().Port) }

// Targets are what must be probed for the endpoints of all networks, each once.
func (t *Table) Targets() []Target {
	seen := make(map[Target]bool)
	var targets []Target
	for _, network := range t.networks {
		for endpoint := range network.Endpoints() {
			probe := endpoint.Probe()
			if probe.IsZero() {
				continue
			}
			for _, addr := range endpoint.Addresses() {
				if target := (Target{addr, probe}); !seen[target] {
					seen[target] = true
					targets = append(targets, target)
				}
			}
		}
	}
	return targets
}
