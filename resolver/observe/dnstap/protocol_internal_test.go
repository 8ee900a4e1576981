package dnstap

import (
	"testing"

	"github.com/dnstap/golang-dnstap"

	"pldns/resolver"
	"pldns/resolver/forward"
)

// Each transport is a protocol of dnstap.proto, that of DNS over QUIC as DOQ (7), which a
// reader that does not know it yet shows as the number.
func TestEveryTransportHasAProtocol(t *testing.T) {
	want := map[resolver.Transport]dnstap.SocketProtocol{
		resolver.OverUDP: dnstap.SocketProtocol_UDP, resolver.OverTCP: dnstap.SocketProtocol_TCP, resolver.OverTLS: dnstap.SocketProtocol_DOT,
		resolver.OverHTTPS: dnstap.SocketProtocol_DOH, resolver.OverHTTP3: dnstap.SocketProtocol_DOH, resolver.OverQUIC: 7,
	}
	for _, transport := range resolver.Transports() {
		number, known := want[transport]
		if got := protocol(string(transport)); !known || got != number {
			t.Errorf("%s is %v, want %v", transport, got, number)
		}
	}
	for transport, number := range map[forward.Transport]dnstap.SocketProtocol{
		forward.Plain: dnstap.SocketProtocol_UDP, forward.TCP: dnstap.SocketProtocol_TCP, forward.TLS: dnstap.SocketProtocol_DOT,
		forward.HTTPS: dnstap.SocketProtocol_DOH, forward.HTTP3: dnstap.SocketProtocol_DOH, forward.QUIC: 7,
	} {
		if got := protocol(transport.String()); got != number {
			t.Errorf("a server over %s is %v, want %v", transport, got, number)
		}
	}
}
