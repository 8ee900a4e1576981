package certificates_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// chain is a certificate with its key, and those above it, the nearest first.
type chain struct {
	key   crypto.Signer
	leaf  *x509.Certificate
	above []*x509.Certificate
}

// newChain has a certificate issued for a name until a time.
func newChain(t *testing.T, name string, until time.Time) (c chain) {
	t.Helper()
	type pair struct {
		certificate *x509.Certificate
		key         crypto.Signer
	}
	issue := func(by pair, template *x509.Certificate, key crypto.Signer) pair {
		template.SerialNumber, template.NotBefore = big.NewInt(time.Now().UnixNano()), time.Now().Add(-48*time.Hour)
		if by.key == nil {
			by = pair{template, key}
		}
		raw, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
		if err != nil {
			t.Fatal(err)
		}
		made, err := x509.ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		return pair{made, key}
	}
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048) // as vaults make by themselves
	if err != nil {
		t.Fatal(err)
	}
	authority := func(name string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour * 9000)}
	}
	root := issue(pair{}, authority("root"), elliptical)
	between := issue(root, authority("between"), elliptical)
	leaf := issue(between, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: until}, key)
	return chain{key, leaf.certificate, []*x509.Certificate{between.certificate, root.certificate}}
}

// pkcs12 is the chain as a vault exports it.
func (c chain) pkcs12(t *testing.T, encoder *pkcs12.Encoder) string {
	t.Helper()
	raw, err := encoder.Encode(c.key, c.leaf, c.above, "")
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// pem is the chain in the other form that vaults know, with the certificates in an order.
func (c chain) pem(t *testing.T, order ...*x509.Certificate) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	for _, certificate := range order {
		text += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	}
	return text
}

// secret is what a vault says of a certificate.
type secret struct {
	Value       string `json:"value"`
	ContentType string `json:"contentType"`
}

// newVault is a vault with secrets by name, which may change, and where its machine is told
// who it is.
func newVault(t *testing.T, secrets *sync.Map) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, is := secrets.Load(strings.TrimPrefix(r.URL.Path, "/secrets/"))
		switch {
		case r.URL.Path == "/metadata/identity/oauth2/token":
			if r.Header.Get("Metadata") != "true" || r.FormValue("resource") != "https://vault.azure.net" || r.FormValue("api-version") == "" ||
				r.FormValue("client_id") != "7d1c9a52" {
				http.Error(w, r.URL.String(), http.StatusBadRequest)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"access_token": "it's me"})
		case r.Header.Get("Authorization") != "Bearer it's me":
			http.Error(w, "who are you?", http.StatusUnauthorized)
		case r.FormValue("api-version") == "" || !is:
			http.Error(w, "there is no such secret", http.StatusNotFound)
		default:
			_ = json.NewEncoder(w).Encode(found)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestKeyVault: what a vault exports is two files afterwards, the certificate first, whatever
