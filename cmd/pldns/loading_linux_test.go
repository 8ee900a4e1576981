package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// BenchmarkLoading starts the program with many mappings, waits for its first answer,
// and has it reload. It tells CPU seconds (as a multiple of what counting the lines of
// the file takes, too), and octets of resident memory for each mapping over what the
// program takes without: at rest and at most.
func BenchmarkLoading(b *testing.B) {
	for _, estate := range []struct {
		name   string
		count  int
		hosts  bool
		random bool
	}{
		{"hosts", 1_000_000, true, false}, {"hosts in random order", 1_000_000, true, true}, {"TOML", 100_000, false, false},
	} {
		b.Run(estate.name, func(b *testing.B) {
			m, at, admin := newServiceManager(b)
			dir := b.TempDir()
			m.config = filepath.Join(dir, "pldns.toml")
			file := filepath.Join(dir, "a.hosts")
			write := func(count int) {
				text := fmt.Sprintf("[listen]\ndns = [%q]\nadmin = %q\n[networks.europe]\nclients = [\"127.0.0.0/8\"]\n", at, admin)
				names := mappings(count, estate.hosts, estate.random)
				if estate.hosts {
					writeFile(b, file, names)
					text += "hosts = [\"a.hosts\"]\n"
				} else {
					file = m.config
					text += "[networks.europe.endpoints]\n" + names
				}
				writeFile(b, m.config, text)
			}
			write(1)
			empty := m.load(b, at)
			write(estate.count)
			lines := countingLines(b, file)
			for b.Loop() {
				got := m.load(b, at)
				each := func(octets, without int) float64 { return float64(octets-without) / float64(estate.count) }
				b.ReportMetric(got.start.cpu.Seconds(), "cpu-s/start")
				b.ReportMetric(got.answer.Seconds(), "s/answer")
				b.ReportMetric(got.start.cpu.Seconds()/lines.Seconds(), "×wc/start")
				b.ReportMetric(got.reload.cpu.Seconds(), "cpu-s/reload")
				b.ReportMetric(each(got.reload.resident, empty.reload.resident), "B/each")
				b.ReportMetric(each(got.start.most, empty.start.most), "B/start-peak")
				b.ReportMetric(each(got.reload.most, empty.reload.most), "B/reload-peak")
			}
		})
	}
}

// mappings are the lines of so many names and addresses.
func mappings(count int, hosts, random bool) string {
	form := "\"db-%07d.database.windows.net\" = \"%s\"\n"
	if hosts {
		form = "%[2]s db-%07[1]d.database.windows.net\n"
	}
	order := rand.New(rand.NewPCG(1, 2)).Perm(count)
	var text strings.Builder
	for i, number := range order {
		if !random {
			number = i
		}
		fmt.Fprintf(&text, form, number, netip.AddrFrom4([4]byte{10, byte(number >> 16), byte(number >> 8), byte(number)}))
	}
	return text.String()
}

func writeFile(b *testing.B, name, text string) {
	b.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

// countingLines is the CPU time of wc -l on a file, the least of some runs.
func countingLines(b *testing.B, name string) time.Duration {
	b.Helper()
	least := time.Hour
	for range 5 {
		command := exec.Command("wc", "-l", name)
		if err := command.Run(); err != nil {
			b.Fatal(err)
		}
		least = min(least, command.ProcessState.UserTime()+command.ProcessState.SystemTime())
	}
	return least
}

// usage is what a process has used.
type usage struct {
	cpu            time.Duration
	resident, most int // octets of its own
}

// loaded is what starting and reloading took, and the time until the first answer.
type loaded struct {
	start, reload usage
	answer        time.Duration
}

// load starts the program, reloads it and ends it.
func (m *serviceManager) load(b *testing.B, at netip.AddrPort) (l loaded) {
	b.Helper()
	begun := time.Now()
	command, talk := m.start()
	defer m.stop(command, talk)
	m.await("READY=1")
	client := &dns.Client{Timeout: 10 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}}}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion("db-0000000.database.windows.net.", dns.TypeA), at.String())
	if err != nil || len(reply.Answer) != 2 {
		b.Fatalf("the first answer: %v, %v\n%s", reply, err, talk)
	}
	l.answer, l.start = time.Since(begun), used(b, command.Process.Pid)
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", command.Process.Pid), []byte("5"), 0); err != nil { // forget the most
		b.Fatal(err)
	}
	if err := command.Process.Signal(syscall.SIGHUP); err != nil {
		b.Fatal(err)
	}
	m.await("RELOADING=1")
	m.await("READY=1")
	// What the old snapshot took is given back right after that.
	l.reload = used(b, command.Process.Pid)
	for range time.Tick(200 * time.Millisecond) {
		now := used(b, command.Process.Pid)
		now.most = max(now.most, l.reload.most)
		if now.cpu == l.reload.cpu {
			break
		}
		l.reload = now
	}
	l.reload.cpu -= l.start.cpu
	return l
}

// used reads what a process has used so far.
func used(b *testing.B, process int) (u usage) {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // from the state on, which is field 3
	for _, ticks := range strings.Fields(rest)[11:13] {
		n, err := strconv.Atoi(ticks)
		if err != nil {
			b.Fatal(err)
		}
		u.cpu += time.Duration(n) * time.Second / 100
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process))
	if err != nil {
		b.Fatal(err)
	}
	for name, into := range map[string]*int{"RssAnon:": &u.resident, "VmHWM:": &u.most} {
		_, rest, _ := strings.Cut(string(status), name)
		kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			b.Fatal(err)
		}
		*into = kilobytes << 10
	}
	return u
}
