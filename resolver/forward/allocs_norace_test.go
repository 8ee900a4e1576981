//go:build !race

package forward_test

// maxGarbage is how many pieces of memory a plain question to a socket pool leaves
// behind: the message, its records and their list.
const maxGarbage = 4

// silentQuestions is how many questions are asked at once that nobody answers.
const silentQuestions = 20_000

// maxSilent is how many octets of memory such a question takes at most: 2,010, and what
// other tests have left behind that is not given back yet.
const maxSilent = 2200
