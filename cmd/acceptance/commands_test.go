package acceptance

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"pldns/resolver/resolvertest"
)

// The commands of scripts that need a server which runs.

// startUpstream starts an upstream with the records in a file; the variable says where it
// is.
func startUpstream(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: upstream VARIABLE FILE")
	}
	ts.Setenv(args[0], resolvertest.StartUpstream(t, ts.ReadFile(args[1])).Addr.String())
}

// startServer starts the program with a configuration until the script ends. It writes
// into it what variables of the script hold, besides DNS and ADMIN, which are the
// addresses where it listens. The sockets are passed to it, as systemd does.
func startServer(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: serve FILE")
	}
	packets, streams := resolvertest.Pair(t, netip.MustParseAddr("127.0.0.1"))
	pages, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv("DNS", packets.LocalAddr().String())
	ts.Setenv("ADMIN", pages.Addr().String())
	rewrite(ts, args[0])
	command := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec pldns serve -c "$0"`, ts.MkAbs(args[0]))
	command.Env = append(os.Environ(), "LISTEN_FDS=3", "LISTEN_FDNAMES=dns-udp:dns-tcp:admin")
	for _, socket := range []interface {
		File() (*os.File, error)
		io.Closer
	}{packets, streams, pages.(*net.TCPListener)} {
		file, err := socket.File()
		ts.Check(err)
		defer file.Close()
		ts.Check(socket.Close())
		command.ExtraFiles = append(command.ExtraFiles, file)
	}
	var said strings.Builder
	command.Stderr = &said
	ts.Check(command.Start())
	ts.Defer(func() {
		ts.Check(command.Process.Signal(syscall.SIGTERM))
		if err := command.Wait(); err != nil {
			ts.Logf("serve: %v\n%s", err, &said)
		}
	})
}

// rewrite writes into a file what the variables that it names hold.
func rewrite(ts *testscript.TestScript, file string) {
	text := os.Expand(ts.ReadFile(file), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
}

// ask asks the server that was started, and holds its answer against what is wanted: a
// response code, or the last record's data.
func ask(ts *testscript.TestScript, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: ask CLIENT NAME ANSWER")
	}
	client := &dns.Client{Timeout: 20 * time.Second, Dialer: &net.Dialer{
		LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(args[0]), 0)),
	}}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(args[1]), dns.TypeA), ts.Getenv("DNS"))
	ts.Check(err)
	got := dns.RcodeToString[reply.Rcode]
	if n := len(reply.Answer); n > 0 {
		got = strings.TrimPrefix(reply.Answer[n-1].String(), reply.Answer[n-1].Header().String())
	}
	if got != args[2] {
		ts.Fatalf("%s is answered %s", args[1], got)
	}
}

// await runs a command until what it prints matches.
func await(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: await PATTERN COMMAND...")
	}
	wanted, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for giveUp := time.Now().Add(time.Minute); ; <-pace.C {
		command := exec.Command(args[1], args[2:]...)
		out, err := command.CombinedOutput()
		if wanted.Match(out) {
			return
		}
		if time.Now().After(giveUp) {
			ts.Fatalf("%s", fmt.Sprintf("%v\n%s", err, out))
		}
	}
}
