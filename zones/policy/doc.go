// Package policy says what becomes of names and addresses that an operator, or whoever makes
// lists for operators, does not want: response policy. It reads the files in which that is
// written, response policy zones and plain lists, and finds what they say of a name or an
// address. Policies are immutable values; who is held to which, and when they are asked, is
// for package resolver.
//
// Entries of response policy zones are those that BIND documents: triggers by name and by
// address in an answer. In plain lists a hosts line and a bare domain hold for the name
// itself; "||name^" and "*.name" hold for the name and all below it.
package policy
