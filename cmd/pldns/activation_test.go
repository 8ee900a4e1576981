package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// serviceManager does for a program what systemd does: it holds the sockets, and is
// told how the program does.
type serviceManager struct {
	t       testing.TB
	program string // its file
	config  string
	passed  []*os.File
	names   []string
	news    chan string // what programs tell, a message each
	notify  string
}

// newServiceManager holds a UDP and a TCP socket of one address, and one for the
// admin server at another.
func newServiceManager(t testing.TB) (m *serviceManager, at, admin netip.AddrPort) {
	t.Helper()
	dir := t.TempDir()
	m = &serviceManager{t: t, program: filepath.Join(dir, "pldns"), news: make(chan string, 1000), notify: filepath.Join(dir, "notify")}
	m.install()
	packets, streams := resolvertest.Pair(t, netip.MustParseAddr("127.0.0.1"))
	at = packets.LocalAddr().(*net.UDPAddr).AddrPort()
	m.pass("dns-udp", packets)
	m.pass("dns-tcp", streams)
	pages, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	admin = pages.Addr().(*net.TCPAddr).AddrPort()
	m.pass("admin", pages)

	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.notify, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { told.Close() })
	go func() { // ends with the socket
		text := make([]byte, 4096)
		for {
			n, err := told.Read(text)
			if err != nil {
				return
			}
			m.news <- string(text[:n])
		}
	}()
	return m, at, admin
}

// pass keeps a socket to be passed.
func (m *serviceManager) pass(name string, socket interface {
	File() (*os.File, error)
	io.Closer
}) {
	m.t.Helper()
	file, err := socket.File()
	if err != nil {
		m.t.Fatal(err)
	}
	socket.Close()
	m.t.Cleanup(func() { file.Close() })
	m.passed, m.names = append(m.passed, file), append(m.names, name)
}

// install puts the program where it runs from, in place of what was there.
func (m *serviceManager) install() {
	m.t.Helper()
	from, err := exec.LookPath("pldns") // this test under another name: see TestMain
	if err != nil {
		m.t.Fatal(err)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.program+".next", text, 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Rename(m.program+".next", m.program); err != nil {
		m.t.Fatal(err)
	}
}

// start starts the program with the sockets. Its process id is known only to itself.
func (m *serviceManager) start() (*exec.Cmd, *strings.Builder) {
	m.t.Helper()
	command := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" serve -c "$1"`, m.program, m.config)
	command.Env = append(os.Environ(), fmt.Sprint("LISTEN_FDS=", len(m.passed)),
		"LISTEN_FDNAMES="+strings.Join(m.names, ":"), "NOTIFY_SOCKET="+m.notify)
	command.ExtraFiles = m.passed
	talk := new(strings.Builder)
	command.Stderr = talk
	if err := command.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { // where the test failed before stop
		if command.ProcessState == nil {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
	})
	return command, talk
}

// await waits until a program tells something.
func (m *serviceManager) await(want string) {
	m.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case news := <-m.news:
			if strings.Contains(news, want) {
				return
			}
		case <-deadline:
			m.t.Fatalf("the service manager is never told %q", want)
		}
	}
}

// stop ends the program as a service manager does.
func (m *serviceManager) stop(command *exec.Cmd, talk fmt.Stringer) {
	m.t.Helper()
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		m.t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		m.t.Fatalf("%v\n%s", err, talk)
	}
}

// passedConfig is a configuration for passed sockets, with what else is listened on.
func passedConfig(at, admin netip.AddrPort, more string) string {
	return fmt.Sprintf(`
[listen]
dns = ["%s"%s]
admin = "%s"
[networks.hub]
clients = ["127.0.0.0/8"]
[networks.hub.endpoints]
"mydb.database.windows.net" = "10.0.1.4"
`, at, more, admin)
}

// load is what clients do all the time: ask, wait for the answer, ask again.
type load struct {
	asked, answered atomic.Int64
	beats           chan struct{} // one for each answer that somebody waits for
	faults          chan string
	clients         sync.WaitGroup
	ended           chan struct{}
}

