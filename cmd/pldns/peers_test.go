package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// peer is another DNS server that is run beside pldns, forwarding everything.
type peer struct {
	name    string
	command string
	// arguments configure it to answer at one address, and to ask another from the
	// given source address. Files go into dir.
	arguments func(dir string, at, ask netip.AddrPort, source string) (files map[string]string, args []string)
}

func peers() []peer {
	return []peer{
		{"unbound", "unbound", unboundArguments},
		{"dnsmasq", "dnsmasq", dnsmasqArguments},
		{"bind9", "named", bindArguments},
	}
}

func unboundArguments(dir string, at, ask netip.AddrPort, source string) (map[string]string, []string) {
	file := filepath.Join(dir, "unbound.conf")
	return map[string]string{file: fmt.Sprintf(`
server:
  interface: %s@%d
  port: %d
  outgoing-interface: %s
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-daemonize: no
  use-syslog: no
  chroot: ""
  username: ""
  pidfile: ""
  module-config: "iterator"
  num-threads: 1
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: %s@%d
`, at.Addr(), at.Port(), at.Port(), source, ask.Addr(), ask.Port())}, []string{"-d", "-c", file}
}

func dnsmasqArguments(_ string, at, ask netip.AddrPort, source string) (map[string]string, []string) {
	return nil, []string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--pid-file=",
		fmt.Sprintf("--listen-address=%s", at.Addr()), fmt.Sprintf("--port=%d", at.Port()),
		fmt.Sprintf("--server=%s#%d@%s", ask.Addr(), ask.Port(), source), "--user=root", "--log-facility=-",
	}
}

func bindArguments(dir string, at, ask netip.AddrPort, source string) (map[string]string, []string) {
	file := filepath.Join(dir, "named.conf")
	return map[string]string{file: fmt.Sprintf(`
options {
  directory %q;
  listen-on port %d { %s; };
  listen-on-v6 { none; };
  forward only;
  forwarders port %d { %s; };
  query-source address %s;
  dnssec-validation no;
  allow-query { any; };
  recursion yes;
  pid-file none;
  session-keyfile none;
};
controls { };
`, dir, at.Port(), at.Addr(), ask.Port(), ask.Addr(), source)}, []string{"-g", "-c", file}
}

