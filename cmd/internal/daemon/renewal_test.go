package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pldns/config"
	"pldns/resolver/resolvertest"
)

// loud keeps what the log is told.
type loud struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *loud) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *loud) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *loud) has(all ...string) bool {
	text := l.String()
	return !slices.ContainsFunc(all, func(part string) bool { return !strings.Contains(text, part) })
}

// renewals is a server with two certificates, whose files are looked at.
type renewals struct {
	*Server
	t         *testing.T
	dir       string
	authority *resolvertest.Authority
	log       *loud
}

func startRenewals(t *testing.T) *renewals {
	r := &renewals{t: t, dir: t.TempDir(), authority: resolvertest.NewAuthority(t), log: new(loud)}
	r.put("one")
	r.put("two")
	r.write("pldns.toml", r.toml())
	s, err := New(Options{
		Load: func(releases config.Releases) (*config.Config, error) {
			return config.LoadWith(r.path("pldns.toml"), releases)
		},
		Log: slog.New(slog.NewTextHandler(r.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(nil); err != nil {
		t.Fatal(err)
	}
	r.Server = s
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *renewals) path(name string) string { return filepath.Join(r.dir, name) }

func (r *renewals) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (*renewals) toml() string {
	return "[listen]\ndns = [\"127.0.0.1:0\"]\ndot = [\"127.0.0.1:0\"]\nadmin = \"off\"\n[tls]\ncert = \"one.crt\"\nkey = \"one.key\"\n" +
		"[tls.certificates.two]\ncert = \"two.crt\"\nkey = \"two.key\"\n[networks.hub]\nclients = [\"127.0.0.0/8\"]\n"
}

// put puts a new certificate into the files of a name, and gives it.
func (r *renewals) put(name string) []byte {
	r.t.Helper()
	made := r.authority.Certificate(r.t, name+".contoso.net")
	resolvertest.WritePair(r.t, r.path(name+".crt"), r.path(name+".key"), made)
	return made.Certificate[0]
}

// shown is the certificate that who asks for a name is shown.
func (r *renewals) shown(name string) []byte {
	r.t.Helper()
	settings := &tls.Config{ServerName: name + ".contoso.net", RootCAs: r.authority.Pool, MinVersion: tls.VersionTLS12}
	conn, err := tls.Dial("tcp", r.TLSAddrs()[0].String(), settings)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Raw
}

// TestRenewalBesideAFault: a certificate that is renewed is shown though the files of another one
// are not in order, which goes on as it was and is told of, or the main file is not.
func TestRenewalBesideAFault(t *testing.T) {
	for what, test := range map[string]struct {
		damage func(r *renewals)
		fault  string
	}{
		"another certificate": {func(r *renewals) { r.write("two.crt", "no PEM") }, "tls.certificates.two.cert"},
		"the key of another one is gone": {func(r *renewals) {
			if err := os.Remove(r.path("two.key")); err != nil {
				r.t.Error(err)
			}
		}, "tls.certificates.two.key"},
		"the main file": {func(r *renewals) { r.write("pldns.toml", r.toml()+"[networks.hub") }, "pldns.toml"},
		"an address that is not open": {func(r *renewals) {
			r.write("pldns.toml", strings.Replace(r.toml(), "dns =", "doq = [\"127.0.0.1:0\"]\ndns =", 1))
		}, "listen.doq"},
	} {
		t.Run(what, func(t *testing.T) {
			r := startRenewals(t)
			before := r.shown("two")
			test.damage(r)
			for range 2 { // the second time the fault has been told already
				renewed := r.put("one")
				if err := r.reload(t.Context()); err == nil || !strings.Contains(err.Error(), test.fault) {
					t.Fatalf("the reload says %v", err)
				}
				if !bytes.Equal(r.shown("one"), renewed) {
					t.Error("the renewed certificate is not shown")
				}
			}
			if !bytes.Equal(r.shown("two"), before) {
				t.Error("the other certificate does not go on")
			}
			if last := r.status().LastReload; last.OK || !strings.Contains(last.Error, test.fault) {
				t.Errorf("/readyz says %+v", last)
			}
			if !r.log.has("was not reloaded", test.fault, "certificates are renewed", "[default]") {
				t.Errorf("the log says\n%s", r.log)
			}

			r.write("pldns.toml", r.toml())
			renewed := r.put("two")
			if err := r.reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(r.shown("two"), renewed) {
				t.Error("the repaired certificate is not shown")
			}
		})
	}
}
