package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/config"
	"pldns/config/clientconfig"
	"pldns/resolver/resolvertest"
	"pldns/zones/azure"
)

// office is what the resolver serves behind the programs.
const office = `
[listen]
dns = ["127.0.0.1:0"]
admin = "off"
[upstreams.azure]
servers = ["%s"]
[forward]
"." = "azure"
[networks.office]
clients = ["127.0.0.0/8"]
[networks.office.endpoints]
"momenta-eun.database.windows.net" = "10.0.1.4"
"contosokv.vault.azure.net" = "10.0.1.6"
"contosolog.z1.blob.storage.azure.net" = "10.0.1.7"
"api.contoso.com" = "10.0.7.9"
"_app.build_01.contoso.com" = "10.0.7.10"
"*.apps.fabrikam.net" = "10.0.7.11"
[zones."lab.test"]
records = ["printer 300 IN A 10.0.3.3"]
`

// behind is what the resolver's upstream says: another tenant's database.
const behind = `
fabrikam.database.windows.net.             300 IN CNAME fabrikam.privatelink.database.windows.net.
fabrikam.privatelink.database.windows.net. 300 IN CNAME dataslice4.northeurope.database.windows.net.
dataslice4.northeurope.database.windows.net. 300 IN A 203.0.113.20
`

// world is what the programs get from where they send everything else: the
// operator's public zone, which has no more than an alias to say, and what the
// Internet says about a private name.
const world = `
db.contoso.com.   3600 IN CNAME momenta-eun.database.windows.net.
www.contoso.com.  300  IN A     20.60.1.1
contosolog.privatelink.blob.core.windows.net. 60 IN A 203.0.113.4
`

// question is one to a program, and the addresses that it must end with.
type question struct {
	name  string
	qtype uint16
	want  string
}

// mapped are questions about what the resolver is to be asked.
func mapped() []question {
	return []question{
		{"momenta-eun.database.windows.net", dns.TypeA, "NOERROR 10.0.1.4"},
		{"momenta-eun.database.windows.net", dns.TypeAAAA, "NOERROR"},
		{"contosokv.vault.azure.net", dns.TypeA, "NOERROR 10.0.1.6"},
		{"contosolog.z1.blob.storage.azure.net", dns.TypeA, "NOERROR 10.0.1.7"},
		{"api.contoso.com", dns.TypeA, "NOERROR 10.0.7.9"},
		{"_app.build_01.contoso.com", dns.TypeA, "NOERROR 10.0.7.10"},
		{"shop.apps.fabrikam.net", dns.TypeA, "NOERROR 10.0.7.11"},
		{"printer.lab.test", dns.TypeA, "NOERROR 10.0.3.3"},
		{"fabrikam.database.windows.net", dns.TypeA, "NOERROR 203.0.113.20"},
	}
}

// rest are questions that the program sends elsewhere.
func rest() []question { return []question{{"www.contoso.com", dns.TypeA, "NOERROR 20.60.1.1"}} }

// vanity is a question that is sent elsewhere and whose alias leads back.
func vanity() []question { return []question{{"db.contoso.com", dns.TypeA, "NOERROR 10.0.1.4"}} }

// scene is a resolver, what is behind it, and what the program in front of it asks
// about everything else.
type scene struct {
	resolver netip.AddrPort
	config   string // the file of the resolver
	world    *resolvertest.Upstream
}

func newScene(t *testing.T) scene {
	t.Helper()
	toml := fmt.Sprintf(office, resolvertest.StartUpstream(t, behind).Addr)
	return scene{start(t, toml).addrs[0], writeConfig(t, toml), resolvertest.StartUpstream(t, world)}
}

// failing is the same scene with a resolver that answers nothing but SERVFAIL.
func (s scene) failing(t *testing.T) scene {
	t.Helper()
	resolver := resolvertest.StartUpstream(t)
	resolver.Always(resolvertest.Rcode(dns.RcodeServerFailure))
	s.resolver = resolver.Addr
	return s
}

// staysSilent asks a program about a private name while the resolver fails: it
// fails too, and does not ask the world, which has a public address.
func (s scene) staysSilent(t *testing.T, at netip.AddrPort) {
	t.Helper()
	ask(t, at, []question{{"contosolog.privatelink.blob.core.windows.net", dns.TypeA, "SERVFAIL"}})
	if asked := s.world.Count("contosolog.privatelink.blob.core.windows.net", dns.TypeA); asked != 0 {
		t.Errorf("the world was asked %d times", asked)
	}
}

