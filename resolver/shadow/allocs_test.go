package shadow_test

import (
	"testing"

	"pldns/resolver/shadow"
)

// What is not compared makes no garbage for those who answer.
func TestWhatIsDroppedMakesNoGarbage(t *testing.T) {
	s := shadow.New(shadow.Config{Group: "azure", Sample: 1, MaxQPS: 1e-9, Differences: shadow.NewDifferences(0)})
	first, a := mapped(t, "db1", "10.0.1.1")
	s.Answered(first, a) // it takes the one turn
	other, b := mapped(t, "db2", "10.0.1.1")
	if n := testing.AllocsPerRun(100, func() {
		s.Answered(first, a) // compared a moment ago
		s.Answered(other, b) // beyond the rate
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
