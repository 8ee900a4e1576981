package querylog_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/sdk/resource"
	collected "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/observe/querylog"
	"pldns/resolver/resolvertest"
)

func textLog(to io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }

// answered is a query with the reply that says an address.
func answered(t *testing.T, name, address string) *listen.Exchange {
	t.Helper()
	e := asked(name)
	reply := new(dns.Msg)
	reply.SetQuestion(dns.Fqdn(name), dns.TypeA)
	for _, text := range []string{name + " 10 IN CNAME private.contoso.com.", "private.contoso.com. 10 IN A " + address} {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		reply.Answer = append(reply.Answer, rr)
	}
	var err error
	if e.Reply, err = reply.Pack(); err != nil {
		t.Fatal(err)
	}
	e.From = netip.MustParseAddrPort("10.0.1.77:5353")
	e.Answer.Release = "sha256-1"
	e.Answer.Errors = []resolver.Error{{Code: 3, Text: "stale"}}
	return e
}

// A line for an audit says what was answered, of which release, and the extended errors.
func TestAuditLine(t *testing.T) {
	var out strings.Builder
	log, stop := run(t, querylog.Config{Mode: querylog.All, Clients: querylog.Address, Writer: &out})
	log.Exchanged(answered(t, "mydb.database.windows.net.", "10.0.1.4"))
	_ = stop()
	var line map[string]any
	if err := json.Unmarshal([]byte(out.String()), &line); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"addresses": "[10.0.1.4]", "release": "sha256-1", "rcode": "NOERROR", "source": "local", "client": "10.0.1.77", "client_port": "5353",
		"ede": "[map[code:3 text:stale]]",
	} {
		if got := fmt.Sprint(line[key]); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
}

// A log says no more than its filter lets through, whatever the mode is.
func TestFilter(t *testing.T) {
	for _, mode := range []querylog.Mode{querylog.Errors, querylog.All} {
		var out strings.Builder
		log, stop := run(t, querylog.Config{Mode: mode, Writer: &out, Filter: named("wanted")})
		for _, name := range []string{"wanted.", "other."} {
			e := asked(name)
			e.Answer = resolver.Answer{Network: "europe", Rcode: dns.RcodeServerFailure}
			log.Exchanged(e)
		}
		_ = stop()
		if strings.Count(out.String(), "\n") != 1 || !strings.Contains(out.String(), `"wanted"`) {
			t.Errorf("mode %d: %s", mode, out.String())
		}
	}
}

// named is a filter that wants one name.
type named string

func (n named) Match(e *listen.Exchange) bool { return e.Name().String() == string(n) }

// header is what stands before the text of a message of syslog.
var header = regexp.MustCompile(`^<(\d+)>1 2026-11-22T03:04:05\.678901Z hub-1 pldns \d+ query - \{.*\}$`)

// checkMessage holds a message against RFC 5424, and gives the name in it.
func checkMessage(t *testing.T, message, priority string) string {
	t.Helper()
	found := header.FindStringSubmatch(message)
	if found == nil || found[1] != priority {
		t.Fatalf("the message is %s, want priority %s", message, priority)
	}
	var line struct{ Name string }
	if err := json.Unmarshal([]byte(message[strings.Index(message, "{"):]), &line); err != nil {
		t.Fatalf("%s: %v", message, err)
	}
	return line.Name
}

// framed reads a message with its length in front of it.
func framed(r *bufio.Reader) (string, error) {
	length, err := r.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
	if err != nil {
		return "", err
	}
	message := make([]byte, n)
	_, err = io.ReadFull(r, message)
	return string(message), err
}

