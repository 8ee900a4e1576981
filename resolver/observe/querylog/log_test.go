package querylog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"pldns/resolver"
	"pldns/resolver/listen"
	"pldns/resolver/observe/querylog"
	"pldns/resolver/resolvertest"
	"pldns/zones"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counts is an Observer.
type counts struct {
	mu       sync.Mutex
	kind     map[querylog.Result]int
	panicked atomic.Int64
}

func (c *counts) Panicked(string) { c.panicked.Add(1) }

func (c *counts) Logged(_ string, result querylog.Result, lines int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kind == nil {
		c.kind = make(map[querylog.Result]int)
	}
	c.kind[result] += lines
}

func (c *counts) of(result querylog.Result) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kind[result]
}

// run runs a log and gives what ends it and returns what Run did.
func run(tb testing.TB, config querylog.Config) (*querylog.Log, func() error) {
	tb.Helper()
	log, err := querylog.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- log.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-result })
	tb.Cleanup(func() { _ = stop() })
	return log, stop
}

// asked is a query of a client of europe for a name, answered from there.
func asked(name string) *listen.Exchange {
	client := zones.NewClient(netip.MustParseAddr("10.0.1.77"), netip.MustParseAddrPort("10.0.0.4:53"))
	query := resolver.NewClientQuery(zones.NameOf(name), dns.TypeA, client)
	query.Spelling = name
	return &listen.Exchange{
		Transport: "udp", Began: time.Date(2026, 11, 22, 3, 4, 5, 678901234, time.UTC), Took: 1234567,
		Query: query,
		Answer: resolver.Answer{
			Network: "europe", Source: resolver.FromLocal,
			Zone: zones.MustName("privatelink.database.windows.net"), Endpoint: zones.MustName("mydb.database.windows.net"),
		},
	}
}

// A line says who asked for what, what came of it, and why.
func TestLine(t *testing.T) {
	failed := asked("www.contoso.com.")
	failed.Answer = resolver.Answer{
		Network: "europe", Rcode: dns.RcodeServerFailure, Suffix: zones.Root(), Group: "azure", Server: "168.63.129.16",
		Errors: []resolver.Error{{Code: 22, Text: "upstream azure did not answer in time"}},
	}
	shown := asked("MyDB.database.windows.net.")
	shown.Transport, shown.Query.Client.Shown = "https", &zones.Shown{Path: "europe", ServerName: zones.MustName("dns.contoso.net"), Linked: true, Link: 7}
	malformed := &listen.Exchange{Transport: "tcp", Began: failed.Began, Why: listen.Malformed, Answer: resolver.Answer{Rcode: dns.RcodeFormatError}}
	v6 := asked("mydb.database.windows.net.")
	v6.Query.Client.Addr = netip.MustParseAddr("2001:db8:1:2345::7")
	for _, row := range []struct {
		name    string
		e       *listen.Exchange
		clients querylog.Clients
		want    string
	}{
		{"an endpoint", asked("MyDB.database.windows.net."), querylog.Subnet,
			`{"time":"2026-11-22T03:04:05.678901Z","network":"europe","transport":"udp","listener":"10.0.0.4:53","client":"10.0.1.0/24","name":"mydb.database.windows.net","type":"A","rcode":"NOERROR","rcode_number":0,"source":"local","rule":"endpoint mydb.database.windows.net","duration_ms":1.234}`},
		{"a failure, with the whole address", failed, querylog.Address,
			`{"time":"2026-11-22T03:04:05.678901Z","network":"europe","transport":"udp","listener":"10.0.0.4:53","client":"10.0.1.77","name":"www.contoso.com","type":"A","rcode":"SERVFAIL","rcode_number":2,"source":"none","rule":"forward .","upstream":"azure","server":"168.63.129.16","duration_ms":1.234,"ede":[{"code":22,"text":"upstream azure did not answer in time"}]}`},
		{"what a client shows, without the client", shown, querylog.Nobody,
			`{"time":"2026-11-22T03:04:05.678901Z","network":"europe","transport":"https","listener":"10.0.0.4:53","server_name":"dns.contoso.net","path":"europe","link_id":7,"name":"mydb.database.windows.net","type":"A","rcode":"NOERROR","rcode_number":0,"source":"local","rule":"endpoint mydb.database.windows.net","duration_ms":1.234}`},
		{"a refusal by the listener", malformed, querylog.Subnet,
			`{"time":"2026-11-22T03:04:05.678901Z","network":"","transport":"tcp","rcode":"FORMERR","rcode_number":1,"source":"none","refusal":"formerr","duration_ms":0}`},
		{"an IPv6 client", v6, querylog.Subnet,
			`{"time":"2026-11-22T03:04:05.678901Z","network":"europe","transport":"udp","listener":"10.0.0.4:53","client":"2001:db8:1:2300::/56","name":"mydb.database.windows.net","type":"A","rcode":"NOERROR","rcode_number":0,"source":"local","rule":"endpoint mydb.database.windows.net","duration_ms":1.234}`},
	} {
		var out bytes.Buffer
		log, stop := run(t, querylog.Config{Mode: querylog.All, Clients: row.clients, Writer: &out})
		log.Exchanged(row.e)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if out.String() != row.want+"\n" {
			t.Errorf("%s:\n got %s\nwant %s", row.name, out.String(), row.want)
		}
	}
}

