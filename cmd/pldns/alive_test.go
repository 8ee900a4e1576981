package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"pldns/cmd/internal/daemon"
	"pldns/resolver"
	"pldns/resolver/admin"
	"pldns/resolver/resolvertest"
)

// eager makes a server ask itself often.
func eager(o *daemon.Options) {
	o.SelfCheck.Interval, o.SelfCheck.Pause, o.SelfCheck.Timeout = 10*time.Millisecond, 10*time.Millisecond, 400*time.Millisecond
}

// The program's own question is answered over every transport, whoever may ask: no
// network has loopback, proxies must say who asks, clients are limited, all is
// logged. Metrics are not told of it.
func TestOwnQuestion(t *testing.T) {
	t.Parallel()
	dir, authority := t.TempDir(), resolvertest.NewAuthority(t)
	writeKeys(t, dir, authority, "dns.contoso.net")
	for name, test := range map[string]struct{ dns, more string }{
		"nobody":    {"127.0.0.1:0", ""},
		"limited":   {"127.0.0.1:0", "[limit]\nunlisted = 1\nslip = 0\n"},
		"proxied":   {"127.0.0.1:0", "[trust]\nproxy_protocol = [\"127.0.0.0/8\"]\n"},
		"wildcard":  {"0.0.0.0:0", "[limit]\nunlisted = 1\nslip = 0\n"},
		"logged":    {"127.0.0.1:0", fmt.Sprintf("[query_log]\nmode = \"all\"\nto = %q\n", filepath.Join(dir, "queries.json"))},
		"forwarded": {"127.0.0.1:0", "[networks.near]\nclients = [\"127.0.0.0/8\"]\n" + upstreamTable(resolvertest.ClosedAddr(t))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := startServer(t, fmt.Sprintf(`
[listen]
dns = [%q]
dot = ["127.0.0.1:0"]
doh = ["127.0.0.1:0"]
doq = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
[tls]
cert = %q
key = %q
[networks.far]
clients = ["10.0.0.0/8"]
%s`, test.dns, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), test.more), eager)
			for _, transport := range resolver.Transports() {
				resolvertest.Until(t, "50 answers over "+string(transport), func() bool {
					if faults := s.Checker().Faults(); len(faults) > 0 {
						t.Fatal(faults)
					}
					return s.Checker().Answered(transport) >= 50
				})
			}
			if ready := r.get("/readyz"); !strings.Contains(ready, `"ready": true`) {
				t.Errorf("/readyz says %s", ready)
			}
			if page := r.get("/metrics"); strings.Contains(page, "\npldns_queries_total{") {
				t.Error("metrics count the program's own questions")
			} else if strings.Contains(page, `reason="no-proxy"`) {
				t.Error("the program refuses its own questions")
			}
		})
	}
}

// loopback0 is a free port of loopback.
var loopback0 = netip.MustParseAddrPort("127.0.0.1:0")

// holding is a log that holds whoever tells it of a refusal, the first time.
type holding struct {
	slog.Handler
	once  *sync.Once
	held  chan struct{} // closed when somebody is held
	until chan struct{}
	who   string // as the record says "transport"; empty is anybody
}

func (h holding) Enabled(context.Context, slog.Level) bool { return true }

func (h holding) Handle(_ context.Context, record slog.Record) error {
	who := ""
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "transport" {
			who = a.Value.String()
		}
		return true
	})
	if record.Message == "refused" && (h.who == "" || h.who == who) {
		h.once.Do(func() { close(h.held); <-h.until })
	}
	return nil
}

