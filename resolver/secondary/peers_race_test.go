//go:build race

package secondary_test

// bigRecords is how many records the large zone of the tests with other servers has: the detector looks for
// other things than what takes long.
const bigRecords = 20_000
