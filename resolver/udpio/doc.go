// Package udpio holds the system calls by which many packets are read, sent and waited
// for at once, and nothing else: it knows no message of the DNS.
//
// A [Worker] is one thread's worth of sockets: that of its clients and those over which
// it asks upstream servers. It waits for all of them in one place, so that whoever reads
// a batch of replies also sends the answers to those who waited for them. Other systems
// than Linux, and the build tag "portable", have no workers: there each packet is read
// and sent by itself.
package udpio

// Flusher has packets that were put off to the end of a batch.
type Flusher interface {
	// Flush sends them. It is called by the worker whose batch it is, and must not wait.
	Flush()
}

// LargestPacket is room in octets for any UDP packet: a query that was cut off on
// reading would look malformed.
const LargestPacket = 65535