// Messages arrive over each transport, one for each line, with the priority of what came of
// the query.
func TestSyslogDatagrams(t *testing.T) {
	for _, network := range []string{"unixgram", "udp"} {
		address := "127.0.0.1:0"
		if network == "unixgram" {
			address = filepath.Join(t.TempDir(), "log")
		}
		receiver, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		seen := new(counts)
		log, stop := run(t, querylog.Config{
			Mode: querylog.All, Observer: seen,
			Syslog: &querylog.Syslog{Network: network, Address: receiver.LocalAddr().String(), Facility: 16, Host: "hub-1"},
		})
		failed := asked("failed.")
		failed.Answer = resolver.Answer{Network: "europe", Rcode: dns.RcodeServerFailure}
		log.Exchanged(asked("fine."))
		log.Exchanged(failed)
		for _, want := range []struct{ name, priority string }{{"fine", "134"}, {"failed", "132"}} {
			buffer := make([]byte, 4096)
			_ = receiver.SetReadDeadline(time.Now().Add(time.Minute))
			n, _, err := receiver.ReadFrom(buffer)
			if err != nil {
				t.Fatal(err)
			}
			if got := checkMessage(t, string(buffer[:n]), want.priority); got != want.name {
				t.Errorf("%s: %s, want %s", network, got, want.name)
			}
		}
		_ = stop()
		receiver.Close()
		if seen.of(querylog.Written) != 2 {
			t.Errorf("%s: %v", network, seen.kind)
		}
	}
}

// accepted is the next connection, for which lines are sent: those that were on their way to
// one that ended are lost.
func accepted(t *testing.T, listener net.Listener, send func()) (conn net.Conn) {
	t.Helper()
	conns := make(chan net.Conn, 1)
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conns <- conn
		}
	}()
	resolvertest.Until(t, "somebody connects", func() bool {
		send()
		select {
		case conn = <-conns:
			return true
		default:
			return false
		}
	})
	return conn
}

// Over TCP and TLS messages have their length in front, and a receiver that went away gets
// the next ones when it is back.
func TestSyslogStreams(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS() // for its certificate
	server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for _, secure := range []bool{false, true} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		to := &querylog.Syslog{Network: "tcp", Address: listener.Addr().String(), Facility: 16, Host: "hub-1"}
		accept := listener
		if secure {
			to.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com"}
			accept = tls.NewListener(listener, server.TLS)
		}
		seen := new(counts)
		log, stop := run(t, querylog.Config{Mode: querylog.All, Observer: seen, Syslog: to})
		var last net.Conn
		given := 0
		for round := range 3 {
			conn := accepted(t, accept, func() {
				if seen.of(querylog.Written) == given {
					log.Exchanged(asked("probe."))
					given++
				}
			})
			log.Exchanged(asked(fmt.Sprintf("a%d.", round)))
			log.Exchanged(asked(fmt.Sprintf("b%d.", round)))
			given += 2
			reader := bufio.NewReader(conn)
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			var got []string
			for len(got) < 2 {
				message, err := framed(reader)
				if err != nil {
					t.Fatal(err)
				}
				if name := checkMessage(t, message, "134"); name != "probe" {
					got = append(got, name)
				}
			}
			if want := fmt.Sprintf("[a%d b%[1]d]", round); fmt.Sprint(got) != want {
				t.Errorf("secure %v, round %d: %v", secure, round, got)
			}
			if last = conn; round < 2 {
				conn.Close()
			}
		}
		defer last.Close()
		if err := stop(); err != nil {
			t.Error(err)
		}
		listener.Close()
	}
}

// Whoever takes nothing holds up nobody: lines are dropped and counted, and the end does
// not wait for it.
func TestNobodyTakesIt(t *testing.T) {
	const total = 30_000
	listener, err := net.Listen("tcp", "127.0.0.1:0") // which nobody accepts from
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	socket := filepath.Join(t.TempDir(), "log")
	full, err := net.ListenPacket("unixgram", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { full.Close() })
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(collector.Close)
	for name, config := range map[string]querylog.Config{
		"tcp":      {Syslog: &querylog.Syslog{Network: "tcp", Address: listener.Addr().String()}},
		"unixgram": {Syslog: &querylog.Syslog{Network: "unixgram", Address: socket}},
		"nowhere":  {Syslog: &querylog.Syslog{Network: "unixgram", Address: socket + "2"}},
		"otlp":     {OTLP: otlp(t, collector.URL)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for the end
			seen := new(counts)
			config.Mode, config.Observer = querylog.All, seen
			log, stop := run(t, config)
			var slowest time.Duration
			given := 0
			resolvertest.Until(t, name+": lines are dropped", func() bool {
				for range 100 {
					began := time.Now()
					log.Exchanged(asked("www.contoso.com."))
					slowest = max(slowest, time.Since(began))
				}
				given += 100
				return given >= total && seen.of(querylog.Dropped) > 0
			})
			began := time.Now()
			_ = stop()
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%s: the end took %s", name, took)
			}
			if slowest > time.Second {
				t.Errorf("%s: somebody waited for %s", name, slowest)
			}
			if sum := seen.of(querylog.Written) + seen.of(querylog.Dropped) + seen.of(querylog.Failed); sum > given || sum < given-10_000 {
				t.Errorf("%s: %d of %d are counted: %v", name, sum, given, seen.kind)
			}
		})
	}
}

