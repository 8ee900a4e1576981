package traffic

import (
	"slices"
	"testing"

	"pldns/resolver"
)

// Each transport is counted under its own word, and shown.
func TestEveryTransportHasAColumn(t *testing.T) {
	groups := Groups()
	shown := groups[len(groups)-1].Columns
	for _, transport := range resolver.Transports() {
		column := OverTransport(transport)
		if column.String() != string(transport) || !slices.Contains(shown, column) {
			t.Errorf("%s counts as %s", transport, column)
		}
	}
	if len(shown) != len(resolver.Transports()) {
		t.Errorf("%d transports are shown", len(shown))
	}
}
