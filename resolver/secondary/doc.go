// Package secondary holds copies of zones that other servers are primary for. It asks the primaries
// when the SOA record of a zone says so, and when they say that it has changed (NOTIFY, RFC 1996);
// it takes what has changed (IXFR, RFC 1995) or the whole zone (AXFR, RFC 5936), over TCP or TLS
// (RFC 9103), with or without signatures (RFC 8945); and it keeps the last good copy on disk.
//
// A primary is a foreign server: what it sends is bounded in time, records and octets, and counts
// as a whole or not at all. Whatever it does, the last good copy goes on being served until its
// time to expire is over.
//
// Zones wait for their primaries in queues, not in goroutines, so that there may be thousands of
// them. No goroutine but those of transfers under way, of the disk, and of whoever is told.
package secondary
