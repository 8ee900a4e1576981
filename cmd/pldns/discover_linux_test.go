package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"pldns/config/azuregraph/graphtest"
	"pldns/resolver/resolvertest"
)

// The program itself learns: with the identity of the machine that its environment names,
// over TLS, at an address that its own upstream tells. What is new is answered within
// five seconds and the time between two listings, what is gone goes after two listings,
// whoever asks meanwhile loses nothing, and a program that is started while Azure shows nothing answers what the last one knew.
func TestLearningProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for several listings: make test-all runs it")
	}
	l := newLearner(t)
	m, at, admin := newServiceManager(t)
	toml := strings.Replace(l.toml, `dns = ["127.0.0.1:0"]`, fmt.Sprintf("dns = [%q]", at), 1)
	m.config = writeConfig(t, strings.Replace(toml, `admin = "127.0.0.1:0"`, fmt.Sprintf("admin = %q", admin), 1))
	dialer := &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(europe)}}
	client := &dns.Client{Timeout: 10 * time.Second, Dialer: dialer}
	asks := func(name string) string {
		reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name+".database.windows.net.", dns.TypeA), at.String())
		if err != nil {
			t.Fatal(err)
		}
		return says(reply)
	}
	until := func(name string, wanted func(string) bool) time.Duration {
		t.Helper()
		begun, got := time.Now(), ""
		resolvertest.Until(t, "another answer for "+name, func() bool {
			got = asks(name)
			return wanted(got)
		}, &got)
		return time.Since(begun)
	}
	command, talk := m.start()
	m.await("READY=1")
	until("db1", saysDB("db1", "10.0.1.1"))
	finish := l.load(t, at)
	l.add("fresh", "10.0.1.9")
	came := until("fresh", saysDB("fresh", "10.0.1.9"))
	l.Delete(graphtest.Endpoint{Subscription: l.sub, Name: "fresh"}.ID())
	went := until("fresh", func(got string) bool { return strings.HasPrefix(got, "NXDOMAIN") })
	if came > 6*time.Second || went > 8*time.Second {
		t.Errorf("what is new came after %s, and went after %s", came, went)
	}
	t.Logf("what is new came after %s, and went after %s", came, went)
	finish()
	before := peak(t, command.Process.Pid)
	for i := range 10_000 {
		l.Add(graphtest.Endpoint{
			Subscription: l.Subscription(1 + i%300), Name: fmt.Sprintf("many%05d", i), VNet: l.hub, Address: fmt.Sprintf("10.1.%d.%d", i>>8, i&255),
			Names: []string{fmt.Sprintf("many%05d.database.windows.net", i)},
		})
	}
	until("many09999", saysDB("many09999", "10.1.39.15"))
	runs, used := l.runs(), processorTime(t, command.Process.Pid)
	resolvertest.Until(t, "six more listings", func() bool { return l.runs() >= runs+6 })
	more := peak(t, command.Process.Pid) - before
	t.Logf("peak of memory: %d kB with 2 endpoints, %d kB more with 10,002; %s of the processors for a listing",
		before, more, (processorTime(t, command.Process.Pid)-used)/6)
	if more > mostMore {
		t.Errorf("10,000 endpoints take %d kB more at the peak: want at most %d", more, mostMore)
	}
	m.stop(command, talk)
	l.Hide(l.sub, true)
	command, talk = m.start()
	m.await("READY=1")
	if got := asks("db1"); !saysDB("db1", "10.0.1.1")(got) {
		t.Errorf("a program that is started without Azure: %s", got)
	}
	m.stop(command, talk)
}

// runs is how many listings were begun.
func (l *learner) runs() (count int) {
	for _, call := range l.Calls() {
		if strings.HasPrefix(call.Query, "resourcecontainers") {
			count++
		}
	}
	return count
}

// processorTime is what a process has used of the processors.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // behind the name, which may hold anything
	var ticks time.Duration
	for _, field := range strings.Fields(rest)[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond
}

// peak is the most memory that a process has had, in kB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes
}
