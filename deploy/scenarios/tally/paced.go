package tally

import "time"

// Paced is what became of queries at a steady pace over a few connections.
type Paced struct {
	Asked, Answered int
	P50, P99        time.Duration // of those that were answered
	Failure         string        // of the last one that was not
}
