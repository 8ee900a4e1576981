//go:build linux

package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Host is one machine of a lab: a network namespace.
type Host struct {
	lab   *Lab
	Name  string
	space string // the name of the namespace
	ports int    // of a switch
	at    string // the address of a switch
	to    *Host  // the switch that the host is plugged into
	port  string // where
}

// Host adds a machine without any link.
func (l *Lab) Host(name string) *Host {
	l.tb.Helper()
	l.hosts++
	h := &Host{lab: l, Name: name, space: fmt.Sprintf("%s-%d", filepath.Base(l.Dir), l.hosts)}
	l.must("ip", "netns", "add", h.space)
	l.tb.Cleanup(func() {
		_ = exec.Command("ip", "netns", "delete", h.space).Run()
		_ = os.RemoveAll(filepath.Join("/etc/netns", h.space))
	})
	h.ip("link", "set", "lo", "up")
	return h
}

// Switch adds a machine that joins all hosts plugged into it and routes between
// them and its other links. The address, with its prefix length, is its own.
func (l *Lab) Switch(name, address string) *Host {
	l.tb.Helper()
	s := l.Host(name)
	s.ip("link", "add", "br0", "type", "bridge")
	s.ip("address", "add", address, "dev", "br0")
	s.ip("link", "set", "br0", "up")
	s.Run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
	s.at, _, _ = strings.Cut(address, "/")
	return s
}

// Plug connects a host to the switch by its interface eth0, with these addresses
// and prefix lengths, and makes the switch its way to everywhere else.
func (h *Host) Plug(guest *Host, addresses ...string) {
	h.lab.tb.Helper()
	h.ports++
	port := fmt.Sprintf("port%d", h.ports)
	h.lab.must("ip", "link", "add", "name", "eth0", "netns", guest.space, "type", "veth", "peer", "name", port, "netns", h.space)
	h.ip("link", "set", port, "master", "br0", "up")
	for _, address := range addresses {
		guest.ip("address", "add", address, "dev", "eth0")
	}
	guest.ip("link", "set", "eth0", "up")
	guest.Route("default", h.at)
	guest.to, guest.port = h, port
}

// Unplug pulls the cable of a host out of its switch; [Host.Replug] puts it back.
func (h *Host) Unplug() {
	h.lab.tb.Helper()
	h.to.ip("link", "set", h.port, "down")
}

// Replug undoes [Host.Unplug].
func (h *Host) Replug() {
	h.lab.tb.Helper()
	h.to.ip("link", "set", h.port, "up")
}

// Link connects two machines by a line of its own. Each end is an interface and
// its address with prefix length.
func (h *Host) Link(device, address string, to *Host, toDevice, toAddress string) {
	h.lab.tb.Helper()
	h.lab.must("ip", "link", "add", "name", device, "netns", h.space, "type", "veth", "peer", "name", toDevice, "netns", to.space)
	h.ip("address", "add", address, "dev", device)
	to.ip("address", "add", toAddress, "dev", toDevice)
	h.ip("link", "set", device, "up")
	to.ip("link", "set", toDevice, "up")
}

// Route sends what goes to a prefix over a neighbour.
func (h *Host) Route(prefix, via string) {
	h.lab.tb.Helper()
	h.ip("route", "replace", prefix, "via", via)
}

// Forwarding makes the machine a router.
func (h *Host) Forwarding() {
	h.lab.tb.Helper()
	h.Run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
}

// Address gives an interface one more address.
func (h *Host) Address(device, address string) {
	h.lab.tb.Helper()
	h.ip("address", "add", address, "dev", device)
}

// Nameservers is the host's /etc/resolv.conf: these servers, with the options of a
// client that is willing to try again.
func (h *Host) Nameservers(servers ...string) {
	h.lab.tb.Helper()
	h.nameservers("options timeout:2 attempts:4\n", servers)
}

// NameserversOverTCP is [Host.Nameservers] for servers that are asked over TCP.
func (h *Host) NameserversOverTCP(servers ...string) {
	h.lab.tb.Helper()
	h.nameservers("options timeout:2 attempts:4 use-vc\n", servers)
}

func (h *Host) nameservers(text string, servers []string) {
	h.lab.tb.Helper()
	for _, server := range servers {
		text += "nameserver " + server + "\n"
	}
	dir := filepath.Join("/etc/netns", h.space)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		h.lab.tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte(text), 0o644); err != nil {
		h.lab.tb.Fatal(err)
	}
}

// Firewall loads rules in the language of nft.
func (h *Host) Firewall(rules string) {
	h.lab.tb.Helper()
	file := h.lab.File("nft-"+h.space, rules)
	h.Run("nft", "-f", file)
}

// Lose makes the host lose packets that come to it, so many of a thousand, at random; the
// sender does not know.
func (h *Host) Lose(perMille int) {
	h.lab.tb.Helper()
	h.Firewall(fmt.Sprintf(`table ip loss { }
delete table ip loss
table ip loss {
	chain in {
		type filter hook input priority 0
		iifname != "lo" numgen random mod 1000 < %d drop
	}
}
`, perMille))
}

// Masquerade makes everything that leaves by an interface come from its address.
func (h *Host) Masquerade(device string) {
	h.lab.tb.Helper()
	h.Firewall(fmt.Sprintf(`table ip outward {
	chain post {
		type nat hook postrouting priority 100
		oifname %q masquerade
	}
}
`, device))
}

// Count makes the host count connections that somebody tries to open to it: every
// SYN, whether it is answered or not, but for those from the given addresses, such
// as servers that probe it.
func (h *Host) Count(except ...string) {
	h.lab.tb.Helper()
	from := ""
	if len(except) > 0 {
		from = "ip saddr != { " + strings.Join(except, ", ") + " } "
	}
	h.Firewall(`table ip reach {
	counter reached { }
	chain in {
		type filter hook input priority 0
		` + from + `tcp flags & (fin|syn|rst|ack) == syn counter name reached
	}
}
`)
}

// Reached is how many connections somebody tried to open, since [Host.Count].
func (h *Host) Reached() int {
	h.lab.tb.Helper()
	var listing struct {
		Nftables []struct{ Counter struct{ Packets int } }
	}
	output := h.Run("nft", "-j", "list", "counters", "table", "ip", "reach")
	if err := json.Unmarshal([]byte(output), &listing); err != nil {
		h.lab.tb.Fatalf("%s: counters of nft: %v", h.Name, err)
	}
	total := 0
	for _, one := range listing.Nftables {
		total += one.Counter.Packets
	}
	return total
}

// ip runs the program ip within the host.
func (h *Host) ip(arguments ...string) {
	h.lab.tb.Helper()
	h.lab.must("ip", append([]string{"-n", h.space}, arguments...)...)
}

// must runs a program of the machine that the lab is built with.
func (l *Lab) must(program string, arguments ...string) {
	l.tb.Helper()
	if output, err := exec.Command(program, arguments...).CombinedOutput(); err != nil {
		l.tb.Fatalf("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, output)
	}
}
