package daemon

import (
	"encoding/json"
	"net/netip"
	"testing"

	"pldns/resolver/forward/share"
)

// Who is limited is shown with what it is: a network, a client in it, or a domain.
func TestPendingShown(t *testing.T) {
	shown, err := json.Marshal(pendingOf("udp", share.View{
		Held: 9, Capacity: 10,
		Networks: []share.Usage{{Network: "hub", Held: 9, GaveWay: 3}},
		Clients:  []share.Usage{{Network: "hub", Client: netip.MustParsePrefix("10.0.0.7/32"), Held: 8, GaveWay: 3}},
		Suffixes: []share.Usage{{Suffix: "silent.example", Held: 8, GaveWay: 3}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"over":"udp","in_flight":9,"capacity":10,"shares":[` +
		`{"network":"hub","in_flight":9,"gave_way":3},` +
		`{"network":"hub","client":"10.0.0.7/32","in_flight":8,"gave_way":3},` +
		`{"suffix":"silent.example","in_flight":8,"gave_way":3}]}`
	if string(shown) != want {
		t.Errorf("\n got %s\nwant %s", shown, want)
	}
}
