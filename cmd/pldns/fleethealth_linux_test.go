package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"pldns/cmd/internal/daemon"
	"pldns/config/store/storetest"
	"pldns/resolver/resolvertest"
)

// fillEtcd puts into a cluster until it takes no more.
func fillEtcd(t *testing.T, cluster *storetest.Cluster) {
	t.Helper()
	client := cluster.Client()
	for range 1000 {
		_, err := client.Put(t.Context(), "/others", strings.Repeat("x", 64<<10))
		if errors.Is(err, rpctypes.ErrNoSpace) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("etcd does not become full")
}

// makeRoom does what deploy/fleet/etcd.md says.
func makeRoom(t *testing.T, cluster *storetest.Cluster) {
	t.Helper()
	client := cluster.Client()
	now, err := client.Get(t.Context(), "/others", clientv3.WithKeysOnly())
	if err == nil {
		_, err = client.Compact(t.Context(), now.Header.Revision, clientv3.WithCompactPhysical())
	}
	for _, m := range cluster.Members {
		if err == nil {
			_, err = client.Defragment(t.Context(), m.URL)
		}
	}
	if err == nil {
		_, err = client.AlarmDisarm(t.Context(), &clientv3.AlarmMember{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// With etcd full, all serve on, also those that start then, and say so; who pushes is told
// what to do, and when that is done all is well again.
func TestFullStore(t *testing.T) {
	whenLong(t)
	t.Parallel()
	f, cluster := etcdFleet(t, 1, "--quota-backend-bytes", "1000000")
	f.push(hub("10.0.1.4", ""))
	r := start(t, f.machine("hub-1", ""))
	r.told(t, "10.0.1.4")
	r.well(t)
	fillEtcd(t, cluster)
	f.write(hub("10.0.1.5", ""))
	if code, _, talk := f.run("push"); code != exitNo || !strings.Contains(talk, "etcd is full: compact and defragment its members") ||
		!strings.Contains(talk, "deploy/fleet/etcd.md") {
		t.Errorf("a push to a full store ends with %d: %s", code, talk)
	}
	late := start(t, f.machine("hub-2", ""))
	late.told(t, "10.0.1.4")
	late.faulty(t, "the fleet is not told of this instance")
	for _, r := range []*running{late, r} {
		r.faulty(t, "the store is full: nothing can be pushed")
		if ready, _ := r.fleetStore(t); !ready || r.metric(`pldns_store_full{channel="stable"}`) != 1 {
			t.Errorf("ready %v, and the metric says %v", ready, r.metric(`pldns_store_full{channel="stable"}`))
		}
		if got := r.db(); !strings.HasSuffix(got, "A 10.0.1.4") {
			t.Errorf("the answer is %s", got)
		}
	}
	if told := late.metric(`pldns_store_reported{channel="stable"}`); told != 0 {
		t.Errorf("the metric says %v", told)
	}
	makeRoom(t, cluster)
	f.push(hub("10.0.1.5", ""))
	for _, r := range []*running{late, r} {
		r.told(t, "10.0.1.5")
		r.well(t)
		if full, told := r.metric(`pldns_store_full{channel="stable"}`), r.metric(`pldns_store_reported{channel="stable"}`); full != 0 || told != 1 {
			t.Errorf("the metrics say %v and %v", full, told)
		}
	}
}

// slowed passes connections on to an address, each piece later by a delay that may change.
func slowed(t *testing.T, to string, delay *atomic.Int64) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		l.Close()
	})
	pass := func(from, to net.Conn) {
		defer from.Close()
		defer to.Close()
		piece := make([]byte, 32<<10)
		for {
			n, err := from.Read(piece)
			if err != nil {
				return
			}
			if late := time.Duration(delay.Load()); late > 0 {
				select {
				case <-time.After(late):
				case <-ctx.Done():
					return
				}
			}
			if _, err := to.Write(piece[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			go pass(client, server)
			go pass(server, client)
			context.AfterFunc(ctx, func() { client.Close() })
		}
	}()
	return l.Addr().String()
}

// A store that is slow is said to be, and what is pushed is served that much later.
func TestSlowStore(t *testing.T) {
	whenLong(t)
	t.Parallel()
	f, cluster := etcdFleet(t, 1)
	direct := f.store
	var delay atomic.Int64
	_, member, _ := strings.Cut(cluster.Members[0].URL, "://")
	f.push(hub("10.0.1.4", ""))
	f.store = fmt.Sprintf("[store]\netcd = [%q]\n", "http://"+slowed(t, member, &delay))
	r := start(t, f.machine("hub-1", ""))
	r.told(t, "10.0.1.4")
	r.well(t)
	f.store = direct
	delay.Store(int64(700 * time.Millisecond))
	f.push(hub("10.0.1.5", ""))
	r.faulty(t, "the store is slow: it took")
	if took := r.metric(`pldns_store_answer_seconds{channel="stable"}`); took < 1 {
		t.Errorf("the metric says %v", took)
	}
	r.told(t, "10.0.1.5")
	delay.Store(0)
	f.push(hub("10.0.1.6", ""))
	r.told(t, "10.0.1.6")
	r.well(t)
	if took := r.metric(`pldns_store_answer_seconds{channel="stable"}`); took > 1 {
		t.Errorf("the metric says %v", took)
	}
}

// A machine whose clock is wrong says so, and serves and follows like any other.
func TestWrongClock(t *testing.T) {
	whenLong(t)
	t.Parallel()
	f, _ := etcdFleet(t, 3)
	f.push(hub("10.0.1.4", ""))
	wrong, _ := startServer(t, f.machine("wrong", ""), func(o *daemon.Options) {
		o.Clock = func() time.Time { return time.Now().Add(-2 * time.Hour) }
	})
	right := start(t, f.machine("right", ""))
	wrong.faulty(t, "behind that of the store")
	right.told(t, "10.0.1.4")
	right.well(t)
	for r, want := range map[*running]float64{wrong: -7200, right: 0} {
		if got := r.metric(`pldns_store_clock_offset_seconds{channel="stable"}`); math.Abs(got-want) > 3 {
			t.Errorf("the metric says %v, not %v", got, want)
		}
	}
	if ready, s := wrong.fleetStore(t); !ready || len(s.Faults) != 1 {
		t.Errorf("ready %v, %+v", ready, s.Faults)
	}
	f.push(hub("10.0.1.5", ""))
	wrong.told(t, "10.0.1.5")
}

// The same of releases at a URL, whose clock is put right.
func TestWrongClockOfAWebServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := http.FileServer(http.Dir(dir))
	var ahead atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(time.Duration(ahead.Load())).UTC().Format(http.TimeFormat))
		files.ServeHTTP(w, r)
	}))
	defer server.Close()
	f := newFleetOf(t, fmt.Sprintf("url = %q\nevery = \"1s\"", server.URL))
	ahead.Store(int64(-time.Hour))
	f.push(hub("10.0.1.4", ""), "--to", dir)
	r := start(t, f.machine("hub-1", ""))
	r.told(t, "10.0.1.4")
	r.faulty(t, "ahead of that of the store")
	ahead.Store(0)
	r.well(t)
}

