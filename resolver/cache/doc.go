// Package cache remembers what upstreams said, and asks each of them one
// question at a time however many want to know.
//
// A [Cache] sits under the split: [Cache.Group] wraps the [resolver.Exchanger]
// of one upstream group, so that only the words of upstreams ever get in, keyed
// by the group and the whole question. A record that belongs to a consumer
// network cannot be in it, and so cannot come out of it for another network.
//
// Where each decision is made: what tells two answers apart in key.go; what may
// be kept and for how long in ttl.go; who asks and who waits in flight.go; what
// happens after an answer has expired in stale.go; what is given up when room
// runs out in store.go.
package cache
