package cache

// Observer is told what the cache does. Its methods are called by many
// goroutines, on the path of every query and partly under a lock: they must be
// quick and must not call the Cache.
type Observer interface {
	// CacheEvent counts one event of an upstream group.
	CacheEvent(group string, event Event)
	// Panicked counts a panic that was recovered from; part is "cache".
	Panicked(part string)
}

// Event is what happened to one question or one entry.
type Event uint8

// The events. Every call of Start is exactly one of Hit, Miss and Stale: a
// call that found something expired is a Miss if it was given news after all.
const (
	Hit       Event = iota // answered from memory, a remembered failure included
	Miss                   // answered, or failed, by way of the upstream
	Stale                  // answered with what has expired (RFC 8767)
	Coalesced              // a Miss or Stale that waited for a question already asked
	Prefetch               // asked ahead of expiry, in the background
	Busy                   // gave way, because too many waited
	Late                   // a reply that was remembered when all who had asked were gone
	Evicted                // an entry gave way to another
)

// String is the word used in metrics.
func (e Event) String() string {
	return [...]string{"hit", "miss", "stale", "coalesced", "prefetch", "busy", "late", "evicted"}[e]
}

// nobody is the Observer of those who have none.
type nobody struct{}

func (nobody) CacheEvent(string, Event) {}
func (nobody) Panicked(string)          {}
