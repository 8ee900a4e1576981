package resolver

import "github.com/miekg/dns"

// Reuse says for how long an Answer may be given again, to clients of the same
// network who ask the same, without being decided anew.
type Reuse uint8

// The reuses of an answer.
const (
	// Once: it was refused, failed, stale or asked for just now, or it follows the
	// health of an endpoint. Only deciding anew tells what comes next.
	Once Reuse = iota
	// WhileFresh: what the outside contributed was remembered by its [Exchanger].
	// The TTLs count down, and the Exchanger wants to be asked before they are
	// over, because it refreshes what is in demand.
	WhileFresh
	// WithSnapshot: all of it follows from the snapshot, and nothing counts down.
	WithSnapshot
)

// reuse is the Reuse of the answer that the chain ended in.
func (c *chain) reuse(a Answer) Reuse {
	switch {
	case c.once, a.Rcode != dns.RcodeSuccess && a.Rcode != dns.RcodeNameError:
		return Once
	case c.outside:
		return WhileFresh
	default:
		return WithSnapshot
	}
}