// When one of the goroutines that read UDP is stuck, /readyz says where and since
// when, and with it pldns probe, though the others answer their clients; until it goes on.
func TestStuckReader(t *testing.T) {
	t.Parallel()
	hold := holding{slog.DiscardHandler, new(sync.Once), make(chan struct{}), make(chan struct{}), ""}
	r := startLogging(t, passedConfig(loopback0, loopback0, ""), slog.New(hold), eager)
	client, err := net.Dial("udp", r.addrs[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte{0, 1}); err != nil { // too short for a query
		t.Fatal(err)
	}
	<-hold.held
	ready := func() (int, string) {
		response, err := http.Get("http://" + r.admin + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode, r.get("/readyz")
	}
	until := func(want int) (body string) {
		resolvertest.Until(t, fmt.Sprintf("/readyz says %d", want), func() bool {
			var code int
			code, body = ready()
			return code == want
		}, &body)
		return body
	}
	body := until(http.StatusServiceUnavailable)
	for _, want := range []string{fmt.Sprintf("%q", r.addrs[0]), `"transport": "udp"`, `"since"`} {
		if !strings.Contains(body, want) {
			t.Errorf("/readyz does not say %s: %s", want, body)
		}
	}
	if page := r.get("/"); !strings.Contains(page, "do not answer the program") {
		t.Error("the page does not say it")
	}
	if runtime.GOMAXPROCS(0) > 1 && runtime.GOOS == "linux" { // else there is one reader
		impatient := dns.Client{Timeout: time.Second / 4}
		resolvertest.Until(t, "another reader answers", func() bool {
			reply, _, err := impatient.Exchange(new(dns.Msg).SetQuestion("version.bind.", dns.TypeA), r.addrs[0].String())
			return err == nil && reply.Response
		})
	}
	close(hold.until)
	until(http.StatusOK)
}

// When the goroutine stands still that takes connections in over one transport, as DNS over
// QUIC did elsewhere while the process was well (hagezi/dns-servers#14), /readyz names that
// listener, and so does the container's probe, until it goes on; the others answer.
func TestStuckListener(t *testing.T) {
	t.Parallel()
	for _, transport := range resolver.Transports()[1:] {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			hold := holding{slog.DiscardHandler, new(sync.Once), make(chan struct{}), make(chan struct{}), string(transport)}
			dir := t.TempDir()
			writeKeys(t, dir, resolvertest.NewAuthority(t), "dns.contoso.net")
			r := startLogging(t, fmt.Sprintf(`
[listen]
dns = ["127.0.0.1:0"]
dot = ["127.0.0.1:0"]
doh = ["127.0.0.1:0"]
doq = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
[trust]
proxy_protocol = ["127.0.0.9/32"]
[tls]
cert = %q
key = %q
[networks.near]
clients = ["127.0.0.0/8"]
`, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")), slog.New(hold), eager)
			blockListener(t, r, transport)
			<-hold.held
			released := false
			release := func() {
				if !released {
					released = true
					close(hold.until)
				}
			}
			defer release()
			var status admin.Status
			resolvertest.Until(t, "the listener is named", func() bool {
				status = readiness(t, r)
				return !status.Ready
			})
			if len(status.Silent) != 1 || status.Silent[0].Transport != string(transport) {
				t.Errorf("silent are %+v", status.Silent)
			}
			said := commanded(t, exitNo, "probe", "--server", r.admin)
			wantParts(t, said, `"transport": "`+string(transport)+`"`, "does not answer the program's own question")
			release()
			resolvertest.Until(t, "it answers again", func() bool { return readiness(t, r).Ready })
		})
	}
}

// blockListener does what is refused in the goroutine that takes connections in: a proxy that is
// trusted speaks QUIC, or one client opens more connections than it may have.
func blockListener(t *testing.T, r *running, transport resolver.Transport) {
	t.Helper()
	at := r.addrs[0]
	for _, l := range readiness(t, r).Listening {
		if l.Over == transport.Short() {
			at = l.Address
		}
	}
	if transport.IsPackets() {
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9)})
		if err != nil {
			t.Fatal(err)
		}
		dialer := &quic.Transport{Conn: socket}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = dialer.Dial(ctx, net.UDPAddrFromAddrPort(at), &tls.Config{InsecureSkipVerify: true, NextProtos: transport.ALPN()}, nil)
		}()
		t.Cleanup(func() { cancel(); <-ended; dialer.Close(); socket.Close() })
		return
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 8)}}
	for range 257 {
		conn, err := dialer.DialContext(t.Context(), "tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
}

// readiness is what /readyz says.
func readiness(t *testing.T, r *running) (status admin.Status) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.get("/readyz")), &status); err != nil {
		t.Fatal(err)
	}
	return status
}

// A service manager that watches is told that the program is alive.
func TestWatchdog(t *testing.T) {
	m, at, admin := newServiceManager(t)
	t.Setenv("WATCHDOG_USEC", "2000000")
	m.config = writeConfig(t, passedConfig(at, admin, ""))
	command, talk := m.start()
	m.await("READY=1")
	for range 3 {
		m.await("WATCHDOG=1")
	}
	m.stop(command, talk)
}
