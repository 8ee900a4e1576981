//go:build unix

package doctor_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pldns/cmd/internal/doctor"
	"pldns/resolver/resolvertest"
	"pldns/zones"
	"pldns/zones/azure"
)

// A real PostgreSQL, with and without TLS.
func TestRealPostgreSQL(t *testing.T) {
	if testing.Short() {
		t.Skip("makes and starts a database: make test-all runs it")
	}
	postgres := program(t, "postgres", "/usr/lib/postgresql/*/bin/postgres")
	initdb := program(t, "initdb", "/usr/lib/postgresql/*/bin/initdb")
	s := newDaemon(t)
	s.run(initdb, "-D", s.path("data"), "-A", "trust", "-N", "--locale=C")
	const name = "mydb.postgres.database.azure.com"
	ca := newAuthority(t)
	for _, test := range []struct{ ssl, says string }{
		{"on", "valid for " + name}, {"off", "does not offer TLS"},
	} {
		t.Run("ssl "+test.ssl, func(t *testing.T) {
			cert, key := s.pair(ca, name)
			addr := loopback()
			s.serve(t, "ready to accept connections", postgres, "-D", s.path("data"), "-F", "-h", addr.String(), "-p", "5432", "-k", "",
				"-c", "ssl="+test.ssl, "-c", "ssl_cert_file="+cert, "-c", "ssl_key_file="+key)
			verifyReal(t, ca, name, addr, doctor.PostgreSQL, test.says)
		})
	}
}

// A real MariaDB, with and without TLS.
func TestRealMariaDB(t *testing.T) {
	mariadbd := program(t, "mariadbd", "/usr/sbin/mariadbd")
	s := newDaemon(t)
	const name = "mydb.mysql.database.azure.com"
	ca := newAuthority(t)
	for _, test := range []struct{ ssl, says string }{
		{"on", "valid for " + name}, {"off", "does not offer TLS"},
	} {
		t.Run("ssl "+test.ssl, func(t *testing.T) {
			cert, key := s.pair(ca, name)
			addr := loopback()
			// Nobody logs in, so the tables of users are not needed.
			args := []string{"--no-defaults", "--skip-grant-tables", "--skip-networking=0", "--datadir=" + s.dir("data-"+test.ssl), "--tmpdir=" + s.dir("tmp"),
				"--bind-address=" + addr.String(), "--port=3306", "--socket=" + s.path("s"), "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M"}
			if test.ssl == "on" {
				args = append(args, "--ssl-cert="+cert, "--ssl-key="+key)
			} else {
				args = append(args, "--skip-ssl")
			}
			s.serve(t, "ready for connections", mariadbd, args...)
			verifyReal(t, ca, name, addr, doctor.MySQL, test.says)
		})
	}
}

// verifyReal verifies a server that listens on its own port, and examines it.
func verifyReal(t *testing.T, ca *authority, name string, addr netip.Addr, protocol doctor.Protocol, says string) {
	t.Helper()
	results := doctor.Verify(t.Context(), doctor.VerifyConfig{Catalogue: azure.New(), Roots: ca.roots, Timeout: patience},
		[]doctor.Target{{Network: "office", Name: zones.MustName(name), Addresses: []netip.Addr{addr}}})
	if r := results[0]; r.Protocol != protocol || !strings.Contains(r.Seen, says) {
		t.Errorf("%+v, want %q", r, says)
	}
	config := at(t, name, 0, "", ca)
	config.Server = resolvertest.StartUpstream(t, name+". 10 IN A "+addr.String()).Addr
	if text := lines(examine(t, config, name)); !strings.Contains(text, says) {
		t.Errorf("no %q in\n%s", says, text)
	}
}

// loopback is a loopback address that nobody else uses, so that services can have
// the ports that they have.
func loopback() netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(100 + rand.IntN(100)), byte(rand.IntN(256)), byte(1 + rand.IntN(254))})
}

// program finds a program, or skips the test.
func program(t *testing.T, name, pattern string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if found, _ := filepath.Glob(pattern); len(found) > 0 {
		return found[len(found)-1]
	}
	t.Skipf("%s is not installed; .ci/doctor installs it", name)
	return ""
}

// daemon is a server of somebody else in a folder of its own. It does not run as
// root, which such servers refuse.
type daemon struct {
	tb   testing.TB
	root string
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{tb: t, root: t.TempDir()}
	// The folders above belong to the test, and others may look through them.
	for at := d.root; strings.HasPrefix(at, os.TempDir()+string(filepath.Separator)); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.own(d.root)
	return d
}

func (d *daemon) path(name string) string { return filepath.Join(d.root, name) }

func (d *daemon) dir(name string) string {
	d.tb.Helper()
	if err := os.MkdirAll(d.path(name), 0o700); err != nil {
		d.tb.Fatal(err)
	}
	d.own(d.path(name))
	return d.path(name)
}

// own gives a file to the user that the server runs as.
func (d *daemon) own(file string) {
	d.tb.Helper()
	if os.Getuid() != 0 {
		return
	}
	if err := os.Chown(file, nobody, nobody); err != nil {
		d.tb.Fatal(err)
	}
}

// pair writes a certificate for a name, and its key, to files.
func (d *daemon) pair(ca *authority, name string) (cert, key string) {
	d.tb.Helper()
	issued := ca.issue([]string{name})
	secret, err := x509.MarshalPKCS8PrivateKey(issued.PrivateKey)
	if err != nil {
		d.tb.Fatal(err)
	}
	cert, key = d.path("server.crt"), d.path("server.key")
	for file, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: issued.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			d.tb.Fatal(err)
		}
		d.own(file)
	}
	return cert, key
}

func (d *daemon) run(name string, args ...string) {
	d.tb.Helper()
	if out, err := d.command(context.Background(), name, args...).CombinedOutput(); err != nil {
		d.tb.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (d *daemon) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = d.root
	command.Env = append(os.Environ(), "LC_ALL=C", "HOME="+d.root)
	asNobody(command)
	return command
}

// serve runs a server until the test ends, and returns when its log says that it
// is ready.
func (d *daemon) serve(t *testing.T, ready, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	command := d.command(ctx, name, args...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = patience // a server that does not end is killed
	log, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	up, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		up <- waitFor(log, ready)
		_, _ = io.Copy(io.Discard, log)
		_ = command.Wait() // it was told to end
	}()
	t.Cleanup(func() { cancel(); <-ended })
	if err := <-up; err != nil {
		t.Fatal(err)
	}
}

// waitFor reads a log up to the line that says that a server is ready.
func waitFor(log io.Reader, ready string) error {
	var seen strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if strings.Contains(lines.Text(), ready) {
			return nil
		}
		fmt.Fprintln(&seen, lines.Text())
	}
	return fmt.Errorf("the server ended before it was ready:\n%s", seen.String())
}