// its form and the algorithms in it; and what is none changes nothing.
func TestKeyVault(t *testing.T) {
	needs(t, "openssl", "flock", "curl", "jq")
	c := newChain(t, "dns.contoso.net", time.Now().Add(1000*time.Hour))
	old := newChain(t, "dns.contoso.net", time.Now().Add(-time.Hour))
	key, certificates := c.pem(t), strings.TrimPrefix(c.pem(t, c.leaf), c.pem(t))
	const p12, text = "application/x-pkcs12", "application/x-pem-file"
	secrets := new(sync.Map)
	for name, held := range map[string]secret{
		"modern": {c.pkcs12(t, pkcs12.Modern2023), p12}, "des": {c.pkcs12(t, pkcs12.LegacyDES), p12}, "rc2": {c.pkcs12(t, pkcs12.LegacyRC2), p12},
		"pem": {c.pem(t, c.leaf, c.above[0], c.above[1]), text}, "pem-backwards": {c.pem(t, c.above[1], c.above[0], c.leaf), text},
		"not-exportable": {certificates, text}, "key-alone": {key, text}, "of-another": {c.pem(t, old.leaf), text}, "over": {old.pem(t, old.leaf), text},
		"password": {"hunter2", ""}, "broken": {"bm90aGluZw==", p12},
	} {
		secrets.Store(name, held)
	}
	url := newVault(t, secrets)
	env := []string{"IMDS=" + url, "CLIENT_ID=7d1c9a52", "TOKEN="}
	for name, want := range map[string]string{
		"modern": "", "des": "", "rc2": "", "pem": "", "pem-backwards": "",
		"not-exportable": "is the certificate exportable?", "key-alone": "no certificate for its key", "of-another": "no certificate for its key",
		"over": "has expired", "password": "is no certificate", "broken": "is no PKCS#12", "absent": "Key Vault Secrets User",
	} {
		folder := filepath.Join(t.TempDir(), "certificates")
		said, ok := script(t, folder, "from-key-vault", env, "default", url+"/secrets/"+name)
		_, err := os.Stat(filepath.Join(folder, "default"))
		if ok != (want == "") || !strings.Contains(said, want) || (err == nil) != ok {
			t.Errorf("%s: content: %t, files: %v, and it says %s", name, ok, err, said)
		}
		if !ok {
			continue
		}
		pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "default", "tls.crt"), filepath.Join(folder, "default", "tls.key"))
		if err != nil || !bytes.Equal(pair.Certificate[0], c.leaf.Raw) || len(pair.Certificate) != 3 {
			t.Errorf("%s: %d certificates, %v", name, len(pair.Certificate), err)
		}
		info, err := os.Stat(filepath.Join(folder, "default", "tls.key"))
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: the key has %v, %v", name, info.Mode(), err)
		}
	}
	for what, row := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"nobody's identity": {[]string{"IMDS=" + url, "CLIENT_ID=another", "TOKEN="}, []string{"default", url + "/secrets/pem"}, "no token of a managed identity"},
		"a bad token":       {[]string{"TOKEN=wrong"}, []string{"default", url + "/secrets/pem"}, "Key Vault Secrets User"},
		"no URL":            {env, []string{"default", "pem"}, "is not as https://"},
		"a bad name":        {env, []string{"../default", url + "/secrets/pem"}, "is no name"},
		"nothing":           {env, nil, "say NAME"},
	} {
		folder := filepath.Join(t.TempDir(), "certificates")
		if said, ok := script(t, folder, "from-key-vault", row.env, row.args...); ok || !strings.Contains(said, row.want) {
			t.Errorf("%s: content: %t, and it says %s", what, ok, said)
		}
	}
}

// TestRotationInKeyVault: a new version in the vault is there after the next run, at once, and
// the files of the one before are gone; a run without one changes nothing.
func TestRotationInKeyVault(t *testing.T) {
	needs(t, "openssl", "flock", "curl", "jq")
	folder, secrets := filepath.Join(t.TempDir(), "certificates"), new(sync.Map)
	url := newVault(t, secrets)
	next := func() (said, at string) {
		said, ok := script(t, folder, "from-key-vault", []string{"TOKEN=it's me"}, "default", url+"/secrets/dns")
		if !ok {
			t.Fatal(said)
		}
		return said, target(t, folder)
	}
	c := newChain(t, "dns.contoso.net", time.Now().Add(1000*time.Hour))
	secrets.Store("dns", secret{c.pkcs12(t, pkcs12.LegacyRC2), "application/x-pkcs12"})
	_, first := next()
	if said, again := next(); again != first || said != "" {
		t.Errorf("the same version: %s", said)
	}
	c = newChain(t, "dns.contoso.net", time.Now().Add(1000*time.Hour))
	secrets.Store("dns", secret{c.pkcs12(t, pkcs12.LegacyRC2), "application/x-pkcs12"})
	if said, second := next(); second == first || !strings.Contains(said, "notAfter=") {
		t.Errorf("a new version: %s", said)
	}
	if _, err := os.Stat(filepath.Join(folder, first)); !os.IsNotExist(err) {
		t.Errorf("the one before: %v", err)
	}
}
