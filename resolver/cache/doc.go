// Package cache remembers what upstreams said, and asks each of them one
// question at a time however many want to know.
//
// A [Cache] sits under the split: [Cache.Group] wraps the [resolver.Exchanger]
// of one upstream group, so that only the words of upstreams ever get in, keyed
// by the group and the whole question. A record that belongs to a consumer
// network cannot be in it, and so cannot come out of it for another network.
//
// Answers are kept as messages, so that a budget in bytes is one whatever they
// hold. Those who wait for an upstream cost a few dozen bytes each, and neither a
// goroutine nor a timer: whoever brings the reply tells them, or else the one timer
// of the cache.
//
// That a name does not exist answers every type of that name (RFC 2308 section 5,
// RFC 8020 section 2). It says nothing here of the names below it, though RFC 8020
// would allow that: upstreams are often forwarders themselves, which send a name to
// one server and the names below it to another, or make answers up for some of them.
//
// Where each decision is made: what tells two answers apart in key.go; what may
// be kept and for how long in ttl.go; the form in which it is kept in entry.go;
// who asks, who waits, and until when in flight.go and pending.go;
// what happens after an answer has expired in stale.go; what is given up when
// there are too many in store.go.
package cache
