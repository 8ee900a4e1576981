//go:build race

package azurediscovery_test

// raced: the race detector takes many times as long.
const raced = true
