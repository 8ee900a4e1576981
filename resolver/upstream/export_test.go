package upstream

import (
	"github.com/miekg/dns"

	"pldns/resolver"
)

// Scrub gives the tests what is kept of a message.
func Scrub(q resolver.Question, msg *dns.Msg) (resolver.Reply, error) { return scrub(q, msg) }

// ReadReply gives the tests what becomes of a packet that came to the port of a
// query for q: whether it counts as the reply, and what it says.
func ReadReply(q resolver.Question, spoil func(query, packet []byte) []byte, packet []byte) (reply resolver.Reply, counts bool, err error) {
	asked, err := writeQuery(q, manners{})
	if err != nil {
		return resolver.Reply{}, false, err
	}
	packet = spoil(asked.packet, packet)
	if found := asked.match(packet); found != matching && found != recased {
		return resolver.Reply{}, false, nil
	}
	msg, err := asked.read(packet)
	if err != nil {
		return resolver.Reply{}, true, err
	}
	reply, err = scrub(q, msg)
	return reply, true, err
}
