//go:build linux

package lab

import (
	"fmt"

	"pldns/deploy/scenarios/issuer"
)

// Authority issues the certificates of a lab, in the place of those that browsers
// and drivers trust.
type Authority struct {
	lab    *Lab
	File   string // its certificate, as PEM
	issuer *issuer.Authority
	issued int
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
	return &Authority{lab: l, issuer: made, File: l.File("authority.pem", made.PEM)}
}

// Issue makes a certificate for host names, which may begin with a wildcard, and
// IP addresses.
func (a *Authority) Issue(names ...string) Certificate {
	a.lab.tb.Helper()
	cert, key, err := a.issuer.Issue(names...)
	if err != nil {
		a.lab.tb.Fatal(err)
	}
	a.issued++
	return Certificate{
		Cert: a.lab.File(fmt.Sprintf("site-%d.pem", a.issued), cert),
		Key:  a.lab.File(fmt.Sprintf("site-%d.key", a.issued), key),
	}
}
