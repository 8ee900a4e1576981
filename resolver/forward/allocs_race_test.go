//go:build race

package forward_test

// maxGarbage has room for what pools drop at random in a build that looks for
// races.
const maxGarbage = 12

// silentQuestions is how many questions are asked at once that nobody answers.
const silentQuestions = 1_000

// maxSilent is how many octets of memory such a question takes at most, beside what the few of them
// share.
const maxSilent = 4096
