// Package content holds the whole content of a zone that somebody else is primary for,
// and answers from it as an authoritative server does: wildcards (RFC 4592), DNAME (RFC
// 6672), delegations, and the proofs of signed zones (RFC 4035, RFC 5155).
//
// A [Zone] never changes. What a primary says has changed makes another one, which
// shares with the first all that is the same.
package content
