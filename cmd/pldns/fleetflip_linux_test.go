package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	clientv3 "go.etcd.io/etcd/client/v3"

	"pldns/config/release"
	"pldns/config/store/storetest"
	"pldns/resolver/resolvertest"
)

// numbered is a configuration whose answers tell its number three times over, so that one
// that is mixed from two releases shows.
func numbered(number int) string {
	return fmt.Sprintf("[networks.hub]\nclients = [\"127.0.1.0/24\"]\n[networks.hub.endpoints]\n\"db.database.windows.net\" = "+
		"{ addresses = [\"10.0.1.%[1]d\", \"10.0.2.%[1]d\"], pick = \"all\", ttl = %[1]d }\n", number)
}

// numberOf is the number of the release that an answer is of; 0 if it is no answer, or of
// more than one.
func numberOf(reply []byte) int64 {
	const record = 16 // octets of an A record whose name is compressed
	at := len(reply) - 2*record
	if at < 12 || reply[3]&15 != 0 || reply[7] != 3 {
		return 0
	}
	var numbers [4]byte
	for i, one := range [][]byte{reply[at : at+record], reply[at+record:]} {
		if one[3] != byte(dns.TypeA) || one[12] != 10 || one[14] != byte(1+i) {
			return 0
		}
		numbers[2*i], numbers[2*i+1] = one[9], one[15]
	}
	if numbers != [4]byte{numbers[0], numbers[0], numbers[0], numbers[0]} {
		return 0
	}
	return int64(numbers[0])
}

// announced runs an instance as a process of its own, and gives where it answers.
func announced(t *testing.T, toml string) (*os.Process, netip.AddrPort) {
	t.Helper()
	command := exec.Command("pldns", "serve", "-c", writeConfig(t, strings.Replace(toml, `admin = "127.0.0.1:0"`, `admin = "off"`, 1)))
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	talk, err := command.StderrPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(talk); lines.Scan(); { // to the end, so that it never waits
			_, rest, _ := strings.Cut(lines.Text(), "msg=serving dns=[")
			if at, _, is := strings.Cut(rest, "]"); is {
				said <- at
			}
		}
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-read
		_ = command.Wait()
	})
	select {
	case at := <-said:
		return command.Process, netip.MustParseAddrPort(at)
	case <-read:
		t.Fatal("the instance does not say where it answers")
	}
	return nil, netip.AddrPort{}
}

// flips are the moments at which the channel comes to name another release, as etcd tells
// those who watch it.
func flips(t *testing.T, cluster *storetest.Cluster) <-chan time.Time {
	t.Helper()
	moments := make(chan time.Time, 100)
	watch := cluster.Client().Watch(clientv3.WithRequireLeader(t.Context()), "/pldns/channels/stable", clientv3.WithCreatedNotify())
	<-watch
	go func() { // ends with the test
		for told := range watch {
			for range told.Events {
				moments <- time.Now()
			}
		}
	}()
	return moments
}

// cpuTime is what processes have used.
func cpuTime(t *testing.T, all ...*os.Process) (sum time.Duration) {
	t.Helper()
	const tick = 10 * time.Millisecond
	for _, process := range all {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')'):]))
		for _, field := range fields[12:14] { // proc(5): utime and stime
			ticks, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			sum += time.Duration(ticks) * tick
		}
	}
	return sum
}

// Twenty instances under a load that is spread over them serve what is pushed within a
// second of the flip. No query is lost; each answer is of one release, and
// none is of an older one than its instance has shown before.
func TestFlip(t *testing.T) {
	whenLong(t)
	const instances, pushes = flipInstances, 10
	f, cluster := etcdFleet(t, 3)
	first := f.push(numbered(1))
	var all []*os.Process
	var servers []netip.AddrPort
	for i := range instances {
		process, at := announced(t, f.machine(fmt.Sprintf("hub-%d", i), ""))
		all, servers = append(all, process), append(servers, at)
	}
	resolvertest.Until(t, "all serve the first release", func() bool {
		code, out, _ := f.run("fleet")
		return code == exitFine && strings.Count(out, release.Digest(first).Short()) == instances
	})
	var newest [instances]atomic.Int64            // release that each has shown
	var shown [instances][pushes + 2]atomic.Int64 // when, since began
	flipped := flips(t, cluster)
	began, used := time.Now(), cpuTime(t, all...)
	query := new(dns.Msg).SetQuestion("db.database.windows.net.", dns.TypeA)
	flow := startFlows(t, europe, servers, loadRate, query, func(i int) int64 { return newest[i].Load() },
		func(i int, reply []byte, since int64) string {
			number := numberOf(reply)
			if number == 0 || number < since || number > pushes+1 {
				return fmt.Sprintf("instance %d has shown release %d, and answers %x", i, since, reply)
			}
			if number > newest[i].Load() {
				shown[i][number].Store(int64(time.Since(began)))
				newest[i].Store(number)
			}
			return ""
		})
	var took []time.Duration
	for number := 2; number <= pushes+1; number++ {
		f.push(numbered(number))
		at := (<-flipped).Sub(began)
		resolvertest.Until(t, "all serve the release", func() bool {
			behind := false
			for i := range newest {
				behind = behind || newest[i].Load() < int64(number)
			}
			return !behind
		})
		for i := range shown {
			took = append(took, time.Duration(shown[i][number].Load())-at)
		}
	}
	lasted, cost := time.Since(began), cpuTime(t, all...)-used
	asked, lost := flow.finish()
	if lost > 0 || asked == 0 {
		t.Errorf("%d of %d queries were lost", lost, asked)
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100-1]
	if p99 > flipPatience {
		t.Errorf("one in a hundred instances serves a release more than %s after the flip", p99)
	}
	t.Logf("%d queries, %.0f a second, over %d instances and %d releases; from the flip to the first answer of the release: "+
		"half %s, 99 of 100 %s, all %s; the instances take %.1f CPU-s in %.1f s", asked,
		float64(asked)/lasted.Seconds(), instances, pushes, took[len(took)/2].Round(time.Millisecond), p99.Round(time.Millisecond),
		took[len(took)-1].Round(time.Millisecond), cost.Seconds(), lasted.Seconds())
}
