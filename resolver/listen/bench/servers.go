//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// server is a program to measure.
type server struct {
	name           string
	program        string // what must be installed; empty if it comes with us
	local, forward bool   // what it can do
	udpOnly        bool
	// command writes the files that the program needs below dir and gives the
	// command line.
	command func(dir string, w workload) ([]string, error)
}

// takesPart tells whether a server is installed and can do what a workload asks.
func (s server) takesPart(w workload) bool {
	if s.program != "" {
		if _, err := exec.LookPath(s.program); err != nil {
			return false
		}
	}
	if (w.group == "networks" || w.group == "endpoints") && s.name != "echo" && s.name != "pldns" {
		return false // only pldns has them
	}
	return (!w.local || s.local) && (!w.forward || s.forward) && (w.mode == "udp" || !s.udpOnly)
}

func servers(pldns, self string) []server {
	return []server{
		{name: "echo", local: true, forward: true, udpOnly: true, command: func(dir string, _ workload) ([]string, error) {
			return echoCommand(dir, self)
		}},
		{name: "pldns", local: true, forward: true, command: func(dir string, w workload) ([]string, error) {
			return with(dir, "pldns.toml", pldnsConfig(w), pldns, "serve", "-c", "FILE")
		}},
		{name: "knot", program: "knotd", local: true, command: knot},
		{name: "nsd", program: "nsd", local: true, command: nsd},
		{name: "unbound", program: "unbound", local: true, forward: true, command: unbound},
		{name: "bind9", program: "named", local: true, forward: true, command: bind},
		{name: "dnsmasq", program: "dnsmasq", local: true, forward: true, command: dnsmasq},
		{name: "dnsdist", program: "dnsdist", forward: true, command: dnsdist},
		{name: "recursor", program: "pdns_recursor", forward: true, command: recursor},
	}
}

// with writes a file, and gives the command with FILE and DIR replaced.
func with(dir, name, text string, command ...string) ([]string, error) {
	file := filepath.Join(dir, name)
	replace := strings.NewReplacer("FILE", file, "DIR", dir, "PORT", fmt.Sprint(serverPort), "STUB", fmt.Sprint(stubPort))
	if name != "pldns.toml" {
		text = replace.Replace(text)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	for i := range command {
		command[i] = replace.Replace(command[i])
	}
	return command, nil
}

// writeZone writes the zone of W1.
func writeZone(dir string) error {
	return os.WriteFile(filepath.Join(dir, "zone"), []byte(zoneFile()), 0o600)
}

func knot(dir string, _ workload) ([]string, error) {
	if err := writeZone(dir); err != nil {
		return nil, err
	}
	return with(dir, "knot.conf", `
server:
    rundir: "DIR"
    listen: 127.0.0.1@PORT
    udp-workers: 2
    tcp-workers: 2
database:
    storage: "DIR/knot-db"
template:
  - id: default
    storage: "DIR"
    semantic-checks: off
    zonefile-load: whole
    journal-content: none
zone:
  - domain: database.windows.net
    file: "DIR/zone"
`, "knotd", "-c", "FILE")
}

func nsd(dir string, _ workload) ([]string, error) {
	if err := writeZone(dir); err != nil {
		return nil, err
	}
	return with(dir, "nsd.conf", `
server:
    ip-address: 127.0.0.1@PORT
    server-count: 2
    reuseport: yes
    username: ""
    chroot: ""
    database: ""
    zonesdir: "DIR"
    pidfile: "DIR/nsd.pid"
    xfrdfile: "DIR/nsd.xfrd"
    xfrdir: "DIR"
    zonelistfile: "DIR/nsd.zones"
remote-control:
    control-enable: no
zone:
    name: database.windows.net
    zonefile: zone
`, "nsd", "-d", "-c", "FILE")
}

func unbound(dir string, _ workload) ([]string, error) {
	var data strings.Builder
	for i := 1; i <= 1000; i++ {
		fmt.Fprintf(&data, "    local-data: \"%s. 10 IN A %s\"\n", host(i), address(0, i))
	}
	return with(dir, "unbound.conf", `
server:
    interface: 127.0.0.1@PORT
    port: PORT
    num-threads: 2
    so-reuseport: yes
    so-rcvbuf: 4m
    use-syslog: no
    do-daemonize: no
    chroot: ""
    username: ""
    directory: "DIR"
    pidfile: ""
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    module-config: "iterator"
    outgoing-range: 4096
    num-queries-per-thread: 2048
    msg-cache-size: 128m
    rrset-cache-size: 256m
    local-zone: database.windows.net. static
`+data.String()+`
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@STUB
`, "unbound", "-d", "-c", "FILE")
}

func bind(dir string, _ workload) ([]string, error) {
	if err := writeZone(dir); err != nil {
		return nil, err
	}
	return with(dir, "named.conf", `
options {
    directory "DIR";
    listen-on port PORT { 127.0.0.1; };
    listen-on-v6 { none; };
    pid-file none;
    session-keyfile none;
    lock-file none;
    recursion yes;
    dnssec-validation no;
    forward only;
    forwarders { 127.0.0.1 port STUB; };
};
controls { };
zone "database.windows.net" { type primary; file "DIR/zone"; };
`, "named", "-f", "-c", "FILE", "-n", "2")
}

func dnsmasq(dir string, _ workload) ([]string, error) {
	var hosts strings.Builder
	for i := 1; i <= 1000; i++ {
		fmt.Fprintf(&hosts, "%s %s\n", address(0, i), host(i))
	}
	return with(dir, "hosts", hosts.String(), "dnsmasq", "-k", "-C", "/dev/null", "-p", "PORT", "--listen-address=127.0.0.1",
		"--bind-interfaces", "--no-resolv", "--no-hosts", "--addn-hosts=FILE", "--server=127.0.0.1#STUB", "--cache-size=10000",
		"--dns-forward-max=10000", "--local=/database.windows.net/", "--pid-file=", "--user=", "--log-facility=-")
}

func dnsdist(dir string, _ workload) ([]string, error) {
	return with(dir, "dnsdist.conf", `
setLocal("127.0.0.1:PORT", {reusePort=true})
addLocal("127.0.0.1:PORT", {reusePort=true})
setACL({"127.0.0.0/8"})
newServer({address="127.0.0.1:STUB", healthCheckMode="up"})
setMaxUDPOutstanding(65535)
getPool(""):setCache(newPacketCache(1000000))
`, "dnsdist", "--supervised", "--disable-syslog", "-C", "FILE")
}

func recursor(dir string, _ workload) ([]string, error) {
	return with(dir, "recursor.conf", `
local-address=127.0.0.1
local-port=PORT
forward-zones-recurse=.=127.0.0.1:STUB
dnssec=off
dont-query=
allow-from=127.0.0.0/8
socket-dir=DIR
threads=2
security-poll-suffix=
daemon=no
write-pid=no
max-cache-entries=1000000
`, "pdns_recursor", "--config-dir=DIR")
}