// Two processes that were given one folder for their state do not take each other's
// releases away: the second one says so, and has its own in memory.
func TestTwoProcessesWithOneState(t *testing.T) {
	whenLong(t)
	t.Parallel()
	f, _ := etcdFleet(t, 1)
	f.push(hub("10.0.1.4", ""))
	machine := f.machine("hub-1", "")
	first := process(t, machine)
	resolvertest.Until(t, "the first one has its release on disk", func() bool { code, out, _ := f.run("fleet"); return code == exitFine && strings.Contains(out, "hub-1") })
	second := start(t, machine)
	second.told(t, "10.0.1.4")
	second.faulty(t, "another process keeps its releases in "+f.states)
	f.push(hub("10.0.1.5", ""))
	second.told(t, "10.0.1.5")
	second.faulty(t, "give each instance of a machine a state of its own")
	if saved := second.metric(`pldns_store_saved{channel="stable"}`); saved != 0 {
		t.Errorf("the metric says %v", saved)
	}
	if code := second.reload(); code != http.StatusOK {
		t.Errorf("a reload from memory ends with %d: %s", code, second.get("/readyz"))
	}
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	f.push(hub("10.0.1.6", ""))
	second.told(t, "10.0.1.6")
	second.well(t)
	resolvertest.Until(t, "the second one has its release on disk", func() bool { _, s := second.fleetStore(t); return s.Saved })
}
