// Package tsig signs DNS messages with a shared secret and verifies them (RFC 8945). It works on
// messages in wire form, so that what is verified is what came, octet for octet.
//
// Who asks signs with [Key.Sign] and hands each reply to a [Replies], one after the other: a
// transfer has many, some of them unsigned. Who answers hands the request to [Ring.Receive] and
// each reply to [Request.Sign].
//
// The DNS library signs, too. This package exists because the library says nothing of an error
// that the other side tells (BADTIME with its clock, BADKEY), takes a TSIG record that is not the
// last one, and refuses unsigned messages between signed ones.
package tsig
