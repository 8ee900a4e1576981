package secondary

import (
	"math/rand/v2"
	"time"

	"github.com/miekg/dns"
)

// The times of an SOA record are kept within these, whatever a primary writes.
const (
	// A zone with a refresh of 0 would be asked for without a pause. Five seconds are less
	// than any primary means, and 10,000 such zones are 2,000 queries a second, over two
	// connections at once for each primary.
	leastRefresh = 5 * time.Second
	// A lost NOTIFY is made good within a day.
	mostRefresh = 24 * time.Hour
	leastRetry  = 5 * time.Second
	mostRetry   = time.Hour
	// What is older than 24 weeks is not worth serving; BIND has the same bound.
	mostExpire = 24 * 7 * 24 * time.Hour

	// firstRetry is the pause after the first failure to get a zone of which there is no copy.
	// Each further one is twice as long, until mostFirstRetry.
	firstRetry     = 5 * time.Second
	mostFirstRetry = 5 * time.Minute

	// pace is the least time between two queries that NOTIFYs for one zone make.
	pace = time.Second
)

// times are how long after it was confirmed a zone is asked for again, how long after a failure,
// and how long it may be served unconfirmed: not less than it takes to ask twice.
func times(soa *dns.SOA) (refresh, retry, expire time.Duration) {
	refresh = min(max(seconds(soa.Refresh), leastRefresh), mostRefresh)
	retry = min(max(seconds(soa.Retry), leastRetry), mostRetry)
	return refresh, retry, min(max(seconds(soa.Expire), refresh+retry), mostExpire)
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// soon is a time that is up to a quarter shorter, so that zones which were loaded together are
// not asked for together.
func soon(d time.Duration) time.Duration { return d - rand.N(d/4+1) }

// again is the pause after some failures in a row to get a zone of which there is no copy.
func again(failures int) time.Duration {
	d := firstRetry
	for range failures - 1 {
		if d *= 2; d >= mostFirstRetry {
			return mostFirstRetry
		}
	}
	return d
}