// put begins a load of so many clients over udp or tcp, each query over TCP on a
// connection of its own.
func (l *load) put(t *testing.T, network string, clients int, at netip.AddrPort) {
	t.Helper()
	query := new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA)
	for range clients {
		l.clients.Go(func() {
			client := &dns.Client{Net: network, Timeout: 60 * time.Second}
			for {
				select {
				case <-l.ended:
					return
				default:
				}
				l.asked.Add(1)
				reply, _, err := client.Exchange(query.Copy(), at.String())
				switch {
				case err != nil:
					l.fault(fmt.Sprintf("over %s: %v", network, err))
				case says(reply) != "NOERROR | CNAME mydb.privatelink.database.windows.net. | A 10.0.1.4":
					l.fault(fmt.Sprintf("over %s: %s", network, says(reply)))
				default:
					l.answered.Add(1)
					select {
					case l.beats <- struct{}{}:
					default:
					}
				}
			}
		})
	}
}

// await waits for so many answers.
func (l *load) await(t *testing.T, answers int) {
	t.Helper()
	deadline := time.After(time.Minute)
	for range answers {
		select {
		case <-l.beats:
		case <-deadline:
			t.Fatal("nothing is answered")
		}
	}
}

func (l *load) fault(text string) {
	select {
	case l.faults <- text:
	default:
	}
}

// TestReplacedProgram: with sockets that are passed, no query is lost while the
// program is replaced by another: they wait in the sockets.
func TestReplacedProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("replaces the program four times under load: make test-all runs it")
	}
	m, at, admin := newServiceManager(t)
	m.config = writeConfig(t, passedConfig(at, admin, ""))
	clients := load{beats: make(chan struct{}), faults: make(chan string, 100), ended: make(chan struct{})}
	clients.put(t, "udp", 64, at)
	clients.put(t, "tcp", 8, at)
	for range 4 {
		command, talk := m.start()
		m.await("READY=1")
		clients.await(t, 1000)
		m.install()
		m.stop(command, talk)
		m.await("STOPPING=1")
	}
	last, talk := m.start()
	close(clients.ended)
	clients.clients.Wait()
	m.stop(last, talk)
	close(clients.faults)
	for fault := range clients.faults {
		t.Error(fault)
	}
	t.Logf("replaced 4 times, %d queries, %d answered", clients.asked.Load(), clients.answered.Load())
	if clients.asked.Load() != clients.answered.Load() {
		t.Errorf("%d of %d queries were answered", clients.answered.Load(), clients.asked.Load())
	}
}

// TestServiceManagerIsTold: begin, reload, a reload that fails, end.
func TestServiceManagerIsTold(t *testing.T) {
	m, at, admin := newServiceManager(t)
	m.config = writeConfig(t, passedConfig(at, admin, ""))
	command, talk := m.start()
	m.await("READY=1\nSTATUS=serving 1 network, 1 endpoint, 1 upstream")
	hangUp := func() {
		t.Helper()
		if err := command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		m.await("RELOADING=1\nMONOTONIC_USEC=")
	}
	hangUp()
	m.await("READY=1\nSTATUS=serving 1 network")
	if err := os.WriteFile(m.config, []byte("nonsense = \"\\nMAINPID=1\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hangUp()
	m.await("READY=1\nSTATUS=not reloaded, see the log; still serving 1 network")
	m.stop(command, talk)
	m.await("STOPPING=1")
	if !strings.Contains(talk.String(), "using the sockets that the service manager passed") {
		t.Errorf("the log does not say where the sockets are from:\n%s", talk)
	}
}

// TestPassedSockets: what is listened on besides is opened as ever, and a socket
// that nothing is to be served on is a fault.
func TestPassedSockets(t *testing.T) {
	m, at, admin := newServiceManager(t)
	m.config = writeConfig(t, passedConfig(at, admin, `, "127.0.0.1:0"`))
	command, talk := m.start()
	m.await("READY=1")
	if reply, err := dns.Exchange(new(dns.Msg).SetQuestion("mydb.database.windows.net.", dns.TypeA), at.String()); err != nil || len(reply.Answer) != 2 {
		t.Errorf("%v, %v", reply, err)
	}
	m.stop(command, talk)

	m.config = writeConfig(t, passedConfig(netip.MustParseAddrPort("127.0.0.1:0"), admin, ""))
	command, talk = m.start()
	if err := command.Wait(); err == nil {
		t.Error("a socket that nothing is to be served on is no fault")
	}
	for _, want := range []string{
		fmt.Sprintf("the service manager passes a socket for %s (udp), which is no address in [listen]: add it there, or take ListenDatagram=%s out", at, at),
		fmt.Sprintf("the service manager passes a socket for %s (tcp), which is no address in [listen]: add it there, or take ListenStream=%s out", at, at),
	} {
		if !strings.Contains(talk.String(), want) {
			t.Errorf("it is not said that %s:\n%s", want, talk)
		}
	}
}
