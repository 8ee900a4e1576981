//go:build linux && !race

package main

import "time"

// mostIdle is how much memory of its own the program may have, in kilobytes, with a
// configuration of the size of the built-in example: with the 14 MB of its file that
// are in memory, less than 30 MiB.
const mostIdle = 16_000

// mostMore is how much more memory 10,000 endpoints that it learns may take at the peak,
// in kilobytes: some 55,000 were measured.
const mostMore = 80_000

// loadRate is how many queries a second are asked while releases follow each other.
const loadRate = 20_000

// flipPatience is how long all but the slowest of a hundred instances may take to answer from
// a release after a channel has come to name it, and flipInstances how many there are.
const (
	flipPatience  = time.Second
	flipInstances = 20
)
