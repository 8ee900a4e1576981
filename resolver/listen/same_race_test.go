//go:build race

package listen

// sameQuestions is lower under the race detector, which makes each one slow.
const sameQuestions = 20_000
