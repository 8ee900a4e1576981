package daemon

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pldns/cmd/internal/nameservers"
	"pldns/config"
)

func TestSystemServers(t *testing.T) {
	for _, test := range []struct{ name, resolvConf, listen, want string }{
		{"two", "nameserver 168.63.129.16\nnameserver fd00::53\n", "[::]:53", "168.63.129.16:53 [fd00::53]:53"},
		{"a container engine's", "nameserver 127.0.0.11\n", "[::]:53", "127.0.0.11:53"},
		{"ourselves", "nameserver 10.0.0.4\n", "10.0.0.4:53", "where this program listens"},
		{"ourselves, over loopback", "nameserver 127.0.0.1\n", "[::]:53", "where this program listens"},
		{"another port", "nameserver 127.0.0.1\n", "127.0.0.1:5353", "127.0.0.1:53"},
		{"none", "search contoso.com\n", "[::]:53", "names no DNS server"},
		{"nonsense", "nameserver ns1.contoso.com\n", "[::]:53", "is no IP address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "resolv.conf")
			if err := os.WriteFile(file, []byte(test.resolvConf), 0o600); err != nil {
				t.Fatal(err)
			}
			servers, err := systemServers(func() ([]netip.AddrPort, error) { return nameservers.FromFile(file) }, []netip.AddrPort{netip.MustParseAddrPort(test.listen)})
			var got []string
			for _, server := range servers {
				got = append(got, server.Addr.String())
			}
			if err != nil {
				got = []string{err.Error()}
			}
			if text := strings.Join(got, " "); !strings.Contains(text, test.want) {
				t.Errorf("got %s, want %s", text, test.want)
			}
		})
	}
	if _, err := systemServers(func() ([]netip.AddrPort, error) { return nil, os.ErrNotExist }, nil); err == nil || !strings.Contains(err.Error(), "name the servers") {
		t.Errorf("an absent file: %v", err)
	}
}

// Each way to ask that the file knows is one that servers are asked in.
func TestTransportsOfServers(t *testing.T) {
	for _, word := range []string{"udp", "tcp", "tls", "https", "quic", "h3"} {
		if got := serverOf(config.Server{Transport: word}).Transport.String(); got != word {
			t.Errorf("%s:// is asked over %s", word, got)
		}
	}
}

// Each algorithm that the file knows is one that messages are signed with, and of the strength that
// the file takes it for.
func TestAlgorithmsOfKeys(t *testing.T) {
	secret := base64.StdEncoding.EncodeToString([]byte("sixty-four octets, which is as many as a key has that is longest"))
	for algorithm, octets := range map[string]int{"hmac-sha1": 20, "hmac-sha224": 28, "hmac-sha256": 32, "hmac-sha384": 48, "hmac-sha512": 64} {
		toml := fmt.Sprintf("[tsig.\"a.key\"]\nalgorithm = %q\nsecret = %q\n[networks.hub]\nclients = [\"10.0.0.0/8\"]\n", algorithm, secret)
		c, err := config.Parse("pldns.toml", []byte(toml), nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, key := range ringOf(c) {
			if key.Size() != octets {
				t.Errorf("%s with %s has a MAC of %d octets", name, algorithm, key.Size())
			}
		}
		if len(ringOf(c)) != 1 {
			t.Errorf("no key with %s", algorithm)
		}
	}
}
