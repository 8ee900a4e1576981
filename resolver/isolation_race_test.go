//go:build race

package resolver_test

// isolationQueries is smaller under the race detector, which is about ten times
// slower and looks for other faults.
const isolationQueries = 100_000
