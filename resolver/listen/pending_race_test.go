//go:build race

package listen_test

// manyPending is how many questions are left open: fewer, because each takes its time.
const manyPending = 2_000
