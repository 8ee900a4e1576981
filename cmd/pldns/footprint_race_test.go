//go:build linux && race

package main

// mostIdle is a bound for a program that the race detector watches, which takes
// several times as much.
const mostIdle = 150_000
