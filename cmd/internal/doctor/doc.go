// Package doctor looks at Private Link from where its users are. [Examine] is for
// one name at a client: what the operating system and a DNS server answer, where
// the privatelink alias is lost, whether the private address accepts connections,
// and whether the certificate there is for the real name. [Verify] does the last
// two for many endpoints, and finds endpoints whose addresses were swapped.
//
// A certificate is looked at as the client of the service would: over TLS at once,
// or after the preface of SQL Server, PostgreSQL or MySQL. Nobody logs in.
//
// Everything that comes from the network is foreign: sizes are bounded, every wait
// ends, and no text reaches a [Step] with characters that a terminal would obey.
package doctor
