package config

import _ "embed" // for the example

//go:embed example.toml
var example string // never assigned: the embed directive wants a variable

// Example is the configuration that serves as an example: two regions on one
// machine, on loopback addresses and without privileged ports.
func Example() []byte { return []byte(example) }
