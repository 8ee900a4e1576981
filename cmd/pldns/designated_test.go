package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// TestClientsUpgrade: a client that knows the address of the server alone finds DNS over
// TLS by itself (RFC 9462), and is in the same network then. With a certificate that is for
// another address or too old it stays with plain DNS, and is answered.
func TestClientsUpgrade(t *testing.T) {
	for _, test := range []struct {
		name  string
		hosts []string // of the certificate
		ahead time.Duration
		want  string
	}{
		{"the right certificate", []string{"dns.contoso.net", "127.0.0.1"}, 0, "over dns.contoso.net: 127.9.0.1"},
		{"one for another address", []string{"dns.contoso.net", "127.0.0.9"}, 0, "not for 127.0.0.1"},
		{"one that has expired", []string{"dns.contoso.net", "127.0.0.1"}, 48 * time.Hour, "expired"},
		{"one without a name", []string{"127.0.0.1"}, 0, "0 ways are designated"},
	} {
		t.Run(test.name, func(t *testing.T) {
			authority := resolvertest.NewAuthority(t)
			to := startEncrypted(t, authority, test.hosts...)
			if got := upgrade(t, to, authority.Pool, test.ahead); !strings.Contains(got, test.want) {
				t.Errorf("upgraded: %s, want %s", got, test.want)
			}
			reply, _, err := new(dns.Client).Exchange(mydb(), to.String())
			if got := last(reply, err); got != "127.9.0.1" {
				t.Errorf("over plain DNS: %s", got)
			}
		})
	}
}

// startEncrypted serves over plain DNS and TLS, with a certificate for some hosts. The
// port of DNS over TLS has to be in the configuration to be told, so it is one that was
// free a moment before.
func startEncrypted(t *testing.T, authority *resolvertest.Authority, hosts ...string) netip.AddrPort {
	t.Helper()
	dir := t.TempDir()
	writeKeys(t, dir, authority, hosts...)
	for {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		free.Close()
		r, _, err := tryStartServer(t, fmt.Sprintf(`
[listen]
dns = ["127.0.0.1:0"]
dot = [%q]
admin = "off"
[tls]
cert = %q
key = %q
[networks.open]
clients = ["127.0.0.0/8"]
[networks.open.endpoints]
"mydb.database.windows.net" = "127.9.0.1"
`, free.Addr(), filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")))
		if err == nil {
			return r.addrs[0]
		}
		if !strings.Contains(err.Error(), "in use") {
			t.Fatal(err)
		}
	}
}

// upgrade does as a client does with verified discovery (RFC 9462 section 4.2), by a clock
// that is ahead, and says what came of it.
func upgrade(t *testing.T, to netip.AddrPort, roots *x509.CertPool, ahead time.Duration) string {
	t.Helper()
	ways, err := resolvertest.Designated(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	if len(ways) != 1 {
		return fmt.Sprintf("%d ways are designated", len(ways))
	}
	settings := &tls.Config{RootCAs: roots, Time: func() time.Time { return time.Now().Add(ahead) }}
	asker, err := ways[0].Open(t.Context(), resolvertest.Verified(settings, to.Addr()))
	if err != nil {
		return err.Error()
	}
	defer asker.Close()
	return "over " + ways[0].Name + ": " + last(asker.Exchange(t.Context(), mydb()))
}

// TestNetworksTell: what a network is to tell its clients (RFC 9463) is what the resolver
// would tell them itself, and dnsmasq takes it.
func TestNetworksTell(t *testing.T) {
	dir, authority := t.TempDir(), resolvertest.NewAuthority(t)
	writeKeys(t, dir, authority, "dns.contoso.net", "10.0.0.4")
	file := writeConfig(t, fmt.Sprintf(`
[listen]
dns = ["10.0.0.4"]
dot = ["10.0.0.4"]
[tls]
cert = %q
key = %q
[networks.hub]
clients = ["10.0.0.0/16"]
[networks.quiet]
clients = ["10.1.0.0/16"]
designated = []
`, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")))
	ask := func(args ...string) (string, int) {
		var text bytes.Buffer
		code := run(t.Context(), append([]string{"client-config", "dnr", "-c", file}, args...), &text, &text)
		return text.String(), code
	}
	text, code := ask("--network", "hub", "--format", "dnsmasq")
	if code != 0 || !strings.Contains(text, `# 1 dns.contoso.net. alpn="dot" port="853" ipv4hint="10.0.0.4"`) {
		t.Fatalf("code %d: %s", code, text)
	}
	for want, args := range map[string][]string{
		"dnr is for the clients of one network: name it with --network": nil,
		"clients of network quiet are told of no encrypted listener":    {"--network", "quiet"},
	} {
		if text, code := ask(args...); code != 1 || !strings.Contains(text, want) {
			t.Errorf("%v: code %d: %s, want %s", args, code, text, want)
		}
	}
	config := filepath.Join(dir, "dnsmasq.conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(lookUp(t, "dnsmasq", "dnsmasq-base"), "--test", "--conf-file="+config).CombinedOutput(); err != nil {
		t.Errorf("dnsmasq: %v: %s", err, out)
	}
}
