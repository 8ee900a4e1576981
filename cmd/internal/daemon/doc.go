// Package daemon turns settings into running parts: it puts the server together for
// one configuration, reloads it, and stops it. It is the only place that sees both
// the configuration and the resolver; it wires them, and decides nothing about names.
//
// [Open] and [Server.Run] are the whole life of a server (server.go). A reload reads,
// checks, builds, tries and swaps (reload.go, reloads.go); parts that were made of the
// same settings are taken over (assemble.go), and parts that only the old
// configuration used are stopped when the last query that may need them has ended
// (supervisor.go).
package daemon
