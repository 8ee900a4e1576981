package forward_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Nothing may go on after the tests: whoever starts a goroutine waits for it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
