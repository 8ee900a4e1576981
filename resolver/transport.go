package resolver

import (
	"fmt"
	"slices"
	"strings"
)

// Transport is what queries are asked over, by the word that metrics, the query log and
// dnstap have for it.
type Transport string

// The transports.
const (
	OverUDP   Transport = "udp"
	OverTCP   Transport = "tcp"   // RFC 7766
	OverTLS   Transport = "tls"   // RFC 7858
	OverHTTPS Transport = "https" // RFC 8484, over HTTP/2 or HTTP/1.1
	OverQUIC  Transport = "doq"   // RFC 9250
	OverHTTP3 Transport = "h3"    // RFC 8484, over HTTP/3
)

// Transports are all that there are. Whatever counts or names transports has a place for
// each of them.
func Transports() []Transport {
	return []Transport{OverUDP, OverTCP, OverTLS, OverHTTPS, OverQUIC, OverHTTP3}
}

// ParseTransport reads a transport as a user writes it: by its word, or as the
// configuration calls its listeners. The error lists those that there are.
func ParseTransport(text string) (Transport, error) {
	all := Transports()
	is := func(t Transport) bool { return text == string(t) || text == t.Short() }
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], nil
	}
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.Short()
	}
	return "", fmt.Errorf("%q is no transport: write %s or %s", text, strings.Join(names[:len(names)-1], ", "), names[len(names)-1])
}

// Short is the transport as the configuration calls its listeners and as people say it:
// udp, tcp, dot, doh, doq or h3.
func (t Transport) Short() string {
	switch t {
	case OverTLS:
		return "dot"
	case OverHTTPS:
		return "doh"
	default:
		return string(t)
	}
}

// Title is the transport in a sentence.
func (t Transport) Title() string {
	switch t {
	case OverUDP:
		return "UDP"
	case OverTCP:
		return "TCP"
	case OverTLS:
		return "TLS"
	case OverHTTPS:
		return "HTTPS"
	case OverQUIC:
		return "QUIC"
	default:
		return "HTTP/3"
	}
}

// Port is the one that is usual (RFC 1035, 7858, 8484 and 9250).
func (t Transport) Port() uint16 {
	switch t {
	case OverTLS, OverQUIC:
		return 853
	case OverHTTPS, OverHTTP3:
		return 443
	default:
		return 53
	}
}

// ALPN are the protocols of TLS that it may be (RFC 7858, 7301, 9114 and 9250); none where
// there is no TLS.
func (t Transport) ALPN() []string {
	switch t {
	case OverTLS:
		return []string{"dot"}
	case OverHTTPS:
		return []string{"h2", "http/1.1"}
	case OverQUIC, OverHTTP3:
		return []string{string(t)}
	default:
		return nil
	}
}

// IsEncrypted tells whether a server shows a certificate.
func (t Transport) IsEncrypted() bool { return t != OverUDP && t != OverTCP }

// IsPackets tells whether it is UDP that carries it.
func (t Transport) IsPackets() bool { return t == OverUDP || t == OverQUIC || t == OverHTTP3 }

// IsWeb tells whether a URL is asked.
func (t Transport) IsWeb() bool { return t == OverHTTPS || t == OverHTTP3 }
