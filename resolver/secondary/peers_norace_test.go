//go:build !race

package secondary_test

// bigRecords is how many records the large zone of the tests with other servers has, and how
// many change at once.
const bigRecords = 100_000
