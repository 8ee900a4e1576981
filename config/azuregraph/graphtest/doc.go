// Package graphtest is an Azure for tests: a server for tokens and for Resource Graph,
// over TLS, with an estate that a test changes, and with the ways in which the real one
// fails. It reads the queries that it is sent, as far as they are "where type", "project"
// of plain paths and "order by": what it cannot read is an error, so that a query which
// asks more than any stand-in can answer does not pass.
package graphtest
