//go:build linux && !race

package main

// mostIdle is how much memory of its own the program may have, in kilobytes, with a
// configuration of the size of the built-in example: with the 14 MB of its file that
// are in memory, less than 30 MiB.
const mostIdle = 16_000
