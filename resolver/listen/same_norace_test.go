//go:build !race

package listen

const sameQuestions = 1_000_000
