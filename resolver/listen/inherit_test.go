package listen_test

import (
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"pldns/resolver/listen"
	"pldns/resolver/resolvertest"
)

// passed gives the file of a socket that a service manager would pass, and closes
// the socket.
func passed(tb testing.TB, socket interface {
	File() (*os.File, error)
	io.Closer
}) *os.File {
	tb.Helper()
	defer socket.Close()
	file, err := socket.File()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { file.Close() })
	return file
}

// inheriting runs a server on passed sockets.
func inheriting(t *testing.T, config listen.Config, files ...*os.File) *listen.Server {
	t.Helper()
	inherited, err := listen.Inherit(files)
	if err != nil {
		t.Fatal(err)
	}
	config.Handler = handler(known)
	s, err := listen.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ListenOn(inherited); err != nil {
		t.Fatal(err)
	}
	inherited.Close() // the server has its own of them
	run(t, s)
	return s
}

// Readers share a socket that was passed; the address is served over UDP and TCP,
// and is still held when the server has ended.
func TestInherit(t *testing.T) {
	for _, row := range []struct{ host, ask string }{
		{"127.0.0.1", "127.0.0.1"}, {"0.0.0.0", "127.0.0.1"}, {"::1", "::1"},
	} {
		t.Run(row.host, func(t *testing.T) {
			udp, tcp := resolvertest.Pair(t, netip.MustParseAddr(row.host))
			at := udp.LocalAddr().(*net.UDPAddr).AddrPort()
			files := []*os.File{passed(t, udp), passed(t, tcp)}
			s := inheriting(t, listen.Config{Addrs: []netip.AddrPort{at}, Readers: 4}, files...)
			if got := s.Addrs(); len(got) != 1 || got[0] != at {
				t.Errorf("bound %v, passed %v", got, at)
			}
			to := netip.AddrPortFrom(netip.MustParseAddr(row.ask), at.Port())
			var asking sync.WaitGroup
			for range 20 {
				for _, transport := range []string{"udp", "tcp"} {
					asking.Go(func() {
						if reply := exchange(t, transport, to, query("a.example")); len(reply.Answer) != 1 {
							t.Errorf("%s: %v", transport, reply)
						}
					})
				}
			}
			asking.Wait()
			if again, err := net.ListenPacket("udp", at.String()); err == nil {
				again.Close()
				t.Error("nobody holds the address")
			}
		})
	}
}

// Sockets that cannot be served are named, with what to do.
func TestInheritFaults(t *testing.T) {
	both, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv6unspecified})
	if err != nil {
		t.Fatal(err)
	}
	unix, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*os.File{
		"neither a UDP nor a TCP socket": passed(t, unix.(*net.UnixListener)),
		"set Accept=no":                  passed(t, conn.(*net.TCPConn)),
	}
	if two := passed(t, both); runtime.GOOS == "linux" && both.LocalAddr().(*net.UDPAddr).IP.To4() == nil {
		files["set BindIPv6Only=ipv6-only in the socket unit, and name 0.0.0.0:"] = two
	}
	for want, file := range files {
		if inherited, err := listen.Inherit([]*os.File{file}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
			inherited.Close()
		}
	}
}

// A connection that has been taken in and has not asked when the server begins to
// stop, is still answered: nobody else could.
func TestLastWord(t *testing.T) {
	s := start(t, listen.Config{LastWord: patience})
	late, idle := dial(t, "tcp", s.addr), asked(t, s)
	stopped := make(chan error)
	go func() { stopped <- s.stop() }()
	ended(t, idle) // the server has begun to stop
	write(t, late, pack(t, query("late.example")))
	if got := names(t, late, 1)[0]; got != "late.example." {
		t.Errorf("answered %s", got)
	}
	ended(t, late)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
