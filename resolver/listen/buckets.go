package listen

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	// bucketSets and bucketWays bound what is remembered of clients that are
	// limited: 65,536 of them, in 2.2 MB, which are not used before it is needed.
	bucketSets = 1 << 13
	bucketWays = 8
	// burst is the time for which a client may save up what it does not use.
	burst = int64(time.Second)
)

// buckets are the token buckets of the clients that are limited. Their number is
// fixed, nothing is allocated after newBuckets, and no clean-up is needed. It may
// be used by any number of goroutines. A rate.Limiter for each client would take four
// times the memory with the map that finds it, and needs somebody to clean up after
// every flood of forged addresses.
//
// A client has its place in one set of eight, which a secret decides, so nobody can
// aim at the place of another. Where a set is full, the bucket that is nearest to
// full again gives way, because the least is forgotten with it. So a flood from
// ever new addresses pushes out others of its kind, and neither the client that is
// far over its limit nor the memory of it.
type buckets struct {
	seed  maphash.Seed
	start time.Time
	sets  []bucketSet
}

type bucketSet struct {
	mutex sync.Mutex
	ways  [bucketWays]bucket
}

// bucket is what is known of one client. It is kept as the moment at which it will
// be full: a query puts that off by the time in which another one is earned. That
// is a bucket of tokens that nobody has to fill.
type bucket struct {
	owner uint64 // the hash of who it is; 0 for nobody
	full  int64  // nanoseconds after start
	calm  int64  // the same for the rate above which a client is lively
	over  uint32 // queries that found it empty
}

func newBuckets() *buckets {
	return &buckets{seed: maphash.MakeSeed(), start: time.Now(), sets: make([]bucketSet, bucketSets)}
}

// owner is who a bucket belongs to: the clients of a network, told apart by scope,
// that share a prefix of their address. It is never 0.
func (b *buckets) owner(scope uint64, client netip.Prefix) uint64 {
	var key [16 + 1 + 8]byte
	addr := client.Addr().As16()
	copy(key[:], addr[:])
	key[16] = byte(client.Bits())
	binary.LittleEndian.PutUint64(key[17:], scope)
	return maphash.Bytes(b.seed, key[:]) | 1
}

// take takes one query out of a bucket that earns one in every interval; 0 takes
// nothing. Of the queries that find it empty it gives the number; 0 is for the
// others.
func (b *buckets) take(owner uint64, interval time.Duration, now time.Time) (over uint32) {
	over, _ = b.watch(owner, interval, 0, now)
	return over
}

// watch is take that also tells whether the owner is lively: whether it has lately
// asked more than one query in each liveliness, by a burst of one second; with 0 nobody
// is. Who is not has no need to be looked at more closely.
func (b *buckets) watch(owner uint64, interval, liveliness time.Duration, now time.Time) (over uint32, lively bool) {
	set := &b.sets[owner>>1%bucketSets]
	moment := int64(now.Sub(b.start))
	set.mutex.Lock()
	defer set.mutex.Unlock()
	mine := set.of(owner, moment)
	if liveliness > 0 {
		// Beyond the burst it goes on to another: who is lively stays so while it asks as
		// much, and for a second after.
		mine.calm = min(max(mine.calm, moment)+int64(liveliness), moment+2*burst)
		lively = mine.calm-moment > burst
	}
	full := max(mine.full, moment) + int64(interval)
	if full-moment <= burst {
		mine.full = full
		return 0, lively
	}
	mine.over++
	return max(mine.over, 1), lively
}

// of is the bucket of an owner, with somebody else's made new for it if need be.
func (s *bucketSet) of(owner uint64, moment int64) *bucket {
	spare := &s.ways[0]
	for i := range s.ways {
		way := &s.ways[i]
		if way.owner == owner {
			return way
		}
		if max(way.full, way.calm) < max(spare.full, spare.calm) {
			spare = way
		}
	}
	*spare = bucket{owner: owner, full: moment, calm: moment}
	return spare
}
