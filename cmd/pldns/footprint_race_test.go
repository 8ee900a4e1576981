//go:build linux && race

package main

import "time"

// mostIdle and mostMore are bounds for a program that the race detector watches, which
// takes several times as much.
const mostIdle, mostMore = 150_000, 400_000

// loadRate is how many queries a second are asked while releases follow each other.
const loadRate = 2_000

// flipPatience and flipInstances are a second and 20 without the race detector.
const (
	flipPatience  = 5 * time.Second
	flipInstances = 4
)
