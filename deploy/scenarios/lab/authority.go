//go:build linux

package lab

import (
	"fmt"
	"time"

	"pldns/deploy/scenarios/issuer"
)

// Authority issues the certificates of a lab, in the place of those that browsers
// and drivers trust.
type Authority struct {
	lab    *Lab
	File   string // its certificate, as PEM
	issuer *issuer.Authority
	issued int
	number int
}

// Certificate is one that an authority issued: the files of it and of its key.
type Certificate struct {
	Cert, Key string
}

// Authority makes a new authority.
func (l *Lab) Authority() *Authority {
	l.tb.Helper()
	made, err := issuer.New()
	if err != nil {
		l.tb.Fatal(err)
	}
	l.authorities++
	return &Authority{lab: l, issuer: made, File: l.File(fmt.Sprintf("authority-%d.pem", l.authorities), made.PEM), number: l.authorities}
}

// Issue makes a certificate for host names, which may begin with a wildcard, and
// IP addresses.
func (a *Authority) Issue(names ...string) Certificate {
	a.lab.tb.Helper()
	return a.IssueUntil(time.Now().Add(24*time.Hour), names...)
}

// IssueUntil is [Authority.Issue] for a certificate that is good until a time, which may
// be past.
func (a *Authority) IssueUntil(end time.Time, names ...string) Certificate {
	a.lab.tb.Helper()
	cert, key, err := a.issuer.IssueUntil(end, names...)
	if err != nil {
		a.lab.tb.Fatal(err)
	}
	a.issued++
	return Certificate{
		Cert: a.lab.File(fmt.Sprintf("site-%d-%d.pem", a.number, a.issued), cert),
		Key:  a.lab.File(fmt.Sprintf("site-%d-%d.key", a.number, a.issued), key),
	}
}
