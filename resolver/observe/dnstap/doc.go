// Package dnstap sends what was asked and answered to a receiver of dnstap
// (https://dnstap.info): the messages as they came and went, with addresses and
// times, as Protocol Buffers over Frame Streams.
//
// It is a tap at the listeners (package listen), and at the upstream groups (package
// forward). What it is told goes into a queue of
// bounded length, and one goroutine sends: where the receiver is slower than the
// queries, or away, messages are dropped and counted, and no query waits.
package dnstap
