package doctor

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"pldns/zones"
	"pldns/zones/azure"
)

// look is what was found of the certificate at one address.
type look struct {
	err error // no certificate was shown
	judgement
	ended error // the handshake failed after the certificate was shown
}

// newLook judges what a handshake brought.
func newLook(shown []*x509.Certificate, err error, name zones.Name, roots *x509.CertPool, now time.Time) look {
	if len(shown) == 0 {
		return look{err: err}
	}
	return look{judgement: judge(shown, name.String(), roots, now), ended: err}
}

// good tells whether a client that verifies is content.
func (l look) good() bool { return l.err == nil && len(l.faults) == 0 }

// step is the look as a step of an examination.
func (l look) step(catalogue *azure.Catalogue, name zones.Name, protocol Protocol, timeout time.Duration) Step {
	step := Step{Name: "certificate", Verdict: OK}
	if l.err != nil {
		step.Verdict = Fail
		step.Seen, step.Remedy = handshakeFault(protocol, l.err, timeout)
		return step
	}
	if l.good() {
		step.Seen = fmt.Sprintf("the certificate is valid for %s: %s", name, describe(l.leaf))
		if l.ended != nil {
			step.Verdict = Note
			step.Seen += "; the server then ended the handshake: " + foreign(l.ended.Error())
			step.Remedy = "it may ask for a client certificate, which is not for this command to show"
		}
		return step
	}
	step.Verdict = Fail
	faults := slices.Clone(l.faults)
	if !l.named {
		faults[0].remedy = wrongName(catalogue, name)
	}
	step.Seen, step.Remedy = seenOf(faults), remediesOf(faults)
	return step
}

// wrongName is what to do about a certificate for another name.
func wrongName(catalogue *azure.Catalogue, name zones.Name) string {
	if _, private := catalogue.ZoneOf(name); !private {
		return "check that the address is that of this name's private endpoint"
	}
	const why = "clients must connect by the public name: neither the private name nor an address ever verifies"
	if public := catalogue.PublicNames(name); len(public) > 0 {
		return fmt.Sprintf("%s; connect to %s", why, public[0])
	}
	return why
}
