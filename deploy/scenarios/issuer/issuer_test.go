package issuer

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

// A certificate is good for its names, by the authority alone that issued it.
func TestIssue(t *testing.T) {
	a, err := New()
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := a.Issue("*.database.windows.net", "10.0.1.4")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	other, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		by   *Authority
		name string
		good bool
	}{
		{a, "mydb.database.windows.net", true},
		{a, "10.0.1.4", true},
		{a, "mydb.privatelink.database.windows.net", false},
		{a, "10.0.1.5", false},
		{other, "mydb.database.windows.net", false},
	} {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(row.by.PEM))
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: row.name}); (err == nil) != row.good {
			t.Errorf("%s: %v, want it good: %v", row.name, err, row.good)
		}
	}
	if _, _, err := a.Issue(); err == nil {
		t.Error("a certificate for no name")
	}
}
