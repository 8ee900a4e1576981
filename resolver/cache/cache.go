package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"pldns/resolver"
	"pldns/zones"
)

// Config is what a Cache is made with. The zero Config is a good one: every
// field has a default, and values outside of its bounds are brought inside.
type Config struct {
	// Entries is how many answers are held at most; 0 stands for 200,000.
	Entries int
	// Bytes is how much memory they take at most, with all that is needed to find
	// them and to choose who gives way; 0 stands for 128 MiB. It is close to what the
	// runtime counts, whatever the answers hold, because they are kept as messages.
	// An answer that does not fit into one, of 64 KiB, is not kept.
	Bytes int64

	// MinTTL is a floor under the TTL of positive answers, and the one exception
	// to the rule that TTLs are never raised: what an upstream gives less is kept
	// and told with this TTL. A TTL of zero is not lifted, it is not kept. Zero,
	// the default, is no floor.
	MinTTL time.Duration
	// MaxTTL is the ceiling of all TTLs; 0 stands for one day, and more than 7
	// days for 7 (RFC 8767 section 4).
	MaxTTL time.Duration
	// NegativeTTL is the ceiling for NXDOMAIN and NODATA; 0 stands for one hour
	// (RFC 2308 section 5 finds one to three reasonable).
	NegativeTTL time.Duration
	// FailureTTL is how long a failure is remembered, so that an upstream that
	// does not answer is not asked the same again and again (RFC 9520): SERVFAIL,
	// REFUSED, every other RCODE that is no answer, and errors. 0 stands for one
	// second, the least that the RFC allows, and more than 30 seconds for 30.
	FailureTTL time.Duration

	// Stale is how long an answer may still be served after it has expired while
	// its upstream fails (RFC 8767). 0 turns it off.
	Stale time.Duration
	// Recheck is how long after a failed refresh clients are told what is stale
	// without waiting for another, at least 5 s and at most 30 s (the failure
	// recheck timer of RFC 8767 section 5); 0 stands for 5 s. Meanwhile the upstream
	// is asked in the background, at most once in FailureTTL for each question, so
	// that news are not long in coming when it is back.
	Recheck time.Duration
	// Prefetch has answers that are asked for often refreshed in the background
	// shortly before they expire, while Run is running.
	Prefetch bool

	// Timeout is the time that an asker has who names no deadline; 0 stands for 2.5 s.
	Timeout time.Duration
	// Late is how long after it was asked a question may still be replied to: those
	// who ask wait no longer than their own deadlines, and a reply that comes after
	// them is there for the next. 0 stands for 5 s; it is at least Timeout.
	Late time.Duration
	// Waiting is how many callers may wait at once. It bounds memory and nothing
	// else: when it is reached, the caller whose time would have been up first gives
	// way, with what is stale or ErrBusy, so what is answered as fast as usual is not
	// held up by what is slow. 0 stands for 65,536.
	Waiting int

	// Observer is told what happens; nil is nobody.
	Observer Observer
	// Log is where faults of this program are reported; nil is nowhere.
	Log *slog.Logger
	// Now is the clock by which what is remembered ages; nil is time.Now. Of what it
	// gives only monotonic readings count, if it has them: neither does anything last
	// longer because somebody sets the system's clock back, nor does anything expire
	// because it is set forward.
	Now func() time.Time
}

// ErrBusy says that a caller gave way, because too many waited.
var ErrBusy = fmt.Errorf("the question was given up: %w", resolver.ErrOverload)

// Cache remembers what upstreams said, for the whole process and all upstream
// groups. It may be used by many goroutines at once.
type Cache struct {
	config  Config
	limits  limits
	store   *store
	start   time.Time
	pending *pending
	running atomic.Bool
}

// New makes an empty Cache.
func New(config Config) *Cache {
	config = config.withDefaults()
	return &Cache{
		config: config,
		limits: limits{
			low:      ttlOf(config.MinTTL),
			high:     ttlOf(config.MaxTTL),
			negative: ttlOf(config.NegativeTTL),
		},
		store:   newStore(config, shardsFor(config.Entries, config.Bytes)),
		start:   config.Now(),
		pending: newPending(config.Waiting),
	}
}

