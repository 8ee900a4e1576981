package listen

import (
	"github.com/miekg/dns"

	"pldns/resolver"
	"pldns/resolver/wire"
)

// identity is what the server of the snapshot that answers is called; nil where it has no
// name.
func (m *memory) identity() *resolver.Identity {
	if m.snapshot == nil || m.snapshot.Identity().Name == "" {
		return nil
	}
	return m.snapshot.Identity()
}

// nsidRoom is what the NSID option of the reply takes, in octets.
func (r *request) nsidRoom() int {
	if r.nsid == nil {
		return 0
	}
	return wire.OptionHead + len(r.nsid.Name)
}

// appendNSID appends the identity of the server (RFC 5001) to a reply that ends in the OPT
// record at opt. It is never a part of a reply that is remembered.
func (r *request) appendNSID(reply []byte, opt int) []byte {
	reply, room := wire.GrowOption(reply, opt, dns.EDNS0NSID, len(r.nsid.Name))
	copy(room, r.nsid.Name)
	return reply
}
