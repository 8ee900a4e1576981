//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func knot(_ server, dir string, _ workload) ([]string, error) {
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

func nsd(_ server, dir string, w workload) ([]string, error) {
	if err := writeZone(dir); err != nil {
		return nil, err
	}
	secure := ""
	if w.mode == dot {
		secure = `
    ip-address: 127.0.0.1@TLSPORT
    tls-port: TLSPORT
    tls-service-key: "TLSKEY"
    tls-service-pem: "TLSCERT"
`
	}
	return with(dir, "nsd.conf", `
server:
    ip-address: 127.0.0.1@PORT
`+secure+`
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

func unbound(_ server, dir string, w workload) ([]string, error) {
	var data strings.Builder
	for i := 1; i <= 1000; i++ {
		fmt.Fprintf(&data, "    local-data: \"%s. 10 IN A %s\"\n", host(i), address(0, i))
	}
	secure := ""
	if w.mode == dot {
		secure = `
    interface: 127.0.0.1@TLSPORT
    tls-port: TLSPORT
    tls-service-key: "TLSKEY"
    tls-service-pem: "TLSCERT"
`
	}
	return with(dir, "unbound.conf", `
server:
`+secure+`
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
    forward-addr: 127.0.0.1@BACKEND
`, "unbound", "-d", "-c", "FILE")
}

func bind(_ server, dir string, w workload) ([]string, error) {
	if err := writeZone(dir); err != nil {
		return nil, err
	}
	certificate, secure := "", ""
	if w.mode == dot {
		certificate = `
tls bench { cert-file "TLSCERT"; key-file "TLSKEY"; };
`
		secure = `
    listen-on port TLSPORT tls bench { 127.0.0.1; };
`
	}
	return with(dir, "named.conf", certificate+`
options {
`+secure+`
    directory "DIR";
    listen-on port PORT { 127.0.0.1; };
    listen-on-v6 { none; };
    pid-file none;
    session-keyfile none;
    lock-file none;
    recursion yes;
    dnssec-validation no;
    forward only;
    forwarders { 127.0.0.1 port BACKEND; };
};
controls { };
zone "database.windows.net" { type primary; file "DIR/zone"; };
`, "named", "-f", "-c", "FILE", "-n", "2")
}

func dnsmasq(_ server, dir string, _ workload) ([]string, error) {
	return with(dir, "hosts", hostsFile(), "dnsmasq", "-k", "-C", "/dev/null", "-p", "PORT", "--listen-address=127.0.0.1",
		"--bind-interfaces", "--no-resolv", "--no-hosts", "--addn-hosts=FILE", "--server=127.0.0.1#BACKEND", "--cache-size=10000",
		"--dns-forward-max=10000", "--local=/database.windows.net/", "--pid-file=", "--user=", "--log-facility=-")
}

// dnsdist has no names of its own: what it is asked for again it answers from its
// packet cache, whatever the workload.
func dnsdist(_ server, dir string, w workload) ([]string, error) {
	secure := ""
	if w.mode == dot {
		secure = `
addTLSLocal("127.0.0.1:TLSPORT", "TLSCERT", "TLSKEY")
`
	}
	return with(dir, "dnsdist.conf", `
setLocal("127.0.0.1:PORT", {reusePort=true})
addLocal("127.0.0.1:PORT", {reusePort=true})
`+secure+`
setACL({"127.0.0.0/8"})
newServer({address="127.0.0.1:BACKEND", healthCheckMode="up"})
setMaxUDPOutstanding(65535)
getPool(""):setCache(newPacketCache(1000000))
`, "dnsdist", "--supervised", "--disable-syslog", "-C", "FILE")
}

func recursor(_ server, dir string, w workload) ([]string, error) {
	if err := writeZone(dir); err != nil {
		return nil, err
	}
	zones := ""
	if w.local {
		zones = "auth-zones=database.windows.net=DIR/zone"
	}
	return with(dir, "recursor.conf", `
local-address=127.0.0.1
local-port=PORT
forward-zones-recurse=.=127.0.0.1:BACKEND
`+zones+`
dnssec=off
dont-query=
allow-from=127.0.0.0/8
socket-dir=DIR
threads=2
security-poll-suffix=
daemon=no
write-pid=no
max-cache-entries=1000000
max-tcp-per-client=0
`, "pdns_recursor", "--config-dir=DIR")
}

// kresd has one thread for each process, so there are two.
func kresd(_ server, dir string, w workload) ([]string, error) {
	hosts := hostsFile()
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte(hosts), 0o600); err != nil {
		return nil, err
	}
	secure := ""
	if w.mode == dot {
		secure = `
net.listen("127.0.0.1", TLSPORT, { kind = "tls" })
net.tls("TLSCERT", "TLSKEY")
`
	}
	return with(dir, "kresd.conf", `
net.listen("127.0.0.1", PORT, { kind = "dns" })
`+secure+`
modules.unload("priming")
modules.unload("ta_update")
modules.unload("ta_signal_query")
modules.unload("detect_time_skew")
trust_anchors.remove(".")
cache.open(256 * MB, "lmdb://DIR/kresd-cache")
modules = { "hints > iterate" }
hints.use_nodata(true)
hints.config("DIR/hosts")
policy.add(policy.all(policy.STUB("127.0.0.1@BACKEND")))
`, "sh", "-c", "mkdir -p DIR/kresd-cache; kresd -n -c FILE DIR & kresd -n -c FILE DIR & wait")
}

// hostsFile are the names of W1 as a hosts file.
func hostsFile() string {
	var hosts strings.Builder
	for i := 1; i <= 1000; i++ {
		fmt.Fprintf(&hosts, "%s %s\n", address(0, i), host(i))
	}
	return hosts.String()
}
