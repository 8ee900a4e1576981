package main

import (
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pldns/resolver/resolvertest"
)

// Servers that nobody else can read are asked as the file says, and known by their
// certificates.
func TestSecureUpstreams(t *testing.T) {
	t.Parallel()
	authority := resolvertest.NewAuthority(t)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Root()}), 0o600); err != nil {
		t.Fatal(err)
	}
	for scheme, form := range map[resolvertest.Transport]string{
		resolvertest.TLS: "tls://%[1]s#%[2]s", resolvertest.QUIC: "quic://%[1]s#%[2]s",
		resolvertest.HTTPS: "https://%[2]s:%[3]d/dns-query", resolvertest.HTTP3: "h3://%[2]s:%[3]d/dns-query",
	} {
		for name, says := range map[string]string{"dns.contoso.com": "NOERROR from ", "dns.fabrikam.com": "failed to verify certificate"} {
			upstream := azureDNS(t)
			addr := upstream.Serve(t, scheme, authority.Certificate(t, "dns.contoso.com"))
			server, bootstrap := fmt.Sprintf(form, addr, name, addr.Port()), ""
			if strings.Contains(form, "/dns-query") {
				bootstrap = `bootstrap = ["127.0.0.1"]`
			}
			file := writeConfig(t, regions(fmt.Sprintf("[upstreams.azure]\nservers = [%q]\n%s\n[forward]\n\".\" = \"azure\"\n", server, bootstrap)))
			explain := exec.Command("pldns", "explain", "www.contoso.com", "-c", file, "--client", europe)
			explain.Env = append(os.Environ(), "SSL_CERT_FILE="+roots, "SSL_CERT_DIR="+t.TempDir())
			said, err := explain.CombinedOutput()
			if !strings.Contains(string(said), says) || !strings.Contains(string(said), server) {
				t.Errorf("%s: %v\n%s", server, err, said)
			}
		}
	}
}
