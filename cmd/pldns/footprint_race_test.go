//go:build linux && race

package main

// mostIdle and mostMore are bounds for a program that the race detector watches, which
// takes several times as much.
const mostIdle, mostMore = 150_000, 400_000

// loadRate is how many queries a second are asked while releases follow each other.
const loadRate = 2_000