// Each mode logs what it says.
func TestModes(t *testing.T) {
	kinds := map[string]resolver.Answer{
		"fine":        {Network: "europe", Source: resolver.FromLocal},
		"upstream":    {Network: "europe", Source: resolver.FromUpstream, Errors: []resolver.Error{{Code: 29}}},
		"nxdomain":    {Network: "europe", Rcode: dns.RcodeNameError, Source: resolver.FromLocal, Errors: []resolver.Error{{Code: 0}}},
		"servfail":    {Network: "europe", Rcode: dns.RcodeServerFailure},
		"refused":     {Network: "europe", Rcode: dns.RcodeRefused},
		"stranger":    {Rcode: dns.RcodeRefused},
		"stale":       {Network: "europe", Source: resolver.FromStale},
		"unreachable": {Network: "europe", Source: resolver.FromLocal, Errors: []resolver.Error{{Code: 0, Text: "no address of this endpoint is healthy"}}},
	}
	for _, row := range []struct {
		mode querylog.Mode
		want string
	}{
		{querylog.Errors, "refused servfail stale stranger unreachable"},
		{querylog.All, "fine nxdomain refused servfail stale stranger unreachable upstream"},
	} {
		var out bytes.Buffer
		log, stop := run(t, querylog.Config{Mode: row.mode, Writer: &out})
		for kind, answer := range kinds {
			e := asked(kind + ".")
			e.Answer = answer
			log.Exchanged(e)
		}
		_ = stop()
		for kind := range kinds {
			if logged := strings.Contains(out.String(), `"name":"`+kind+`"`); logged != strings.Contains(" "+row.want+" ", " "+kind+" ") {
				t.Errorf("mode %d: %s logged: %v", row.mode, kind, logged)
			}
		}
	}
}

// hostile are texts that want to be more than a text.
func hostile() []string {
	return []string{
		"a\"b", "a\\b", "a\nb", "a\r\nb", "a\x00b", "a\x1b[31mb", "a\u2028b", "a\u009bb", "\xff\xfe", "a</script>b",
		`","rcode":"NOERROR`, "a\u202eb", strings.Repeat("x", 5000), "a\x7fb", "{}\n{\"time\":\"forged\"}",
	}
}

// Whatever names and texts hold, a line is one line, is JSON, and has the keys that
// it should have.
func TestHostileText(t *testing.T) {
	for _, text := range hostile() {
		checkLine(t, []byte(text), text)
	}
}

func FuzzLine(f *testing.F) {
	for _, text := range hostile() {
		f.Add([]byte(text), text)
	}
	f.Fuzz(func(t *testing.T, label []byte, text string) { checkLine(t, label, text) })
}

