package config_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pldns/config"
)

// issued puts a certificate for some hosts, and its key of a kind, into NAME.crt and NAME.key.
func issued(t *testing.T, files fstest.MapFS, name, kind string, hosts ...string) {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "RSA":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(1000 * time.Hour)}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files[name+".crt"] = &fstest.MapFile{Data: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})}
	files[name+".key"] = &fstest.MapFile{Data: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})}
}

// secureOf loads a configuration with certificates, of which the first is that of [tls].
func secureOf(t *testing.T, files fstest.MapFS, names ...string) config.Secure {
	t.Helper()
	toml := "[listen]\ndot = [\":853\"]\n"
	for i, name := range names {
		table := "tls"
		if i > 0 {
			table = "tls.certificates." + name
		}
		toml += fmt.Sprintf("[%s]\ncert = \"%s.crt\"\nkey = \"%[2]s.key\"\n", table, name)
	}
	c, err := config.Parse("pldns.toml", []byte(toml+"[networks.hub]\nclients = [\"10.0.0.0/16\"]\n"), files)
	if err != nil {
		t.Fatal(err)
	}
	return c.TLS
}

// TestWhichCertificate: which certificates are for a name, and in which order.
func TestWhichCertificate(t *testing.T) {
	files := make(fstest.MapFS)
	issued(t, files, "old", "RSA", "dns.contoso.net", "10.0.0.4")
	issued(t, files, "new", "ECDSA", "DNS.contoso.net", "new.contoso.net")
	issued(t, files, "wild", "ECDSA", "*.contoso.net", "*.tenants.contoso.net", "fd00::4")
	issued(t, files, "wildrsa", "RSA", "*.contoso.net")
	issued(t, files, "edwards", "Ed25519", "fabrikam.contoso.net")
	secure := secureOf(t, files, "old", "new", "wild", "wildrsa", "edwards")
	for name, want := range map[string]string{
		"":                                "default new",
		"dns.contoso.net":                 "new default wild wildrsa",
		"Dns.Contoso.Net.":                "new default wild wildrsa",
		"fabrikam.contoso.net":            "edwards wild wildrsa",
		"other.contoso.net":               "wild wildrsa",
		"one.tenants.contoso.net":         "wild",
		"tenants.contoso.net":             "wild wildrsa",
		"deep.one.tenants.contoso.net":    "",
		"contoso.net":                     "",
		".contoso.net":                    "",
		"10.0.0.4":                        "default",
		"fd00:0::4":                       "wild",
		"10.0.0.5":                        "",
		"net":                             "",
		"dns.contoso.net.evil.example":    "",
		"xn--bcher-kva.contoso.net":       "wild wildrsa",
		strings.Repeat("a", 300) + ".net": "",
	} {
		var got []string
		for _, c := range secure.For(name) {
			got = append(got, c.Name)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("for %q: %q, want %q", name, text, want)
		}
	}
	if none := new(config.Secure).For(""); none != nil {
		t.Errorf("of none: %v", none)
	}
}

// What is chosen for a name is what clients take for it, and nothing that they take is
// missed (RFC 9525).
func TestCertificatesAsClientsSeeThem(t *testing.T) {
	files := make(fstest.MapFS)
	issued(t, files, "a", "ECDSA", "a.example", "*.example", "*.b.example", "a.b.example", "UPPER.example", "192.0.2.1")
	issued(t, files, "b", "ECDSA", "*.a.example", "b.example", "x.a.b.example", "_dns.example")
	secure := secureOf(t, files, "a", "b")
	labels := []string{"a", "b", "x", "upper", "_dns", "EXAMPLE", "example"}
	names := slices.Clone(labels)
	for range 3 {
		for _, name := range slices.Clone(names) {
			for _, label := range labels {
				names = append(names, label+"."+name)
			}
		}
		if len(names) > 5000 {
			break
		}
	}
	for _, name := range append(names, "192.0.2.1", "192.0.2.2") {
		found := secure.For(name)
		for i := range secure.Certificates {
			c := &secure.Certificates[i]
			if fits, chosen := c.Leaf().VerifyHostname(name) == nil, slices.Contains(found, c); fits != chosen {
				t.Errorf("%s for %s: a client takes it: %t, it is chosen: %t", c.Name, name, fits, chosen)
			}
		}
	}
}
