package certificates_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
)

// needs skips a test where a program is missing, unless everything is to be run.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("PLDNS_DEPLOY") != "" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

// until waits until something is so, and fails the test if it is not within a minute.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for giveUp := time.Now().Add(time.Minute); ; <-pace.C {
		last := time.Now().After(giveUp)
		if is() {
			return
		}
		if last {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// script runs a script of this folder, which puts certificates below a folder. It says what
// the script says, and whether it is content.
func script(t *testing.T, folder, name string, env []string, args ...string) (said string, ok bool) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "./"+name, args...)
	command.Env = append(append(os.Environ(), "FOLDER="+folder, fmt.Sprintf("GROUP=%d", os.Getgid())), env...)
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), err == nil
}

// serving is a pldns that serves.
type serving struct {
	dot, doq, admin string
	name            string // by which it is asked, and which its certificate is for
	roots           *x509.CertPool
}

var listening = regexp.MustCompile(`msg=serving .*\bdot=\[(\S+)\] doq=\[(\S+)\] page=http://(\S+)/ `)

// serve builds pldns and runs it with the certificates below a folder until the test ends.
func serve(t *testing.T, folder, name string, roots *x509.CertPool) serving {
	t.Helper()
	dir := t.TempDir()
	program, file := filepath.Join(dir, "pldns"), filepath.Join(dir, "pldns.toml")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/pldns")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build pldns: %v\n%s", err, out)
	}
	toml := fmt.Sprintf(`[listen]
dns = ["127.0.0.1:0"]
dot = ["127.0.0.1:0"]
doq = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
[tls]
cert = "%[1]s/default/tls.crt"
key = "%[1]s/default/tls.key"
[networks.hub]
clients = ["127.0.0.0/8"]
[networks.hub.endpoints]
"mydb.database.windows.net" = "10.0.1.4"
`, folder)
	if err := os.WriteFile(file, []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program, "serve", "-c", file)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	said, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan []string, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(found)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if at := listening.FindStringSubmatch(lines.Text() + " "); at != nil {
				found <- at
			}
			fmt.Fprintln(t.Output(), lines.Text())
		}
	})
	t.Cleanup(func() {
		reading.Wait() // the context of the test has ended, and so does the program
		_ = command.Wait()
	})
	at, ok := <-found
	if !ok {
		t.Fatal("pldns does not serve")
	}
	return serving{dot: at[1], doq: at[2], admin: at[3], name: name, roots: roots}
}

// get is what the admin server says.
func (s serving) get(t *testing.T, path string) string {
	t.Helper()
	response, err := http.Get("http://" + s.admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// settings are those of a client that checks the certificate, and notes it.
func (s serving) settings(shown *[]byte, protocol string) *tls.Config {
	return &tls.Config{RootCAs: s.roots, ServerName: s.name, NextProtos: []string{protocol}, VerifyConnection: func(c tls.ConnectionState) error {
		*shown = c.PeerCertificates[0].Raw
		return nil
	}}
}

// ask asks over TLS or QUIC on a connection of its own, and gives the certificate that was
// shown. The error says why there was no answer.
func (s serving) ask(ctx context.Context, transport string) (shown []byte, err error) {
	query := new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA)
	query.Id = 0
	wire, err := query.Pack()
	if err != nil {
		return nil, err
	}
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)
	ctx, cancel := context.WithTimeout(ctx, 50*time.Second)
	defer cancel()
	exchange := func(over io.ReadWriter) error {
		if _, err := over.Write(framed); err != nil {
			return err
		}
		head := make([]byte, 2)
		if _, err := io.ReadFull(over, head); err != nil {
			return err
		}
		body := make([]byte, binary.BigEndian.Uint16(head))
		if _, err := io.ReadFull(over, body); err != nil {
			return err
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(body); err != nil || len(reply.Answer) != 2 {
			return fmt.Errorf("the reply is %v, %w", reply, err)
		}
		return nil
	}
	if transport == "dot" {
		conn, err := (&tls.Dialer{Config: s.settings(&shown, "dot")}).DialContext(ctx, "tcp", s.dot)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return shown, exchange(conn)
	}
	conn, err := quic.DialAddr(ctx, s.doq, s.settings(&shown, "doq"), nil)
	if err != nil {
		return nil, err
	}
	defer conn.CloseWithError(0, "")
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	defer stream.CancelRead(0)
	return shown, exchange(streamThatEnds{stream})
}

// streamThatEnds ends behind each write, as that of DNS over QUIC does (RFC 9250 section 4.2).
type streamThatEnds struct{ *quic.Stream }

func (s streamThatEnds) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	_ = s.Close() // an error where the reply is there before the end of the query
	return n, err
}

// busy asks over both transports, one connection after another, until what it gives is
// called, which says how many queries were answered. One that was not fails the test.
func (s serving) busy(t *testing.T) (stop func() int64) {
	var answered atomic.Int64
	var asking sync.WaitGroup
	ended := make(chan struct{})
	for _, transport := range []string{"dot", "doq"} {
		asking.Go(func() {
			for pace := time.Tick(5 * time.Millisecond); ; {
				if _, err := s.ask(context.WithoutCancel(t.Context()), transport); err != nil {
					t.Errorf("over %s: %v", transport, err)
				}
				answered.Add(1)
				select {
				case <-ended:
					return
				case <-pace:
				}
			}
		})
	}
	stop = sync.OnceValue(func() int64 {
		close(ended)
		asking.Wait()
		return answered.Load()
	})
	t.Cleanup(func() { stop() })
	return stop
}

// shows tells whether both transports show a certificate, and are content with it.
func (s serving) shows(t *testing.T, leaf []byte) bool {
	t.Helper()
	for _, transport := range []string{"dot", "doq"} {
		shown, err := s.ask(context.WithoutCancel(t.Context()), transport)
		if err != nil {
			t.Fatalf("over %s: %v", transport, err)
		}
		if !bytes.Equal(shown, leaf) {
			return false
		}
	}
	return true
}

// reloadFails tells whether the last reload has failed for a reason, by all that says so.
func (s serving) reloadFails(t *testing.T, reason string) bool {
	t.Helper()
	return strings.Contains(s.get(t, "/readyz"), reason) && strings.Contains(s.get(t, "/metrics"), "pldns_config_last_reload_successful 0")
}
