// Package primary gives zones to other servers: whole ones (AXFR, RFC 5936), what has changed in
// them (IXFR, RFC 1995), and word that they have changed (NOTIFY, RFC 1996).
//
// A [Zone] is given as one network sees it. It is the copy of somebody else's zone, with the serial
// that its primary gave it, or it is made here of the endpoints and the records of the network:
// made.go. Who may take it is part of it. Nothing here waits on behalf of a query: a [Server]
// answers from what it holds, and makes new content in its own time, in [Server.Run].
//
// # Serials of what is made here
//
// The serial of a made zone is the Unix time of the change that made it, or one more than the
// serial before where the clock has not gone on. So it grows whoever makes it: of two servers that
// read the same configuration, each gives a change the time at which it met it, and a secondary that
// asks now one and now the other takes the zone once more than it had to, whole, and keeps what is
// newest. What must not happen is that old content gets a new serial, because then a secondary goes
// back to it: a server that is started with an old configuration would do so if it took the time of
// its start. So the serial is kept in a file, with a digest of the content that has it, and what is
// unchanged after a restart has its serial again. Without the file, or with one that cannot be
// written, the start counts as a change.
package primary
