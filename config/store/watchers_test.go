package store_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pldns/config"
	"pldns/config/store"
	"pldns/config/store/storetest"
)

// figures are what a member of etcd says of itself.
func figures(t *testing.T, member string) map[string]float64 {
	t.Helper()
	response, err := http.Get(member + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	all := make(map[string]float64)
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if name, value, is := strings.Cut(lines.Text(), " "); is && !strings.HasPrefix(name, "#") {
			all[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	return all
}

// Two hundred instances follow one member: all are offered what is pushed, and the member
// says what that takes.
func TestManyFollowers(t *testing.T) {
	if testing.Short() {
		t.Skip("200 followers take their time: left out under -short")
	}
	const followers, pushes = 200, 5
	cluster := storetest.Etcd(t, 1)
	member := cluster.Members[0].URL
	settings := config.Store{Etcd: cluster.URLs(), Prefix: "/pldns/", Channel: "stable"}
	s := store.Open(settings, store.Options{})
	defer s.Close()
	push(t, s, "stable", "a = 0")
	before := figures(t, member)
	var group errgroup.Group
	ctx := t.Context()
	offered := make(chan string, followers*(pushes+1))
	dir := t.TempDir()
	for i := range followers {
		own := settings
		own.Name, own.State = fmt.Sprintf("hub-%d", i), filepath.Join(dir, fmt.Sprintf("hub-%d", i))
		var f *store.Follower
		f = store.NewFollower(store.FollowerOptions{
			Settings: own, Open: func() store.Store { return store.Open(own, store.Options{}) },
			Changed: func(context.Context) {
				r := f.Offered()
				f.Serve(r)
				offered <- r.ID
			},
		})
		group.Go(func() error { return f.Run(ctx) })
	}
	t.Cleanup(func() { _ = group.Wait() })
	all := func(id string) {
		t.Helper()
		patience := time.After(time.Minute)
		for have := 0; have < followers; {
			select {
			case got := <-offered:
				if got == id {
					have++
				}
			case <-patience:
				t.Fatalf("%d of %d have release %.12s after a minute", have, followers, id)
			}
		}
	}
	all(string(push(t, s, "stable", "a = 0, once more")))
	ready := figures(t, member)
	var slowest time.Duration
	for i := range pushes {
		id := push(t, s, "stable", fmt.Sprintf("a = %d", i+1))
		pushed := time.Now()
		all(string(id))
		slowest = max(slowest, time.Since(pushed))
	}
	after := figures(t, member)
	const cpu, memory = "process_cpu_seconds_total", "process_resident_memory_bytes"
	t.Logf("%d followers on %d processors: the slowest has a release after %s; etcd takes %.1f CPU-s to take them in, %.2f for each push, "+
		"%.0f MiB, %.0f MiB before", followers, runtime.NumCPU(), slowest.Round(time.Millisecond), ready[cpu]-before[cpu],
		(after[cpu]-ready[cpu])/pushes, after[memory]/(1<<20), before[memory]/(1<<20))
}
