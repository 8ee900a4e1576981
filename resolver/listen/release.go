package listen

import "time"

const (
	// maxGain is how many times as many octets as were asked with those replies may
	// have that an answer of the outside releases together.
	maxGain = 10
	// soon is the wait after which a reply is taken for one of many that were saved
	// up, whatever they asked. What is not in a cache takes a fraction of it.
	soon = 500 * time.Millisecond
)

// release is a query over UDP whose answer had to be waited for, when its reply is
// about to leave.
//
// Who forges addresses can ask slowly for a name whose servers are his, hold back
// their answer, and so have all the replies hit his victim in one moment: a pulse
// that no limit of queries a second sees (the DNSBomb attack). So the replies that
// are released together have at most [maxGain] times the octets that asked for them.
// A client that is there comes back over TCP, and finds the answer in the cache.
type release struct {
	asked  int           // octets of the query
	waited time.Duration // since the query was read, on the monotonic clock
	proven bool          // the address is: the query has a valid server cookie (RFC 7873)
	// together is how many queries of clients that count as one, for the same
	// question, one answer releases, this one included.
	together int
}

// limit is the size in octets that the reply may have, of those that the client and
// the transport allow. What is larger is cut, with the TC bit.
//
// A reply that comes soon and alone is no part of a pulse. A late one may be, even
// alone: others may have been held back for other names of the same servers.
func (r release) limit(allowed int) int {
	if r.proven || r.together <= 1 && r.waited < soon {
		return allowed
	}
	return min(allowed, maxGain*r.asked)
}

// held tells whether a reply to q that is not whole was cut because of what it would be
// released with.
func (q *query) held(r *request) bool {
	return !q.stream && q.wait.pulse != nil && q.released(r) < r.size
}

// released is the limit of a reply to q, which was pending.
func (q *query) released(r *request) int {
	s := q.wait.server
	return release{
		asked: q.size, waited: time.Since(q.began), together: q.wait.among.together(q),
		proven: s.proven(q, r),
	}.limit(r.size)
}
