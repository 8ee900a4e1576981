package secondary

import "time"

// Kind is how a zone was copied.
type Kind string

// How a zone is copied.
const (
	Full        Kind = "axfr"
	Incremental Kind = "ixfr"
)

// Reason is why an attempt failed, in a word of a fixed set.
type Reason string

// Why an attempt fails.
const (
	Unreachable Reason = "unreachable" // no connection, or no answer in time
	Refused     Reason = "refused"     // the server says that it will not, or cannot
	Signature   Reason = "signature"   // a signature is wrong or missing, or a clock
	Certificate Reason = "certificate" // it is not who it should be
	Malformed   Reason = "malformed"   // what it sends is no answer, or no zone
	Backwards   Reason = "backwards"   // its serial is older than that of the copy
	TooLarge    Reason = "too_large"   // the zone has too many records or octets
	BrokenOff   Reason = "broken_off"  // it stopped in the middle, or became too slow
)

// Observer counts what happens. Its methods are called by many goroutines at once, and must be
// quick.
type Observer interface {
	// Confirmed counts an answer of a primary that the copy is what it has.
	Confirmed()
	// Transferred counts a copy that came, with its octets on the wire and how long it took.
	Transferred(kind Kind, octets int64, took time.Duration)
	// Failed counts an attempt at one primary that failed.
	Failed(reason Reason)
	// Notified counts a NOTIFY, and whether it was of a primary.
	Notified(taken bool)
	// Saved counts a copy that was written to disk, or could not be.
	Saved(ok bool)
	// Panicked counts a fault of this program; part is "secondary".
	Panicked(part string)
}

type nobody struct{}

func (nobody) Confirmed()                             {}
func (nobody) Transferred(Kind, int64, time.Duration) {}
func (nobody) Failed(Reason)                          {}
func (nobody) Notified(bool)                          {}
func (nobody) Saved(bool)                             {}
func (nobody) Panicked(string)                        {}