// startPeer runs a peer until the test ends, and gives the address it answers at.
// Behind it, at the end of all forwarding, is the given upstream. The test is
// skipped where the program or dig is not installed, unless PLDNS_PEERS says that it must be.
func startPeer(t *testing.T, p peer, ask netip.AddrPort, source string, behind *resolvertest.Upstream) netip.AddrPort {
	t.Helper()
	path := find(t, p.command)
	find(t, "dig")
	at := resolvertest.FreeAddr(t)
	files, args := p.arguments(t.TempDir(), at, ask, source)
	for file, text := range files {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	runProgram(t, path, args...)
	awaitAnswer(t, p.name, at, behind)
	return at
}

// runProgram runs a program until the test ends: see [resolvertest.Run].
func runProgram(tb testing.TB, path string, args ...string) {
	tb.Helper()
	resolvertest.Run(tb, path, args...)
}

// find finds a program that is run or asked for: see [resolvertest.Peer].
func find(t *testing.T, command string) string {
	t.Helper()
	return resolvertest.Peer(t, command)
}

// awaitAnswer asks new names until one of them has reached the upstream behind all,
// which shows that it is this peer that answers there, and not somebody who had
// the port before it.
func awaitAnswer(t *testing.T, name string, at netip.AddrPort, behind *resolvertest.Upstream) {
	t.Helper()
	client, i := &dns.Client{Timeout: 300 * time.Millisecond}, 0
	resolvertest.Until(t, name+" answers", func() bool {
		asked := fmt.Sprintf("await-%d.contoso.com.", i)
		i++
		_, _, err := client.Exchange(new(dns.Msg).SetQuestion(asked, dns.TypeA), at.String())
		return err == nil && behind.Count(asked, dns.TypeA) > 0
	})
}

// throughPeer leaves out what only the asker of pldns itself sees: extended errors,
// and the zones of denials, which forwarders drop.
func throughPeer(line string) string {
	var kept []string
	for part := range strings.SplitSeq(line, " | ") {
		if !strings.HasPrefix(part, "EDE") && !strings.HasPrefix(part, "SOA") {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, " | ")
}

// dig is what dig +short prints for a client at a local address.
func dig(t *testing.T, at netip.AddrPort, from, qname, qtype string) string {
	t.Helper()
	args := []string{"+short", "-b", from, "@" + at.Addr().String(), "-p", fmt.Sprint(at.Port()), qname, qtype}
	output, err := exec.CommandContext(t.Context(), "dig", args...).Output()
	if err != nil {
		t.Fatalf("dig %s: %v", strings.Join(args, " "), err)
	}
	return string(output)
}

// data is what stands in the records of an answer, a line each.
func data(line string) string {
	var text strings.Builder
	for part := range strings.SplitSeq(throughPeer(line), " | ") {
		if _, value, is := strings.Cut(part, " "); is {
			text.WriteString(value + "\n")
		}
	}
	return text.String()
}

// The main job behind other servers: they forward everything to pldns, from an
// address of Europe, and their clients get Europe's answers.
func TestBehindPeers(t *testing.T) {
	for _, p := range peers() {
		t.Run(p.name, func(t *testing.T) {
			upstream := azureDNS(t)
			r := start(t, regions(upstreamTable(upstream.Addr)))
			at := startPeer(t, p, r.addrs[0], europe, upstream)
			for _, round := range []string{"cold", "warm"} {
				for _, test := range chains {
					if test.from != europe {
						continue
					}
					query := new(dns.Msg).SetQuestion(test.qname+".", dns.TypeA)
					reply, err := r.exchange("udp", "127.0.0.1", at, query)
					if err != nil {
						t.Fatalf("%s %s: %v", round, test.name, err)
					}
					if got, want := throughPeer(says(reply)), throughPeer(test.want); got != want {
						t.Errorf("%s %s\ngot  %s\nwant %s", round, test.name, got, want)
					}
					if got, want := dig(t, at, "127.0.0.1", test.qname, "A"), data(test.want); got != want {
						t.Errorf("%s %s: dig prints\n%s\nwant\n%s", round, test.name, got, want)
					}
				}
			}
			query := new(dns.Msg).SetQuestion("momenta-eun.database.windows.net.", dns.TypeAAAA)
			reply, err := r.exchange("udp", "127.0.0.1", at, query)
			if err != nil {
				t.Fatal(err)
			}
			if got := throughPeer(says(reply)); got != "NOERROR | "+alias {
				t.Errorf("AAAA of a mapped name: %s", got)
			}
		})
	}
}

// The main job in front of other servers: pldns asks them for what is not mapped.
func TestPeersAsUpstreams(t *testing.T) {
	for _, p := range peers()[:2] {
		t.Run(p.name, func(t *testing.T) {
			upstream := azureDNS(t)
			at := startPeer(t, p, upstream.Addr, "127.0.0.1", upstream)
			r := start(t, regions(upstreamTable(at)))
			for _, round := range []string{"cold", "warm"} {
				for _, test := range chains {
					if got, want := throughPeer(says(r.ask("udp", test.from, test.qname, dns.TypeA))), throughPeer(test.want); got != want {
						t.Errorf("%s %s\ngot  %s\nwant %s", round, test.name, got, want)
					}
					if got, want := dig(t, r.addrs[0], test.from, test.qname, "A"), data(test.want); got != want {
						t.Errorf("%s %s: dig prints\n%s\nwant\n%s", round, test.name, got, want)
					}
				}
			}
		})
	}
}