// otlp is an exporter to a collector.
func otlp(t *testing.T, url string) *querylog.OTLP {
	t.Helper()
	exporter, err := otlploghttp.New(context.Background(), otlploghttp.WithEndpointURL(url+"/v1/logs"),
		otlploghttp.WithRetry(otlploghttp.RetryConfig{}), otlploghttp.WithCompression(otlploghttp.GzipCompression))
	if err != nil {
		t.Fatal(err)
	}
	return &querylog.OTLP{Exporter: exporter, Resource: resource.NewSchemaless(attribute.String("service.name", "pldns"))}
}

// Log records say what a line says, in words of the semantic conventions where there are
// some; a collector that fails at first gets all of them in the end.
func TestOTLP(t *testing.T) {
	var mu sync.Mutex
	var got []*collected.ExportLogsServiceRequest
	failures := 2
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if failures > 0 {
			failures--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		octets, _ := io.ReadAll(body)
		request := new(collected.ExportLogsServiceRequest)
		if err := proto.Unmarshal(octets, request); err != nil || r.URL.Path != "/v1/logs" {
			t.Errorf("%s: %v", r.URL, err)
		}
		got = append(got, request)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer collector.Close()
	seen := new(counts)
	log, stop := run(t, querylog.Config{Mode: querylog.All, Clients: querylog.Address, Observer: seen, OTLP: otlp(t, collector.URL)})
	log.Exchanged(answered(t, "mydb.database.windows.net.", "10.0.1.4"))
	resolvertest.Until(t, "it is sent", func() bool { return seen.of(querylog.Written) == 1 })
	_ = stop()
	if len(got) != 1 || seen.of(querylog.Failed) != 0 {
		t.Fatalf("%d requests, %v", len(got), seen.kind)
	}
	from := got[0].ResourceLogs[0]
	record := from.ScopeLogs[0].LogRecords[0]
	said := make(map[string]string)
	for _, a := range record.Attributes {
		said[a.Key] = strings.Join(strings.Fields(a.Value.String()), " ")
	}
	if from.Resource.Attributes[0].Value.GetStringValue() != "pldns" || record.EventName != "dns.query" ||
		record.TimeUnixNano != uint64(answered(t, "a.", "10.0.0.1").Began.UnixNano()) {
		t.Errorf("%v", from)
	}
	for key, want := range map[string]string{
		"network": "europe", "dns.question.name": "mydb.database.windows.net", "dns.question.type": "A", "dns.response_code": "NOERROR",
		"dns.answers": "10.0.1.4", "client.address": "10.0.1.77", "client.port": "5353", "source": "local", "release": "sha256-1",
		"ede.code": "3", "ede.text": "stale", "duration_ms": "1.234",
	} {
		if !strings.Contains(said[key], want) {
			t.Errorf("%s is %s, want %s", key, said[key], want)
		}
	}
}

// A filled disk behind standard output, as /dev/full is one, costs lines and nothing else.
func TestFullDevice(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no such device")
	}
	defer full.Close()
	seen := new(counts)
	log, stop := run(t, querylog.Config{Mode: querylog.All, Writer: full, Observer: seen})
	for range 100 {
		log.Exchanged(asked("www."))
	}
	_ = stop()
	if seen.of(querylog.Failed) != 100 {
		t.Errorf("%v", seen.kind)
	}
	if to, lines, since := log.Loss(); to != "stream" || lines != 100 || time.Since(since) > time.Minute {
		t.Errorf("lost to %s: %d lines since %s", to, lines, since)
	}
}
