package store

import (
	"context"
	"crypto/tls"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// examineEvery is how often a store is asked how it is, and examineAgain how often
	// while something is wrong, so that one sees that it was put right.
	examineEvery = 15 * time.Second
	examineAgain = 3 * time.Second
	// clockEvery is how often the members of a cluster are asked for the time. It takes a
	// connection to each.
	clockEvery = 5 * time.Minute
	clockAgain = 15 * time.Second // while they differ
	// slowAfter is how long a store may take to answer before somebody should look.
	slowAfter = time.Second
	// clockTolerance is how far the clock of this machine may be from that of its store. The
	// comparison is good to a second or two.
	clockTolerance = 5 * time.Second
	// datePatience is how long an answer may take that says the time.
	datePatience = 2 * time.Second
)

// examined is a store that says how it is beside what it holds.
type examined interface {
	// examine asks whether it is full. The error says that it did not answer.
	examine(ctx context.Context) (full bool, err error)
}

// examine asks the store how it is again and again, until ctx ends. That it does not answer
// is noted by what follows the channel.
func (f *Follower) examine(ctx context.Context, store examined) error {
	for ctx.Err() == nil {
		every := examineEvery
		if full, err := store.examine(ctx); err == nil {
			f.noteFull(full)
			if full {
				every = examineAgain
			}
		}
		_ = pause(ctx, every)
	}
	return nil
}

// clocks are how far this machine is ahead of others, by what their answers over HTTP say
// (RFC 9110, section 6.6.1). Nothing that is served depends on the time, but a certificate
// is not valid at a wrong one, and whoever compares machines is misled. Only a comparison
// of clocks tells: the time of a push is that of whoever pushed, and may be old.
type clocks struct {
	now   func() time.Time
	mutex sync.Mutex
	seen  map[string]time.Duration
	at    time.Time // when the last one was seen
	asked time.Time // when others were asked for nothing but the time
}

// timed is a store that this machine's clock is compared with.
type timed interface {
	// ahead is how far it is ahead, negative where it is behind, and when that was seen; zero
	// where it never was.
	ahead() (time.Duration, time.Time)
}

func newClocks(now func() time.Time) *clocks {
	if now == nil {
		now = time.Now
	}
	return &clocks{now: now, seen: make(map[string]time.Duration)}
}

// do sends a request, and compares the clocks. One that is answered by a cache says how old
// the answer is.
func (c *clocks) do(client *http.Client, request *http.Request) (*http.Response, error) {
	began := time.Now()
	response, err := client.Do(request)
	took := time.Since(began)
	if err != nil || took > datePatience {
		return response, err
	}
	date, failed := http.ParseTime(response.Header.Get("Date"))
	if failed != nil {
		return response, nil
	}
	age, _ := strconv.ParseUint(response.Header.Get("Age"), 10, 31)
	date = date.Add(time.Duration(age)*time.Second + time.Second/2) // of which the fraction is cut off
	now := c.now()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.seen[request.URL.Host], c.at = now.Add(-took/2).Sub(date), now
	return response, nil
}

// ahead implements [timed]: where others differ, it is of the one in the middle, so that one
// clock that is wrong among them is not taken for ours.
func (c *clocks) ahead() (time.Duration, time.Time) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.middle(), c.at
}

// middle is ahead; the mutex is held.
func (c *clocks) middle() time.Duration {
	if len(c.seen) == 0 {
		return 0
	}
	all := slices.Sorted(maps.Values(c.seen))
	one, other := all[(len(all)-1)/2], all[len(all)/2]
	if one.Abs() > other.Abs() {
		return other // two disagree, and one of them is with us
	}
	return one
}

// due tells whether others are to be asked for the time, and takes it that they are.
func (c *clocks) due() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	every := clockEvery
	if wrongClock(c.middle()) {
		every = clockAgain
	}
	if !c.asked.IsZero() && time.Since(c.asked) < every {
		return false
	}
	c.asked = time.Now()
	return true
}

func wrongClock(ahead time.Duration) bool { return ahead.Abs() > clockTolerance }

// examine implements [examined]. The alarms of a cluster are asked of the member that the
// client is connected to; where that takes a permission, reports tell.
func (e *etcdStore) examine(ctx context.Context) (full bool, err error) {
	if e.due() {
		e.compareClocks(ctx)
	}
	err = e.call(ctx, func(ctx context.Context, client *clientv3.Client) error {
		said, err := etcdserverpb.NewMaintenanceClient(client.ActiveConnection()).Status(ctx, &etcdserverpb.StatusRequest{})
		if err == nil {
			full = slices.ContainsFunc(said.Errors, func(text string) bool { return strings.Contains(text, "NOSPACE") })
		}
		return err
	})
	return full, err
}

// compareClocks asks each member for its version, whose answer says the time. A member that
// answers no HTTP there says nothing.
func (e *etcdStore) compareClocks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	stays := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client := &http.Client{CheckRedirect: stays, Transport: &http.Transport{
		DialContext: e.options.Dial, TLSClientConfig: e.secure(), DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
	}}
	var group sync.WaitGroup
	for _, member := range e.settings.Etcd {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(member, "/")+"/version", nil)
		if err != nil {
			continue
		}
		group.Go(func() {
			if response, err := e.do(client, request); err == nil {
				_ = response.Body.Close()
			}
		})
	}
	group.Wait()
}

// secure is how members are spoken to over TLS.
func (e *etcdStore) secure() *tls.Config {
	c := &tls.Config{RootCAs: e.settings.Roots, MinVersion: tls.VersionTLS12}
	if e.settings.Certificate != nil {
		c.Certificates = []tls.Certificate{*e.settings.Certificate}
	}
	return c
}
