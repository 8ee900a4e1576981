// Package config reads what an operator writes: TOML in, checked values out.
//
// [Load] reads a file and those it names, [Parse] a document in memory. Both give
// a [Config] in which every value is valid and every default filled in, or
// [Problems]: all faults of all files, each with its key path and what to do.
// Nothing here opens a socket or asks a server.
package config
