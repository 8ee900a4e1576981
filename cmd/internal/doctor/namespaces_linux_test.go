package doctor_test

import (
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// sceneVariable names the story that a process plays which is a laptop in a network
// of its own.
const sceneVariable = "PLDNS_DOCTOR_SCENE"

// asLaptop runs a test once more, for one story, in a process with a network of its
// own. Without root a user namespace gives the right to that, where the system allows
// one.
func asLaptop(t *testing.T, test, story string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+test+"$", "-test.count=1")
	command.Env = append(os.Environ(), sceneVariable+"="+story)
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if id := os.Getuid(); id != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: id, Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	output, err := command.CombinedOutput()
	switch {
	case len(output) == 0 && err != nil:
		t.Skipf("this needs the right to make network namespaces: %v", err)
	case strings.Contains(string(output), "--- SKIP"):
		t.Skipf("%s", output)
	case err != nil:
		t.Errorf("%s", output)
	}
}

// world is a laptop, which is this process, at home, with a tunnel into a hub, behind
// which there is a network with the private endpoint.
//
//	laptop 192.168.1.23 --- 192.168.1.1 router at home, which forwards nothing
//	laptop tun0 172.16.10.3 === 172.16.10.1 hub --- 10.255.0.2 spoke 10.1.1.4
type world struct {
	*testing.T
	router, hub, spoke *host
}

// host is another machine.
type host struct {
	t     *testing.T
	space netns.NsHandle
}

// newWorld builds all of it as it is meant to be.
func newWorld(t *testing.T) *world {
	t.Helper()
	for _, needed := range []string{"ip", "/dev/net/tun"} {
		if _, err := os.Stat(needed); err != nil {
			if _, err := exec.LookPath(needed); err != nil {
				t.Skipf("this needs %s", needed)
			}
		}
	}
	w := &world{t, newHost(t), newHost(t), newHost(t)}
	here := &host{t: t}
	connect(t, here, "wlan0", w.router, "lan")
	connect(t, w.hub, "peer", w.spoke, "eth0")
	near, far := tun(t, here), tun(t, w.hub)
	for _, pair := range [][2]*os.File{{near, far}, {far, near}} {
		go carry(pair[0], pair[1])
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	w.ip("link set lo up", "addr add 192.168.1.23/24 dev wlan0", "link set wlan0 up", "addr add 172.16.10.3/25 dev tun0", "link set tun0 up")
	w.router.ip("link set lo up", "addr add 192.168.1.1/24 dev lan", "link set lan up")
	w.hub.ip("link set lo up", "addr add 10.0.0.53/32 dev lo", "addr add 172.16.10.1/25 dev tun0", "link set tun0 up",
		"addr add 10.255.0.1/30 dev peer", "link set peer up", "route add 10.1.0.0/16 via 10.255.0.2")
	w.spoke.ip("link set lo up", "addr add 10.1.1.4/32 dev lo", "addr add 10.255.0.2/30 dev eth0", "link set eth0 up",
		"route add 172.16.10.0/25 via 10.255.0.1")
	w.ip("route add default via 192.168.1.1", "route add 10.0.0.0/16 dev tun0", "route add 10.1.0.0/16 dev tun0")
	w.hub.forward()
	return w
}

// carry takes packets from one end of a tunnel to the other, until the first is closed.
// What an interface that is down does not take is lost, as on a wire.
func carry(to io.Writer, from io.Reader) {
	packet := make([]byte, 65536)
	for {
		n, err := from.Read(packet)
		if err != nil {
			return
		}
		_, _ = to.Write(packet[:n])
	}
}

// forward makes the host a router.
func (h *host) forward() {
	h.t.Helper()
	h.do(func() {
		if output, err := exec.Command("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward").CombinedOutput(); err != nil {
			h.t.Fatalf("%v: %s", err, output)
		}
	})
}

// ip runs lines of ip(8) on the laptop.
func (w *world) ip(lines ...string) {
	w.Helper()
	(&host{t: w.T}).ip(lines...)
}

func newHost(t *testing.T) *host {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	space, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := netns.Set(here); err != nil {
		panic(err) // the thread must not serve anything else
	}
	t.Cleanup(func() { space.Close() })
	return &host{t, space}
}

// do does something on the host: sockets that are made there stay there.
func (h *host) do(what func()) {
	h.t.Helper()
	if h.space == 0 {
		what()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := netns.Get()
	if err != nil {
		h.t.Fatal(err)
	}
	defer here.Close()
	defer func() {
		if err := netns.Set(here); err != nil {
			panic(err)
		}
	}()
	if err := netns.Set(h.space); err != nil {
		h.t.Fatal(err)
	}
	what()
}

// ip runs lines of ip(8) on the host.
func (h *host) ip(lines ...string) {
	h.t.Helper()
	h.do(func() {
		command := exec.Command("ip", "-batch", "-")
		command.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
		if output, err := command.CombinedOutput(); err != nil {
			h.t.Fatalf("ip %q: %v: %s", lines, err, output)
		}
	})
}

// connect makes a line between two hosts.
func connect(t *testing.T, from *host, device string, to *host, other string) {
	t.Helper()
	from.do(func() {
		attributes := netlink.NewLinkAttrs()
		attributes.Name = device
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: other, PeerNamespace: netlink.NsFd(to.space)}); err != nil {
			t.Fatal(err)
		}
	})
}

// tun makes the interface tun0 of a host, as VPN clients do.
func tun(t *testing.T, h *host) (file *os.File) {
	t.Helper()
	h.do(func() {
		device, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Skipf("this needs /dev/net/tun: %v", err)
		}
		request, err := unix.NewIfreq("tun0")
		if err != nil {
			t.Fatal(err)
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(device, unix.TUNSETIFF, request); err != nil {
			t.Fatal(err)
		}
		if err := unix.SetNonblock(device, true); err != nil {
			t.Fatal(err)
		}
		file = os.NewFile(uintptr(device), "tun0")
	})
	return file
}

// answerDNS has a host answer every question about an address with one.
func (h *host) answerDNS(at string, with netip.Addr) {
	h.t.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		if q := query.Question[0]; q.Qtype == dns.TypeA {
			reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 10}, A: with.AsSlice()}}
		}
		_ = w.WriteMsg(reply)
	})
	h.do(func() {
		packet, err := net.ListenPacket("udp", at)
		if err != nil {
			h.t.Fatal(err)
		}
		stream, err := net.Listen("tcp", at)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, server := range []*dns.Server{{PacketConn: packet, Handler: handler}, {Listener: stream, Handler: handler}} {
			go func() { _ = server.ActivateAndServe() }()
		}
		h.t.Cleanup(func() { packet.Close(); stream.Close() })
	})
}