// clientConfig is what the command writes for a kind, as an operator calls it.
func (s scene) clientConfig(t *testing.T, args ...string) string {
	t.Helper()
	var out, talk bytes.Buffer
	all := append([]string{"client-config", "-c", s.config, "--server", s.resolver.String()}, args...)
	if code := run(t.Context(), all, &out, &talk); code != exitFine {
		t.Fatalf("client-config %v: %s", args, talk.String())
	}
	return out.String()
}

// publicOnly is the same without the privatelink zones.
func (s scene) publicOnly(t *testing.T, kind clientconfig.Kind) string {
	t.Helper()
	loaded, err := config.Load(s.config)
	if err != nil {
		t.Fatal(err)
	}
	use := clientconfig.InUse(loaded.Networks, azure.New())
	use.Private = nil
	text, err := clientconfig.Render(kind, "", clientconfig.Settings{Servers: []netip.AddrPort{s.resolver}, Use: use})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ask asks a program every question, cold and from its memory.
func ask(t *testing.T, at netip.AddrPort, questions ...[]question) {
	t.Helper()
	client := &dns.Client{Timeout: 20 * time.Second}
	for _, round := range []string{"cold", "warm"} {
		for _, q := range slices.Concat(questions...) {
			query := new(dns.Msg).SetQuestion(dns.Fqdn(q.name), q.qtype)
			reply, _, err := client.ExchangeContext(t.Context(), query, at.String())
			if err != nil {
				t.Fatalf("%s %s: %v", round, q.name, err)
			}
			if got := ends(reply); got != q.want {
				t.Errorf("%s %s %s: got %s, want %s", round, q.name, dns.TypeToString[q.qtype], got, q.want)
			}
		}
	}
}

// ends is the response code and the addresses of a reply.
func ends(reply *dns.Msg) string {
	words := []string{dns.RcodeToString[reply.Rcode]}
	for _, rr := range reply.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			words = append(words, rr.A.String())
		case *dns.AAAA:
			words = append(words, rr.AAAA.String())
		}
	}
	return strings.Join(words, " ")
}

// An anchor for the root that nothing is signed with: a program that validates
// with it takes everything for forged that it is not told to leave alone.
const (
	bindAnchor    = `trust-anchors { . static-ds 20326 8 2 "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"; };`
	unboundAnchor = `trust-anchor: ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"`
	dnsmasqAnchor = "trust-anchor=.,20326,8,2,E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
)

// forged is the answer of a program that validates to what is not excepted.
func forged() []question { return []question{{"www.contoso.com", dns.TypeA, "SERVFAIL"}} }

func bind(t *testing.T, s scene, zones, validation, more string) serverProgram {
	return serverProgram{
		program: lookUp(t, "named", "the package bind9"),
		args:    []string{"-g", "-c", "FILE"},
		check:   []string{lookUp(t, "named-checkconf", "the package bind9"), "FILE"},
		ready:   "all zones loaded",
		files:   map[string]string{"zones": zones, "options": s.clientConfig(t, "bind", "--format", "options")},
		config: fmt.Sprintf(`
options {
	directory "DIR"; pid-file none; lock-file none; session-keyfile none;
	listen-on port PORT { 127.0.0.1; }; listen-on-v6 { none; };
	forward only; forwarders { 127.0.0.1 port %d; };
	dnssec-validation %s;
	include "DIR/options";
};
controls { };
%s
include "DIR/zones";
`, s.world.Addr.Port(), validation, more),
	}
}

// BIND with the generated zones in front of the resolver: mapped names end at
// private addresses, cold and warm, with validation too, and an alias from
// elsewhere leads back into them.
func TestClientConfigBIND(t *testing.T) {
	s := newScene(t)
	zones := s.clientConfig(t, "bind")
	t.Run("answers", func(t *testing.T) { ask(t, bind(t, s, zones, "no", "").start(t), mapped(), rest(), vanity()) })
	t.Run("validates", func(t *testing.T) { ask(t, bind(t, s, zones, "yes", bindAnchor).start(t), mapped(), forged()) })
	t.Run("does not go around a failing resolver", func(t *testing.T) {
		s := s.failing(t)
		s.staysSilent(t, bind(t, s, s.clientConfig(t, "bind"), "no", "").start(t))
	})
	t.Run("needs the privatelink zones", func(t *testing.T) {
		at := bind(t, s, s.publicOnly(t, clientconfig.BIND), "no", "").start(t)
		ask(t, at, []question{{"contosolog.z1.blob.storage.azure.net", dns.TypeA, "NOERROR 203.0.113.4"}})
	})
}

