package forward

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

// Config describes a group of servers.
type Config struct {
	// Name is the name of the group, as operators know it. It must not be empty.
	Name string
	// Servers are asked by Policy; there must be at least one.
	Servers []Server
	// Policy is how a server is chosen; the zero value is [Ordered].
	Policy Policy
	// Timeout is how long one question may take, whatever deadline it has; 0 means
	// 5 s.
	Timeout time.Duration
	// MaxInFlight is how many questions may be under way at once. When one more
	// begins, one of the network, client or domain that has most under way fails
	// with [ErrShed] (see [share.Quota]). A question takes about 2 KiB. 0 means
	// 16,384.
	MaxInFlight int
	// MaxQPS is how many queries a second the servers may be sent, retries
	// included; 0 means any number. Questions wait for up to a second, in turn by
	// network, client and domain (see [share.Queue]), and then fail with [ErrShed].
	MaxQPS float64
	// Sockets bounds the sockets of all groups that have it; nil means that the
	// group is the only one.
	Sockets *SocketLimit
	// RootCAs are who must have signed the certificates of servers that are asked
	// over TLS, HTTPS or QUIC; nil means those that the system trusts.
	RootCAs *x509.CertPool
	// Loops finds servers that lead back to this program; nil means that nobody
	// looks for them.
	Loops *Loops
	// Observer is told what happens; nil means nobody is.
	Observer Observer
	// Taps is told of single messages; nil means nobody is.
	Taps *Taps
	// Log is told what an operator should know; nil means nothing is logged.
	Log *slog.Logger
}

// Server is one server of a group.
type Server struct {
	// Transport is how it is asked.
	Transport Transport
	// Addr is where it listens. A server that has a URL needs none if that holds an
	// address, or if it has Bootstrap addresses.
	Addr netip.AddrPort
	// ServerName is the name in the certificate of a server that is asked over
	// TLS or QUIC; if it is empty, the certificate must be for the address (RFC 7858,
	// RFC 8310, RFC 9250). Where there is a URL, it says the name.
	ServerName string
	// URL is where messages are posted over HTTPS (RFC 8484), also by HTTP/3. It begins
	// with https://.
	URL string
	// Bootstrap are the addresses of the host in URL, which is never looked up.
	Bootstrap []netip.AddrPort
	// Text is the server as its operator wrote it, by which messages, metrics and
	// [resolver.Reply] name it; empty means its URL or Addr.
	Text string
}

// Transport is how a server is asked.
type Transport uint8

// The transports.
const (
	Plain Transport = iota // UDP, and TCP for what does not fit (RFC 7766)
	TCP                    // TCP only
	TLS                    // DNS over TLS (RFC 7858)
	HTTPS                  // DNS over HTTPS (RFC 8484)
	QUIC                   // DNS over QUIC (RFC 9250)
	HTTP3                  // DNS over HTTPS by HTTP/3 (RFC 9114) and no other version
)

// String is the word used in metrics and listings.
func (t Transport) String() string {
	return [...]string{"udp", "tcp", "tls", "https", "quic", "h3"}[t]
}

// hasURL tells whether a server is asked at a URL.
func (t Transport) hasURL() bool { return t == HTTPS || t == HTTP3 }

// MarshalText is String, for JSON. It never returns an error.
func (t Transport) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// The defaults of a [Config].
const (
	// DefaultTimeout is longer than a client waits: what comes late is good for the
	// next one. Microsoft asks forwarders to Azure DNS to wait for 4 s.
	DefaultTimeout     = 5 * time.Second
	defaultMaxInFlight = 16384
)

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(max(c.Timeout, 0), DefaultTimeout)
	c.MaxInFlight = cmp.Or(max(c.MaxInFlight, 0), defaultMaxInFlight)
	if c.Sockets == nil {
		c.Sockets = NewSocketLimit()
	}
	c.Observer = cmp.Or[Observer](c.Observer, nobody{})
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return c
}

// check tells what is wrong with a Config.
func (c Config) check() error {
	if c.Name == "" {
		return errors.New("the upstream group has no name")
	}
	if len(c.Servers) == 0 {
		return fmt.Errorf("upstream %s has no servers: name at least one", c.Name)
	}
	for _, s := range c.Servers {
		if wrong := s.check(); wrong != "" {
			return fmt.Errorf("upstream %s: server %q %s", c.Name, s.name(), wrong)
		}
	}
	if c.MaxQPS < 0 {
		return fmt.Errorf("upstream %s: max_qps is %v: it must not be negative", c.Name, c.MaxQPS)
	}
	return nil
}

// check says what is wrong with a server, and what to do; empty if nothing is.
func (s Server) check() string {
	if !s.Transport.hasURL() {
		if !askable(s.Addr) {
			return "has no address that can be asked: give IP:port"
		}
		return ""
	}
	if _, port, err := s.origin(); err != nil || port == 0 {
		return "has no URL that can be asked: give https://host/path"
	}
	addrs := s.bootstrap()
	if len(addrs) == 0 {
		return "has a URL with a name, which is never looked up: give bootstrap addresses"
	}
	if slices.ContainsFunc(addrs, func(a netip.AddrPort) bool { return !askable(a) }) {
		return "has a bootstrap address that cannot be asked: give IP:port"
	}
	return ""
}

// askable tells whether something may listen at an address.
func askable(addr netip.AddrPort) bool {
	return addr.IsValid() && addr.Port() != 0 && !addr.Addr().IsUnspecified()
}

// name is what the server is called.
func (s Server) name() string {
	switch {
	case s.Text != "":
		return s.Text
	case s.URL != "":
		return s.URL
	default:
		return s.Addr.String()
	}
}
