// Package observe is told of single queries at the listeners: it holds the taps of package
// listen. [Unmapped] watches for names that should perhaps be mapped, [Recent] has the live
// list of the page; package querylog below it writes the query log, and package dnstap
// sends dnstap. [Taps] is all of them.
package observe

import "pldns/resolver/listen"

// Taps are a [listen.Tap] that tells each in turn.
type Taps []listen.Tap

// Wants is what serves each of them.
func (t Taps) Wants() (all listen.Wants) {
	for _, tap := range t {
		all = all.Or(tap.Wants())
	}
	return all
}

// Exchanged tells each of them. Who wants a sample has to ask whether e belongs to it.
func (t Taps) Exchanged(e *listen.Exchange) {
	for _, tap := range t {
		tap.Exchanged(e)
	}
}
