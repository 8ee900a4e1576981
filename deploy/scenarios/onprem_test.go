//go:build linux

package scenarios

import (
	"strings"
	"testing"

	"pldns/deploy/scenarios/lab"
)

const onpremConfig = `
[listen]
dns = ["10.0.0.4:53"]
[upstreams.azure]
servers = ["168.63.129.16"]
[forward]
"." = "azure"
[trust]
client_subnet = ["10.20.0.4/32"]

[networks.headquarters]
clients = ["10.20.0.0/24"]
[networks.headquarters.endpoints]
"momenta-eun.database.windows.net" = "10.0.1.6"

[networks.plant]
clients = ["10.21.0.0/24"]
[networks.plant.endpoints]
"momenta-eun.database.windows.net" = "10.0.1.4"

[networks.depot]
clients = ["10.22.0.0/24"]
[networks.depot.endpoints]
"momenta-eun.database.windows.net" = "10.0.1.5"
`

// forwarder is a DNS server that forwards the zones of Private Link to pldns and
// everything else to the Internet, as "pldns client-config" says.
type forwarder struct {
	program string
	// configure writes its configuration, with what client-config printed, and gives
	// the arguments to start it with; ok is false where it cannot send a client subnet.
	configure func(o *onprem, subnet bool) (arguments []string, ok bool)
	// believes tells that it passes on the subnet that a client names, although it
	// was told to write the client's own.
	believes bool
}

func forwarders() []forwarder {
	return []forwarder{
		{"named", bind, false}, {"unbound", conditionalUnbound, true}, {"dnsmasq", dnsmasq, false},
		{"coredns", coredns, false}, {"dnsdist", dnsdist, false},
	}
}

// bind cannot send a client subnet.
func bind(o *onprem, subnet bool) ([]string, bool) {
	file := o.lab.File("named/named.conf", `
options {
	directory "`+o.lab.Dir+`/named";
	listen-on { any; };
	listen-on-v6 { none; };
	allow-query { any; };
	recursion yes;
	forward only;
	forwarders { `+publicDNS+`; };
	dnssec-validation no;
	pid-file none;
	session-keyfile none;
};
controls { };
`+o.clientConfig("bind"))
	return []string{"-g", "-c", file}, !subnet
}

func conditionalUnbound(o *onprem, subnet bool) ([]string, bool) {
	modules := "module-config: \"iterator\"\n"
	if subnet {
		modules = "module-config: \"subnetcache iterator\"\n  send-client-subnet: 10.0.0.4\n  max-client-subnet-ipv4: 32\n"
	}
	file := o.lab.File("unbound.conf", `
server:
  interface: 0.0.0.0
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  use-syslog: no
  chroot: ""
  username: ""
  pidfile: ""
  num-threads: 1
  `+modules+`
remote-control:
  control-enable: no
`+o.clientConfig("unbound")+`
forward-zone:
  name: "."
  forward-addr: `+publicDNS+`
`)
	return []string{"-d", "-c", file}, true
}

func dnsmasq(o *onprem, subnet bool) ([]string, bool) {
	more := ""
	if subnet {
		more = "add-subnet=32,128\n"
	}
	file := o.lab.File("dnsmasq.conf", more+"no-resolv\nno-hosts\nserver="+publicDNS+"\n"+o.clientConfig("dnsmasq"))
	return []string{"--keep-in-foreground", "--conf-file=" + file, "--pid-file=", "--user=root", "--log-facility=-"}, true
}

func coredns(o *onprem, subnet bool) ([]string, bool) {
	block := o.clientConfig("coredns")
	if subnet {
		block = strings.Replace(block, "errors\n", "errors\n    rewrite edns0 subnet set 32 128\n", 1)
	}
	file := o.lab.File("Corefile", block+"\n. {\n    errors\n    forward . "+publicDNS+"\n}\n")
	return []string{"-conf", file}, true
}

func dnsdist(o *onprem, subnet bool) ([]string, bool) {
	use := "false"
	if subnet {
		use = "true"
	}
	file := o.lab.File("dnsdist.conf", `
setLocal("0.0.0.0:53")
setACL("0.0.0.0/0")
setECSSourcePrefixV4(32)
setECSOverride(true)
newServer{address="10.0.0.4:53", pool="pldns", useClientSubnet=`+use+`}
newServer{address="`+publicDNS+`:53"}
addAction("database.windows.net.", PoolAction("pldns"))
`)
	return []string{"--supervised", "--disable-syslog", "-C", file}, true
}

// onprem is a company with headquarters, where the forwarder is, two sites behind
// it, and a line to a hub network in Azure.
type onprem struct {
	lab                 *lab.Lab
	net                 *internet
	file                string
	resolver, forwarder *lab.Host
	sites               []*site
}

// site is where clients are: a network of its own, with its own endpoint.
type site struct {
	name, address string
	endpoint      *lab.Host
	client        client
}