// checkLine logs a name with a label, as it comes off the wire, and a text of an
// extended error.
func checkLine(t *testing.T, label []byte, text string) {
	t.Helper()
	label = label[:min(len(label), 63)]
	wire := append(append([]byte{byte(len(label))}, label...), 3, 'c', 'o', 'm', 0)
	if len(label) == 0 {
		wire = []byte{0}
	}
	name, _, err := dns.UnpackDomainName(wire, 0)
	if err != nil {
		t.Skip()
	}
	e := asked(name)
	e.Query.Client.Shown = &zones.Shown{Path: text}
	e.Answer.Errors = []resolver.Error{{Code: 1, Text: text}}
	var out bytes.Buffer
	log, stop := run(t, querylog.Config{Mode: querylog.All, Writer: &out})
	log.Exchanged(e)
	_ = stop()
	line, rest, _ := strings.Cut(out.String(), "\n")
	var read struct {
		Time, Network, Transport, Listener, Client, Name, Type, Rcode, Source, Rule, Path string
		RcodeNumber                                                                       int     `json:"rcode_number"`
		Duration                                                                          float64 `json:"duration_ms"`
		EDE                                                                               []struct {
			Code int
			Text string
		}
	}
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil || rest != "" || len(line) > 4096 {
		t.Fatalf("%q: %v: %q", text, err, out.String())
	}
	if read.Rcode != "NOERROR" || read.Network != "europe" || len(read.EDE) != 1 {
		t.Errorf("%q: %+v", text, read)
	}
	for _, r := range line {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x202e {
			t.Errorf("%q: %q holds %U", text, line, r)
		}
	}
}

// gate is a writer that takes nothing until it is opened.
type gate struct {
	bytes.Buffer
	opened chan struct{}
	inside chan struct{} // has a token once somebody writes
}

func (g *gate) Write(p []byte) (int, error) {
	select {
	case g.inside <- struct{}{}:
	default:
	}
	<-g.opened
	return g.Buffer.Write(p)
}

// A writer that is stuck holds up nobody: lines are dropped and counted, and what
// is written in the end is whole.
func TestSlowWriter(t *testing.T) {
	const total = 20_000
	out, seen := &gate{opened: make(chan struct{}), inside: make(chan struct{}, 1)}, new(counts)
	log, stop := run(t, querylog.Config{Mode: querylog.All, Writer: out, Observer: seen})
	log.Exchanged(asked("first."))
	<-out.inside
	for i := range total {
		log.Exchanged(asked(fmt.Sprintf("n%d.", i)))
	}
	if seen.of(querylog.Dropped) == 0 {
		t.Error("nothing was dropped")
	}
	close(out.opened)
	if err := stop(); err != nil {
		t.Error(err)
	}
	lines := strings.Count(out.String(), "\n")
	if written, dropped := seen.of(querylog.Written), seen.of(querylog.Dropped); written != lines || written+dropped != total+1 {
		t.Errorf("%d written and %d dropped of %d, %d lines", written, dropped, total+1, lines)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Fatalf("a broken line: %s", line)
		}
	}
}

// Clients of no network cause a few lines a second; the next line says how many
// were left out. Others are not held up by them.
func TestStrangers(t *testing.T) {
	var out bytes.Buffer
	seen := new(counts)
	log, stop := run(t, querylog.Config{Mode: querylog.Errors, Writer: &out, Observer: seen})
	stranger := asked("www.contoso.com.")
	stranger.Answer = resolver.Answer{Rcode: dns.RcodeRefused}
	for range 1000 {
		log.Exchanged(stranger)
	}
	known := asked("www.contoso.com.")
	known.Answer = resolver.Answer{Network: "europe", Rcode: dns.RcodeServerFailure}
	log.Exchanged(known)
	later := *stranger
	later.Began = later.Began.Add(time.Second)
	log.Exchanged(&later)
	_ = stop()
	if got := strings.Count(out.String(), "\n"); got != 12 || seen.of(querylog.Limited) != 990 {
		t.Errorf("%d lines, %d limited", got, seen.of(querylog.Limited))
	}
	if !strings.Contains(out.String(), `"omitted":990}`) || !strings.Contains(out.String(), `"rcode":"SERVFAIL"`) {
		t.Errorf("the lines are %s", out.String())
	}
}

