// Package resolvertest is the one scripted upstream that all tests of pldns ask,
// and what they compare its answers with.
//
// An [Upstream] listens on loopback, over UDP and TCP on one port, and answers
// like a recursive resolver from the master-file text it was given. What it does
// otherwise is said by a [Behaviour], for one name or for all: be silent, wait,
// lie, break off. It remembers every query it was asked.
package resolvertest
