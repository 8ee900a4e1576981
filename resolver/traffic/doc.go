// Package traffic keeps what was answered, to whom and how fast, for the page of
// operators: for each network and in all, the last minute second by second, the last day
// by minutes and the last 90 days by hours; and the names and clients that are asked for
// and ask most.
//
// Counts come from [Traffic.Observe], which is told of answers many at a time, and
// what is single from the tap that [Traffic] is, which takes a sample. Nobody who answers
// waits here: to count is one atomic addition for a batch of equal answers, and a sample
// that would have to wait for another one is left out.
//
// # Time
//
// History goes by the time that has passed, not by the clock of the wall: somebody who
// sets that clock neither ends nor prolongs anything. Only the time between two runs of
// the program is read from it.
//
// # Memory
//
// A step without an answer takes nothing, any other about 25 octets. All histories
// together take at most 64 MiB, and 1,000 networks that are never idle some 60: where
// that does not do, the oldest of every network goes first. A network takes 2 KiB besides,
// and 512 octets for each kind of answer that it gets (transport, response code and
// source: usually less than ten). The lists of names and clients have at most 65,536
// entries together and 16 of each list that are always there, some 170 octets each, and
// 430 where all names are as long as can be.
package traffic
