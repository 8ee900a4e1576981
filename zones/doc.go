// Package zones holds who sees which records: an immutable table from a client
// to its network, and from a name in that network to the records it is answered
// with.
//
// Everything here is a pure value. A [Table] is built once by [Build], never
// changes and may be read by any number of goroutines; it does no I/O and reads
// no clock. What the network does not hold is told apart by [Kind], and asking
// elsewhere is the business of package resolver.
package zones
