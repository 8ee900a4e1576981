//go:build !race

package listen_test

// manyPending is how many questions are left open.
const manyPending = 10_000