// withDefaults fills in what is not set and brings the rest within bounds.
func (c Config) withDefaults() Config {
	c.Entries = cmp.Or(max(c.Entries, 0), 200_000)
	c.Bytes = cmp.Or(max(c.Bytes, 0), 128<<20)
	c.MaxTTL = cmp.Or(max(c.MaxTTL, 0), 24*time.Hour)
	c.NegativeTTL = cmp.Or(max(c.NegativeTTL, 0), time.Hour)
	c.FailureTTL = cmp.Or(max(c.FailureTTL, 0), minFailureTTL)
	c.Timeout = cmp.Or(max(c.Timeout, 0), 2500*time.Millisecond)
	c.Late = cmp.Or(max(c.Late, 0), 5*time.Second)
	c.Waiting = cmp.Or(max(c.Waiting, 0), 65_536)
	c.Late = max(c.Late, c.Timeout)
	c.MaxTTL = min(c.MaxTTL, maxMaxTTL)
	c.NegativeTTL = min(c.NegativeTTL, c.MaxTTL)
	c.MinTTL = max(0, min(c.MinTTL, c.MaxTTL))
	c.FailureTTL = max(minFailureTTL, min(c.FailureTTL, maxFailureTTL))
	c.Stale = max(0, c.Stale)
	c.Recheck = max(minRecheck, min(c.Recheck, maxRecheck))
	c.Observer = cmp.Or[Observer](c.Observer, nobody{})
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// shardsFor is the number of shards for such budgets: few enough that each has
// room for a thousand entries and for a large one. With 4 or 16 BenchmarkShards
// is a quarter faster on two cores than with one, and no slower on a single core.
func shardsFor(entries int, bytes int64) int {
	return max(1, min(16, entries>>10, int(bytes>>20)))
}

// Group is the view of one upstream group: an Exchanger that answers from memory
// what it can and asks next for the rest. The group's name is the identity of
// what is remembered: views of the same name share it, also with different
// nexts, so a group that now asks other servers needs a FlushGroup.
func (c *Cache) Group(name string, next resolver.Exchanger) resolver.Exchanger {
	return &group{
		cache: c, name: name, next: next, hasher: newHasher(c.store.seed, name),
		late: fmt.Errorf("wait for upstream %s: %w", name, context.DeadlineExceeded),
	}
}

// Run is the life of what the cache does in the background, which is to refresh
// what is in demand before it expires and what has expired while its upstream
// fails; without it, Start gives the same answers. It returns after ctx has ended
// and all that was under way has come to its end, or Timeout later; whoever waits
// even then is told so. It is an error to run a Cache twice at once.
func (c *Cache) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("run the cache: it is running already")
	}
	<-ctx.Done()
	c.running.Store(false)
	for w := c.pending.drain(c.config.Timeout); w != nil; {
		next := w.after
		w.told(resolver.Reply{}, errStopped)
		w = next
	}
	return nil
}

// Len is the number of entries held, expired ones and failures included.
func (c *Cache) Len() int {
	entries, _ := c.store.held()
	return entries
}

// Bytes is the memory of all entries and of what is needed to manage them.
func (c *Cache) Bytes() int64 {
	_, bytes := c.store.held()
	return bytes
}

// Flush forgets what every group said about name, and with subtree about all
// names below it, and tells how many entries that were. What is being asked at
// that moment still reaches those who wait for it but is not remembered.
func (c *Cache) Flush(name zones.Name, subtree bool) int {
	return c.store.removeIf(func(e *entry) bool { return e.about(name, subtree) })
}

// FlushGroup forgets what the group of that name said, and tells how many
// entries that were: for a group that is to ask other servers from now on.
func (c *Cache) FlushGroup(name string) int {
	return c.store.removeIf(func(e *entry) bool { return e.group == name })
}

// now is the time since the cache was made.
func (c *Cache) now() moment { return c.config.Now().Sub(c.start) + 1 }

// remember judges what came of a question and keeps it if it may be kept. The reply
// becomes what the askers are told, in wire form if it has one.
func (c *Cache) remember(k *key, reply *resolver.Reply, err error, epoch uint64) {
	// Many will share these: an append by one of them must not reach the others.
	reply.Errors = slices.Clip(reply.Errors)
	packed, unpackable := reply.Packed(k.question)
	if unpackable != nil {
		c.store.put(k, nil, epoch)
		return
	}
	*reply = packed
	found := judgement{verdict: failed}
	if err == nil {
		found = c.limits.judge(k.question, reply)
	}
	var e *entry
	switch found.verdict {
	case lasting:
		e = newEntry(k, reply, c.now(), time.Duration(found.ttl)*time.Second)
		if found.aliased {
			e.traits |= aliased
		}
	case failed:
		e = newFailure(k, *reply, err, c.now(), c.config.FailureTTL)
	}
	c.store.put(k, e, epoch)
}
