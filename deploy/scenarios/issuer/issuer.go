// Package issuer issues certificates for the servers of the scenarios, in the place
// of the authorities that browsers and drivers trust. They are good for a day, if nothing else is asked for.
package issuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"time"
)

// Authority issues certificates. It is not for several goroutines at once.
type Authority struct {
	PEM    string // its own certificate
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// New makes an authority with a key of its own. The error is that of the key or the
// certificate.
func New() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &Authority{key: key}
	a.cert = a.template("authority of the scenarios")
	a.cert.IsCA, a.cert.BasicConstraintsValid, a.cert.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	a.PEM = block("CERTIFICATE", der)
	return a, nil
}

// Issue makes a certificate for host names, which may begin with a wildcard, and IP
// addresses, and its key, both as PEM. The error is that of the key or the certificate.
func (a *Authority) Issue(names ...string) (cert, key string, err error) {
	return a.IssueUntil(time.Now().Add(24*time.Hour), names...)
}

// IssueUntil is [Authority.Issue] for a certificate that is good until a time, which may
// be past. The error is that of the key or the certificate.
func (a *Authority) IssueUntil(end time.Time, names ...string) (cert, key string, err error) {
	if len(names) == 0 {
		return "", "", errors.New("a certificate is for at least one name")
	}
	template := a.template(names[0])
	template.NotAfter = end
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &own.PublicKey, a.key)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return "", "", err
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", secret), nil
}

func (a *Authority) template(name string) *x509.Certificate {
	a.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
