// Package querylog writes what was asked, and what was answered and why, as one
// line of JSON for each query.
//
// It is a tap at the listeners (package listen). What it is told goes into a queue of
// bounded length, and one goroutine writes: where the writing is slower than the
// queries, lines are dropped and counted, and no query waits.
package querylog