func newOnprem(t *testing.T, n *internet) *onprem {
	l := n.lab
	o := &onprem{lab: l, net: n, file: l.File("pldns.toml", onpremConfig)}
	hub, office := l.Switch("hub", "10.0.0.1/16"), l.Switch("headquarters", "10.20.0.1/24")
	n.join(hub)
	n.join(office)
	hub.Link("circuit", "192.168.255.1/30", office, "circuit", "192.168.255.2/30")
	hub.Run("ip", "route", "add", "10.20.0.0/14", "via", "192.168.255.2")
	office.Route("10.0.0.0/16", "192.168.255.1")

	o.resolver, o.forwarder = l.Host("resolver"), l.Host("forwarder")
	hub.Plug(o.resolver, "10.0.0.4/16")
	office.Plug(o.forwarder, "10.20.0.4/24")
	for i, s := range []*site{{name: "headquarters", address: "10.0.1.6"}, {name: "plant", address: "10.0.1.4"}, {name: "depot", address: "10.0.1.5"}} {
		s.endpoint = l.Host("endpoint for " + s.name)
		hub.Plug(s.endpoint, s.address+"/16")
		s.endpoint.Count()
		s.endpoint.Site(s.address+":1433", "endpoint for "+s.name, n.authority.Issue("*.database.windows.net"))
		user := l.Host(s.name + " client")
		if i == 0 {
			office.Plug(user, "10.20.0.7/24")
		} else {
			line := "10.2" + itoa(i) + ".0."
			user.Link("line", line+"7/24", office, s.name, line+"1/24")
			user.Route("default", line+"1")
		}
		user.Nameservers("10.20.0.4")
		s.client = client{T: t, Host: user, authority: n.authority.File}
		o.sites = append(o.sites, s)
	}
	return o
}

// clientConfig is what pldns prints for a kind of forwarder.
func (o *onprem) clientConfig(kind string) string {
	text, err := o.resolver.TryPldns("client-config", kind, "--network", "headquarters", "--server", "10.0.0.4", "-c", o.file)
	if err != nil {
		o.sites[0].client.Fatal(err)
	}
	return text + "\n"
}

// On-prem sites behind one forwarder. pldns sees the forwarder's address and nobody
// else's: all are answered as the forwarder's network. With EDNS client subnet,
// every site gets its own endpoint.
func TestOnPremBehindAForwarder(t *testing.T) {
	n := newInternet(lab.New(t, "dig", "curl", "getent"))
	o := newOnprem(t, n)
	o.resolver.Pldns(o.file)
	for _, f := range forwarders() {
		if !n.lab.Has(f.program) {
			continue
		}
		for _, subnet := range []bool{false, true} {
			arguments, ok := f.configure(o, subnet)
			if !ok {
				t.Logf("%s cannot send a client subnet", f.program)
				continue
			}
			process := o.forwarder.Start(f.program, arguments...)
			n.lab.Until(f.program+" answers", func() bool {
				if process.Ended() {
					t.Fatalf("%s ended:\n%s", f.program, process.Log())
				}
				got, err := o.forwarder.TryPlay("ask", "-server", "127.0.0.1:53", "www.contoso.com", "A")
				return err == nil && strings.Contains(got, "203.0.113.80")
			})
			o.try(t, f.program, subnet)
			if subnet && !f.believes {
				o.forge(t, f.program)
			}
			process.Kill()
		}
	}
	reached(t, n.front, false)
}

// try has the clients of all sites open the database, twice, so that what the
// forwarder remembers of one site would come to another.
func (o *onprem) try(t *testing.T, program string, subnet bool) {
	t.Logf("%s, with a client subnet: %v", program, subnet)
	before := o.counts()
	expected := make([]bool, len(o.sites))
	for range 2 {
		for i, s := range o.sites {
			at := 0
			if subnet {
				at = i
			}
			expected[at] = true
			s.client.resolves(eun, eunPrivate, o.sites[at].address)
			s.client.opens(eun, "1433", "endpoint for "+o.sites[at].name)
		}
	}
	after := o.counts()
	for i, s := range o.sites {
		if (after[i] > before[i]) != expected[i] {
			t.Errorf("%s, with a client subnet: %v: %d connections to the endpoint for %s", program, subnet, after[i]-before[i], s.name)
		}
	}
	c := o.sites[0].client
	c.mistrusts(o.sites[0].address, "1433")
	c.mistrusts(eunPrivate, "1433")
}

// forge has a client of one site ask as if it were one of another. Whether it is
// answered is up to the forwarder, but not as the other.
func (o *onprem) forge(t *testing.T, program string) {
	c, other := o.sites[1].client, o.sites[2]
	got, _ := c.Try("dig", "+short", "+tries=1", "+time=2", "+subnet=10.22.0.7/32", eun, "A")
	if strings.Contains(got, other.address) {
		t.Errorf("%s lets a client be one of %s: %s", program, other.name, got)
	}
}

func (o *onprem) counts() []int {
	var counts []int
	for _, s := range o.sites {
		counts = append(counts, s.endpoint.Reached())
	}
	return counts
}
