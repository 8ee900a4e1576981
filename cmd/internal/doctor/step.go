package doctor

import (
	"net/netip"

	"pldns/cmd/internal/routes"
	"pldns/cmd/internal/vpn"
	"pldns/resolver"
)

// Verdict is how a step went.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Fail    Verdict = "fail"
	Note    Verdict = "note"    // nothing is broken, but somebody should know
	Skipped Verdict = "skipped" // it could not be tried, or was not to be
)

// Step is one thing that was tried. All its text is printable.
type Step struct {
	Name    string  `json:"step"`
	Verdict Verdict `json:"verdict"`
	// Seen is what was found, in one line.
	Seen string `json:"seen"`
	// Remedy is what to do about it; empty where there is nothing to do.
	Remedy string `json:"remedy,omitempty"`
	// Cause is why a step failed, if that has a name: why packets get lost, where the way to
	// the address is the reason, or why a server cannot be asked over a transport.
	Cause Cause `json:"cause,omitempty"`
	// Addresses are those that the step is about.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Route is how packets to the address leave.
	Route *routes.Route `json:"route,omitempty"`
}

// Report is everything that [Examine] or [Reach] found.
type Report struct {
	Name     string   `json:"name,omitempty"`
	Service  string   `json:"service,omitempty"` // as the catalogue calls it
	Port     uint16   `json:"port,omitempty"`
	Protocol Protocol `json:"protocol,omitempty"`
	Server   string   `json:"server,omitempty"` // the DNS server that was asked directly
	Steps    []Step   `json:"steps"`
	OK       bool     `json:"ok"` // no step failed
	// Tunnels are up, and carry private networks.
	Tunnels []routes.Interface `json:"tunnels,omitempty"`
	// Profiles are what VPN clients were assigned, or ask for.
	Profiles []vpn.Profile `json:"profiles,omitempty"`
}

// maxText bounds the text of a step in bytes: more than any honest chain needs.
const maxText = 2000

// maxForeign bounds what one text from the network may put into a step, in bytes.
const maxForeign = 200

// clean makes text safe to print on a terminal.
func clean(text string, limit int) string { return resolver.CleanText(text, limit) }

// foreign is a text from the network as it may stand in the text of a step.
func foreign(text string) string { return clean(text, maxForeign) }
