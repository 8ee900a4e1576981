package dnstap

import (
	"net/netip"
	"time"

	dnstap "github.com/dnstap/golang-dnstap"
	"google.golang.org/protobuf/proto"

	"pldns/resolver"
	"pldns/resolver/forward"
	"pldns/resolver/listen"
)

// messages puts a query and its reply into messages of dnstap: CLIENT_QUERY and
// CLIENT_RESPONSE, as a resolver sees them at its listeners. The network of the client
// is in the field extra.
func (t *Tap) messages(e *listen.Exchange) exchange {
	answered := e.Began.Add(e.Took)
	query, response := common(e), common(e)
	query.Type = dnstap.Message_CLIENT_QUERY.Enum()
	query.QueryMessage = e.Request
	response.Type = dnstap.Message_CLIENT_RESPONSE.Enum()
	response.ResponseMessage = e.Reply
	response.ResponseTimeSec, response.ResponseTimeNsec = moment(answered)
	return exchange{t.wrap(e.Answer.Network, query), t.wrap(e.Answer.Network, response)}
}

// forwarded puts a message to a server, or from it, into one of dnstap: FORWARDER_QUERY or
// FORWARDER_RESPONSE, in which who is asked is the responder. The upstream group is in
// the field extra.
func (t *Tap) forwarded(m *forward.Message) exchange {
	out := &dnstap.Message{Type: dnstap.Message_FORWARDER_QUERY.Enum(), QueryMessage: m.Octets}
	out.QueryTimeSec, out.QueryTimeNsec = moment(m.Sent)
	if !m.Heard.IsZero() {
		out.Type, out.QueryMessage, out.ResponseMessage = dnstap.Message_FORWARDER_RESPONSE.Enum(), nil, m.Octets
		out.ResponseTimeSec, out.ResponseTimeNsec = moment(m.Heard)
	}
	out.SocketProtocol = protocol(m.Transport.String()).Enum()
	if addr := m.Addr.Addr(); addr.IsValid() {
		family := dnstap.SocketFamily_INET6
		if addr.Is4() {
			family = dnstap.SocketFamily_INET
		}
		out.SocketFamily = family.Enum()
		out.ResponseAddress, out.ResponsePort = addr.AsSlice(), port(m.Addr)
	}
	return exchange{t.wrap(m.Group, out)}
}

// wrap gives the octets of a message that says who sends it, and whose it is.
func (t *Tap) wrap(extra string, message *dnstap.Message) []byte {
	whole := &dnstap.Dnstap{
		Type: dnstap.Dnstap_MESSAGE.Enum(), Message: message,
		Identity: []byte(t.config.Identity), Version: []byte(t.config.Version),
	}
	if extra != "" {
		whole.Extra = []byte(extra)
	}
	octets, err := proto.Marshal(whole)
	if err != nil {
		panic(err) // no field that is needed is missing: the program is wrong
	}
	return octets
}

// common is what the messages of a query and of its reply both say.
func common(e *listen.Exchange) *dnstap.Message {
	m := new(dnstap.Message)
	m.QueryTimeSec, m.QueryTimeNsec = moment(e.Began)
	m.SocketProtocol = protocol(e.Transport).Enum()
	family := dnstap.SocketFamily_INET6
	if e.From.Addr().Is4() {
		family = dnstap.SocketFamily_INET
	}
	m.SocketFamily = family.Enum()
	m.QueryAddress, m.QueryPort = e.From.Addr().AsSlice(), port(e.From)
	// A message has one family. That of a client that a proxy names need not be the
	// one that the proxy used.
	if to := e.Query.Client.Listener; to.Addr().Is4() == e.From.Addr().Is4() {
		m.ResponseAddress, m.ResponsePort = to.Addr().AsSlice(), port(to)
	}
	return m
}

// overQUIC is DOQ of dnstap.proto, which is newer than the package.
const overQUIC dnstap.SocketProtocol = 7

// protocol is a transport in the words of dnstap.
func protocol(transport string) dnstap.SocketProtocol {
	switch resolver.Transport(transport) {
	case resolver.OverTCP:
		return dnstap.SocketProtocol_TCP
	case resolver.OverTLS:
		return dnstap.SocketProtocol_DOT
	case resolver.OverHTTPS, resolver.OverHTTP3:
		return dnstap.SocketProtocol_DOH
	case resolver.OverQUIC, "quic": // an upstream, as its server is written
		return overQUIC
	default:
		return dnstap.SocketProtocol_UDP
	}
}

// port is that of a socket; nil when it is not known.
func port(socket netip.AddrPort) *uint32 {
	if socket.Port() == 0 {
		return nil
	}
	return proto.Uint32(uint32(socket.Port()))
}

func moment(t time.Time) (seconds *uint64, nanoseconds *uint32) {
	return proto.Uint64(uint64(t.Unix())), proto.Uint32(uint32(t.Nanosecond()))
}