// lines reads a file.
func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// A file is appended to, made for its user and group, and followed when it is
// renamed or removed.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries.json")
	seen := new(counts)
	log, stop := run(t, querylog.Config{Mode: querylog.All, File: path, Observer: seen})
	written := 0
	put := func(name string) {
		t.Helper()
		log.Exchanged(asked(name))
		written++
		resolvertest.Until(t, name+" is written", func() bool { return seen.of(querylog.Written) >= written })
	}
	put("first.")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for _, away := range []func() error{
		func() error { return os.Rename(path, path+".1") },
		func() error { return os.Remove(path) },
	} {
		if err := away(); err != nil {
			t.Fatal(err)
		}
		log.Reopen()
		put("next.")
		if got := lines(t, path); len(got) != 1 || !strings.Contains(got[0], `"next"`) {
			t.Errorf("the new file holds %q", got)
		}
	}
	if got := lines(t, path+".1"); len(got) != 1 || !strings.Contains(got[0], `"first"`) {
		t.Errorf("the old file holds %q", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	again, stop := run(t, querylog.Config{Mode: querylog.All, File: path})
	again.Exchanged(asked("again."))
	_ = stop()
	if got := lines(t, path); len(got) != 2 {
		t.Errorf("the file was not appended to: %q", got)
	}
}

// Without anybody saying so, a renamed file is found out within about a second.
func TestFileRenamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queries.json")
	seen := new(counts)
	log, _ := run(t, querylog.Config{Mode: querylog.All, File: path, Observer: seen})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	written := 0
	resolvertest.Until(t, "it is made anew", func() bool {
		if seen.of(querylog.Written) < written {
			return false
		}
		if _, err := os.Stat(path); err == nil {
			return true
		}
		log.Exchanged(asked("www."))
		written++
		return false
	})
}

// What cannot be written is refused, with what to do.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "absent", "queries.json"), dir, os.DevNull} {
		if _, err := querylog.New(querylog.Config{File: path}); err == nil || !strings.Contains(err.Error(), "name") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Errors of the writer are counted, and lines after them are whole.
func TestFailingWriter(t *testing.T) {
	seen := new(counts)
	log, stop := run(t, querylog.Config{Mode: querylog.All, Writer: broken{}, Observer: seen})
	log.Exchanged(asked("www."))
	_ = stop()
	if seen.of(querylog.Failed) != 1 {
		t.Errorf("%v", seen.kind)
	}
}

// A panic costs the lines at hand, is counted, and the next ones are written.
func TestPanic(t *testing.T) {
	seen := new(counts)
	var out faulty
	log, stop := run(t, querylog.Config{Mode: querylog.All, Writer: &out, Observer: seen})
	log.Exchanged(asked("first."))
	resolvertest.Until(t, "a panic", func() bool { return seen.panicked.Load() > 0 })
	log.Exchanged(asked("second."))
	_ = stop()
	if seen.panicked.Load() != 1 || seen.of(querylog.Written) != 1 || !strings.Contains(out.String(), "second") {
		t.Errorf("%d panics, %v, %q", seen.panicked.Load(), seen.kind, out.String())
	}
}

// faulty is a writer that panics once.
type faulty struct {
	bytes.Buffer
	met bool
}

func (f *faulty) Write(p []byte) (int, error) {
	if !f.met {
		f.met = true
		panic("a fault")
	}
	return f.Buffer.Write(p)
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// BenchmarkExchanged is what a query costs that is logged, and one that is not.
func BenchmarkExchanged(b *testing.B) {
	for _, mode := range []querylog.Mode{querylog.Errors, querylog.All} {
		b.Run([]string{"not", "", "logged"}[mode], func(b *testing.B) {
			log, _ := run(b, querylog.Config{Mode: mode, Writer: io.Discard})
			e := asked("mydb.database.windows.net.")
			b.ReportAllocs()
			for b.Loop() {
				log.Exchanged(e)
			}
		})
	}
}

// That lines get lost is said once a minute, whatever is done to the clock of the
// wall.
func TestComplaintsAndTheWallClock(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		begun := time.Now()
		var now atomic.Pointer[time.Time]
		now.Store(&begun)
		var said lockedBuffer
		seen := new(counts)
		log, stop := run(t, querylog.Config{
			Mode: querylog.All, Writer: broken{}, Observer: seen, Log: slog.New(slog.NewTextHandler(&said, nil)), Now: func() time.Time { return *now.Load() },
		})
		for i, after := range []time.Duration{0, 30 * time.Second, 70 * time.Second, 100 * time.Second} {
			moment := begun.Add(after)
			if i > 0 {
				moment = resolvertest.SetWall(t, moment, by)
			}
			now.Store(&moment)
			log.Exchanged(asked("www."))
			resolvertest.Until(t, "the line fails", func() bool { return seen.of(querylog.Failed) > i })
		}
		_ = stop()
		if got := strings.Count(said.String(), "cannot be written"); got != 2 {
			t.Errorf("clock set by %s: said %d times in 100 s:\n%s", by, got, said.String())
		}
	}
}

// lockedBuffer is a buffer for several goroutines.
type lockedBuffer struct {
	mutex sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.Buffer.Write(p)
}
