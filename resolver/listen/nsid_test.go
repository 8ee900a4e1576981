package listen

import (
	"encoding/hex"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
)

// TestNSID: who asks by NSID is told what the server is called, and nobody else is,
// whoever asked the same before.
func TestNSID(t *testing.T) {
	r := run(t, newEstate(t), false)
	for _, name := range []string{"mydb.database.windows.net.", "nothing.example.", "broken.example."} {
		for i, asks := range []bool{false, true, false, true, false} {
			query := new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(1232, false)
			if asks {
				query.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: "beef"}} // which means nothing
			}
			packet, err := query.Pack()
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, option := range r.send(t, packet).IsEdns0().Option {
				if nsid, is := option.(*dns.EDNS0_NSID); is {
					got = nsid.Nsid
				}
			}
			if want := map[bool]string{true: hex.EncodeToString([]byte("hub-1"))}[asks]; got != want {
				t.Errorf("%s, query %d: NSID %q, want %q", name, i, got, want)
			}
		}
	}
}

// TestRoomForNSID: a reply with the identity of the server is no longer than the client takes.
func TestRoomForNSID(t *testing.T) {
	r, _ := accept(packed(t, mydb()))
	var q query
	before := q.limit(&r)
	r.nsid = newEstate(t).Snapshot().Identity()
	if left := before - q.limit(&r); left != wire.OptionHead+len("hub-1") {
		t.Errorf("%d octets are left free", left)
	}
}
