//go:build linux

package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Authority issues the certificates of a lab, in the place of those that browsers
// and drivers trust.
type Authority struct {
	lab    *Lab
	File   string // its certificate, as PEM
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// Certificate is one that an authority issued: the files of it and of its key.
type Certificate struct {
	Cert, Key string
}

// Authority makes a new authority.
func (l *Lab) Authority() *Authority {
	l.tb.Helper()
	a := &Authority{lab: l, key: l.key()}
	template := a.template("authority of the lab")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.cert = template
	der := a.sign(template, a.key)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		l.tb.Fatal(err)
	}
	a.cert = cert
	a.File = l.File("authority.pem", block("CERTIFICATE", der))
	return a
}

// Issue makes a certificate for host names, which may begin with a wildcard, and
// IP addresses.
func (a *Authority) Issue(names ...string) Certificate {
	a.lab.tb.Helper()
	template := a.template(names[0])
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	key := a.lab.key()
	der := a.sign(template, key)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.lab.tb.Fatal(err)
	}
	return Certificate{
		Cert: a.lab.File(fmt.Sprintf("site-%d.pem", a.serial), block("CERTIFICATE", der)),
		Key:  a.lab.File(fmt.Sprintf("site-%d.key", a.serial), block("PRIVATE KEY", secret)),
	}
}

func (a *Authority) template(name string) *x509.Certificate {
	a.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func (a *Authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	a.lab.tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.lab.tb.Fatal(err)
	}
	return der
}

func (l *Lab) key() *ecdsa.PrivateKey {
	l.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		l.tb.Fatal(err)
	}
	return key
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
