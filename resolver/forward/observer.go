package forward

import "time"

// Observer is told what happens to the servers of a group. Its methods are
// called by many goroutines, on the path of every query: they must be quick and
// must not call the Pool. A server is named as its operator wrote it.
type Observer interface {
	// UpstreamSent counts a query that was sent, and why.
	UpstreamSent(group, server string, why Why)
	// UpstreamAnswered counts a reply by its response code, and says how long it
	// took to come.
	UpstreamAnswered(group, server string, rcode int, took time.Duration)
	// UpstreamFailed counts a query that brought nothing usable, and why. A query
	// that timed out may still be answered later, and is then counted there too.
	UpstreamFailed(group, server string, reason Reason)
	// UpstreamHealth says that a server is in good health now, or is not. It is
	// called when that changes, and once for every server at the beginning.
	UpstreamHealth(group, server string, healthy bool)
	// UpstreamShed counts a question that had to make room because too much is
	// under way (see [ErrShed]).
	UpstreamShed(group string)
	// UpstreamPanicked counts a fault of this program that cost one question.
	UpstreamPanicked(group string)
	// UpstreamSuspicious counts something about what came from the address of a
	// server that might be an attack. All of it has harmless reasons too; it is the
	// number that tells.
	UpstreamSuspicious(group, server string, what Suspicion)
}

// Why is the reason for which a query is sent.
type Why uint8

// The reasons.
const (
	First Why = iota // the first query of a question
	Retry            // another one, because an earlier one failed or timed out
	Hedge            // another one, because an earlier one takes longer than usual
	Probe            // to see whether the server is well
)

// String is the word used in metrics.
func (w Why) String() string {
	return [...]string{"first", "retry", "hedge", "probe"}[w]
}

// Suspicion is what looks like an attack.
type Suspicion uint8

// The suspicions.
const (
	NearMiss       Suspicion = iota // many packets at the port of a query that were not its reply
	WrongCase                       // a reply that was right but for its letter case
	NoCookie                        // a reply without the cookie that the server is known to send
	PrivateAddress                  // an answer with a private address; it is passed on as it is
)

// String is the word used in metrics.
func (s Suspicion) String() string {
	return [...]string{"near-miss", "letter-case", "cookie", "private-address"}[s]
}

// nobody is the Observer of those who have none.
type nobody struct{}

func (nobody) UpstreamSent(string, string, Why)                    {}
func (nobody) UpstreamAnswered(string, string, int, time.Duration) {}
func (nobody) UpstreamFailed(string, string, Reason)               {}
func (nobody) UpstreamHealth(string, string, bool)                 {}
func (nobody) UpstreamShed(string)                                 {}
func (nobody) UpstreamPanicked(string)                             {}
func (nobody) UpstreamSuspicious(string, string, Suspicion)        {}
