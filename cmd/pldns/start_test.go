package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/cmd/internal/daemon"
	"pldns/config"
	"pldns/resolver/resolvertest"
)

// running is a pldns that serves a configuration on real sockets.
type running struct {
	tb      testing.TB
	file    string           // its configuration
	addrs   []netip.AddrPort // where it answers, in the order of listen.dns
	admin   string           // host:port
	hangUps chan os.Signal
	stop    context.CancelFunc
	ended   chan error
}

// adminToken is the token of every server whose configuration has withToken in its
// [listen].
const (
	adminToken = "5f2b0c9a7e1d4836"
	withToken  = "admin_token_file = \"admin.token\"\n"
)

// writeConfig puts a configuration into a file of its own, beside one that holds
// adminToken.
func writeConfig(tb testing.TB, toml string) string {
	tb.Helper()
	dir := tb.TempDir()
	file := filepath.Join(dir, "pldns.toml")
	for name, text := range map[string]string{file: toml, filepath.Join(dir, "admin.token"): adminToken + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return file
}

// start serves a configuration until the test ends. Addresses in it should have
// port 0.
func start(tb testing.TB, toml string) *running {
	tb.Helper()
	r, err := tryStart(tb, toml)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// tryStart is start, for configurations that may fail to listen.
func tryStart(tb testing.TB, toml string) (*running, error) {
	tb.Helper()
	r, _, err := tryStartServer(tb, toml)
	return r, err
}

// startServer is start, and gives the server too; what it is made of may be changed.
func startServer(tb testing.TB, toml string, change ...func(*daemon.Options)) (*running, *daemon.Server) {
	tb.Helper()
	r, s, err := tryStartServer(tb, toml, change...)
	if err != nil {
		tb.Fatal(err)
	}
	return r, s
}

func tryStartServer(tb testing.TB, toml string, change ...func(*daemon.Options)) (*running, *daemon.Server, error) {
	tb.Helper()
	return tryStartLogging(tb, toml, slog.New(slog.DiscardHandler), change...)
}

// startLogging is startServer with a log.
func startLogging(tb testing.TB, toml string, log *slog.Logger, change ...func(*daemon.Options)) *running {
	tb.Helper()
	r, _, err := tryStartLogging(tb, toml, log, change...)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func tryStartLogging(tb testing.TB, toml string, log *slog.Logger, change ...func(*daemon.Options)) (*running, *daemon.Server, error) {
	tb.Helper()
	file := writeConfig(tb, toml)
	options := daemon.Options{Load: func(r config.Releases) (*config.Config, error) { return config.LoadWith(file, r) }, Log: log}
	for _, each := range change {
		each(&options)
	}
	s, err := daemon.New(options)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Listen(nil); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{
		tb: tb, file: file, addrs: s.Addrs(), stop: cancel, ended: make(chan error, 1), hangUps: make(chan os.Signal, 1),
	}
	if at := s.AdminAddr(); at.IsValid() {
		r.admin = at.String()
	}
	go func() { r.ended <- s.Run(ctx, r.hangUps) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-r.ended; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return r, s, nil
}

// ask sends one query from a local address over udp or tcp, and reads the reply.
func (r *running) ask(network, from, name string, qtype uint16, change ...func(*dns.Msg)) *dns.Msg {
	r.tb.Helper()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	query.SetEdns0(1232, false)
	for _, c := range change {
		c(query)
	}
	reply, err := r.exchange(network, from, r.addrs[0], query)
	if err != nil {
		r.tb.Fatalf("%s %s from %s: %v", name, dns.TypeToString[qtype], from, err)
	}
	return reply
}

func (r *running) exchange(network, from string, to netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	local := net.Addr(&net.UDPAddr{IP: net.ParseIP(from)})
	if network == "tcp" {
		local = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	client := &dns.Client{Net: network, Timeout: time.Minute, Dialer: &net.Dialer{LocalAddr: local}}
	reply, _, err := client.Exchange(query, to.String())
	return reply, err
}

// says puts a reply into one line: rcode, extended errors, records without TTLs.
func says(reply *dns.Msg) string {
	parts := []string{dns.RcodeToString[reply.Rcode]}
	if opt := reply.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			if ede, is := option.(*dns.EDNS0_EDE); is {
				parts = append(parts, fmt.Sprintf("EDE %d", ede.InfoCode))
			}
		}
	}
	for _, section := range [][]dns.RR{reply.Answer, reply.Ns} {
		for _, rr := range section {
			fields := strings.Fields(rr.String())
			if rr.Header().Rrtype == dns.TypeSOA {
				fields = append(fields[:3:3], "SOA", fields[0])
			}
			parts = append(parts, strings.Join(fields[3:], " "))
		}
	}
	return strings.Join(parts, " | ")
}

// regions is README.md's example of two regions on loopback: clients of 127.0.1.0/24
// and 127.0.2.0/24, with what goes before the networks, such as upstreams.
func regions(head string) string {
	return `
deadline = "2500ms"
[listen]
dns = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
` + withToken + head + `
[endpoints.shared]
"contosoacr.azurecr.io" = "10.0.2.4"
"contosoacr.northeurope.data.azurecr.io" = "10.0.2.5"

[networks.europe]
clients = ["127.0.1.0/24"]
include = ["shared"]
[networks.europe.endpoints]
"momenta-eun.database.windows.net" = "10.0.1.4"
"momenta-aue.database.windows.net" = "10.0.1.5"
"global.in.ai.monitor.azure.com" = "10.0.3.9"
"contoso.blob.core.windows.net" = "10.0.3.4"
"absent.blob.core.windows.net" = "10.0.3.5"

[networks.australia]
clients = ["127.0.2.0/24"]
[networks.australia.endpoints]
"momenta-eun.database.windows.net" = "10.1.1.5"
"momenta-aue.database.windows.net" = "10.1.1.4"

[networks.strict]
clients = ["127.0.3.0/24"]
missing = "nxdomain"
[networks.strict.endpoints]
"other.blob.core.windows.net" = "10.2.1.4"
`
}

// upstreamTable is the configuration of one upstream that is asked for the rest.
func upstreamTable(servers ...netip.AddrPort) string {
	var quoted []string
	for _, server := range servers {
		quoted = append(quoted, fmt.Sprintf("%q", server))
	}
	return fmt.Sprintf("[upstreams.azure]\nservers = [%s]\n[forward]\n\".\" = \"azure\"\n", strings.Join(quoted, ", "))
}

const (
	europe    = "127.0.1.1"
	australia = "127.0.2.1"
	strict    = "127.0.3.1"
	unlisted  = "127.0.9.9"
)

// azureDNS is an upstream that answers as Azure does.
func azureDNS(tb testing.TB) *resolvertest.Upstream {
	return resolvertest.StartUpstream(tb, resolvertest.AzureData)
}

// questions counts what an upstream was asked, without the questions by which
// pldns looks for loops.
func questions(upstream *resolvertest.Upstream) int {
	count := 0
	for _, q := range upstream.Queries() {
		if !strings.HasSuffix(strings.ToLower(q.Msg.Question[0].Name), ".loop.pldns.internal.") {
			count++
		}
	}
	return count
}