func unbound(t *testing.T, s scene, zones, more string) serverProgram {
	return serverProgram{
		program: lookUp(t, "unbound", "the package unbound"),
		args:    []string{"-d", "-v", "-c", "FILE"},
		check:   []string{lookUp(t, "unbound-checkconf", "the package unbound"), "FILE"},
		ready:   "start of service",
		files:   map[string]string{"zones": zones},
		config: fmt.Sprintf(`
server:
    interface: 127.0.0.1@PORT
    chroot: ""
    username: ""
    directory: "DIR"
    pidfile: ""
    use-syslog: no
    private-address: 10.0.0.0/8
    %s
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@%d
include: "DIR/zones"
`, more, s.world.Addr.Port()),
	}
}

// Unbound with the generated zones, and with its protection against rebinding.
func TestClientConfigUnbound(t *testing.T) {
	s := newScene(t)
	zones := s.clientConfig(t, "unbound")
	t.Run("answers", func(t *testing.T) { ask(t, unbound(t, s, zones, "").start(t), mapped(), rest(), vanity()) })
	t.Run("validates", func(t *testing.T) { ask(t, unbound(t, s, zones, unboundAnchor).start(t), mapped(), forged()) })
	t.Run("does not go around a failing resolver", func(t *testing.T) {
		s := s.failing(t)
		s.staysSilent(t, unbound(t, s, s.clientConfig(t, "unbound"), "").start(t))
	})
	t.Run("needs the privatelink zones", func(t *testing.T) {
		at := unbound(t, s, s.publicOnly(t, clientconfig.Unbound), "").start(t)
		ask(t, at, []question{{"contosolog.z1.blob.storage.azure.net", dns.TypeA, "NOERROR 203.0.113.4"}})
	})
}

func dnsmasq(t *testing.T, s scene, zones, more string) serverProgram {
	program := lookUp(t, "dnsmasq", "the package dnsmasq-base")
	return serverProgram{
		program: program,
		args:    []string{"-k", "-C", "FILE"},
		check:   []string{program, "--test", "-C", "FILE"},
		ready:   "started, version",
		files:   map[string]string{"zones": zones},
		config: fmt.Sprintf(`
port=PORT
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
pid-file
user=root
log-facility=-
stop-dns-rebind
server=127.0.0.1#%d
conf-file=DIR/zones
%s
`, s.world.Addr.Port(), more),
	}
}

// dnsmasq with the generated lines, and with its protection against rebinding.
func TestClientConfigDnsmasq(t *testing.T) {
	s := newScene(t)
	zones := s.clientConfig(t, "dnsmasq")
	t.Run("answers", func(t *testing.T) { ask(t, dnsmasq(t, s, zones, "").start(t), mapped(), rest()) })
	t.Run("validates", func(t *testing.T) {
		ask(t, dnsmasq(t, s, zones, "dnssec\ndnssec-check-unsigned\n"+dnsmasqAnchor).start(t), mapped(), forged())
	})
}

// CoreDNS with the generated server block.
func TestClientConfigCoreDNS(t *testing.T) {
	program := lookUp(t, "coredns", "github.com/coredns/coredns")
	s := newScene(t)
	d := serverProgram{
		program: program,
		args:    []string{"-dns.port", "PORT", "-conf", "FILE"},
		ready:   "CoreDNS-",
		config:  s.clientConfig(t, "coredns") + fmt.Sprintf(".  {\n    forward . %s\n}\n", s.world.Addr),
	}
	ask(t, d.start(t), mapped(), rest())
}

// The tool that people test with sees the same as the tests.
func TestClientConfigDigThroughBIND(t *testing.T) {
	dig := lookUp(t, "dig", "the package bind9-dnsutils")
	s := newScene(t)
	at := bind(t, s, s.clientConfig(t, "bind"), "no", "").start(t)
	out, err := exec.CommandContext(t.Context(), dig, "+short", "-p", fmt.Sprint(at.Port()), "@127.0.0.1", "momenta-eun.database.windows.net").CombinedOutput()
	if err != nil || string(out) != "momenta-eun.privatelink.database.windows.net.\n10.0.1.4\n" {
		t.Errorf("%v: %s", err, out)
	}
}
