package daemon

import (
	"slices"
	"testing"
	"time"
)

// TestTickets: a ticket is taken for a day at least and two at most, by the server name that
// it was sealed for.
func TestTickets(t *testing.T) {
	const name = "dns.contoso.net"
	sealing, began := newTickets(), time.Now()
	first := sealing.of(name, began)[0]
	for _, after := range []time.Duration{0, ticketAge, ticketAge + time.Second} {
		if !slices.Contains(sealing.of(name, began.Add(after)), first) {
			t.Errorf("not taken after %s", after)
		}
	}
	second := sealing.of(name, began.Add(ticketAge+time.Second))
	if len(second) != 2 || second[0] == first {
		t.Errorf("no new key after %s", ticketAge)
	}
	third := sealing.of(name, began.Add(2*ticketAge+2*time.Second))
	if slices.Contains(third, first) || third[1] != second[0] {
		t.Error("a ticket of two days ago is taken, or one of a day ago is not")
	}
	if late := sealing.of(name, began.Add(9*ticketAge)); len(late) != 1 {
		t.Errorf("after days without a client %d keys are held", len(late))
	}
	if other := sealing.of("fabrikam.dns.contoso.net", began); slices.ContainsFunc(other, func(key [32]byte) bool {
		return slices.Contains(sealing.of(name, began), key)
	}) {
		t.Error("another name has the same key")
	}
}
