//go:build !race

package resolver_test

// isolationQueries is how many random queries the isolation property is tried on.
const isolationQueries = 1_000_000
