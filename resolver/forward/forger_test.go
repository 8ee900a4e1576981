package forward_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/miekg/dns"

	"pldns/resolver/resolvertest"
)

// A forger who sends from the server's own address, and knows the source port
// and the question, has a million tries to guess the id and the letters while the
// answer is on its way. That is far better placed than any forger who does not
// see the query.
func TestAForgerGuessesInVain(t *testing.T) {
	const forgeries = 1_000_000
	u := resolvertest.StartUpstream(t, resolvertest.AzureData)
	u.Always(resolvertest.Over(resolvertest.UDP, func(a *resolvertest.Asked) {
		poisoned := a.Reply()
		poisoned.Answer[0].(*dns.A).A = []byte{192, 0, 2, 66}
		poisoned.Question[0].Name = "www.contoso.com."
		packet, err := poisoned.Pack()
		if err != nil {
			return
		}
		id, letters := a.Msg.Id, a.Raw[12:12+17]
		a.Forge(forgeries, packet, func(packet []byte) {
			guess := rand.Uint64()
			binary.BigEndian.PutUint16(packet, uint16(guess))
			right := uint16(guess) == id
			for i, b := range packet[12 : 12+17] {
				b |= 0x20 * (b >> 6 & 1) // lower case
				if b >= 'a' && guess>>(16+i)&1 == 1 {
					b -= 'a' - 'A'
				}
				packet[12+i] = b
				right = right && b == letters[i]
			}
			if right { // one in half a thousand million: not this time
				packet[0] ^= 1
			}
		})
		resolvertest.Answer(a)
	}))
	reply := mustExchange(t, pool(t, u), question("www.contoso.com", dns.TypeA))
	resolvertest.SameRecords(t, "answer", reply.Answer, "www.contoso.com. A 203.0.113.80")
}
