// Package wire reads and writes DNS messages where they lie: the bits of the header,
// the question, the records and their TTLs, names, and the OPT record with its options.
// Nothing is allocated while a message is read, and nothing is looked at beyond its end
// (RFC 9267). Records as values, their presentation form and everything else that is
// rare are left to github.com/miekg/dns, which this package is fuzzed against.
//
// Names are compared as RFC 4343 says. Offsets are counted from the first octet of a
// message.
package wire
