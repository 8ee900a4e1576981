package upstream

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
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
	// Timeout is how long one Exchange may take, whatever its context allows; 0
	// means 2.5 s.
	Timeout time.Duration
	// MaxInFlight is how many Exchanges may be under way at once; what exceeds it
	// fails with [ErrShed]. 0 means 1000.
	MaxInFlight int
	// Observer is told what happens; nil means nobody is.
	Observer Observer
	// Log is told what an operator should know; nil means nothing is logged.
	Log *slog.Logger
}

// Server is one server of a group.
type Server struct {
	// Transport is how it is asked.
	Transport Transport
	// Addr is where it listens.
	Addr netip.AddrPort
	// Text is the server as its operator wrote it, by which messages, metrics and
	// [resolver.Reply] name it; empty means Addr.
	Text string
}

// Transport is how a server is asked.
type Transport uint8

// The transports.
const (
	Plain Transport = iota // UDP, and TCP for what does not fit (RFC 7766)
	TCP                    // TCP only
)

// String is the word used in metrics and listings.
func (t Transport) String() string {
	return [...]string{"udp", "tcp"}[t]
}

// Policy is how a server is chosen among those that are healthy.
type Policy uint8

// The policies.
const (
	Ordered Policy = iota // the first, the others only when it fails
)

// String is the word used in the configuration file.
func (p Policy) String() string {
	return [...]string{"ordered"}[p]
}

// The defaults of a [Config].
const (
	defaultTimeout     = 2500 * time.Millisecond
	defaultMaxInFlight = 1000
)

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.MaxInFlight <= 0 {
		c.MaxInFlight = defaultMaxInFlight
	}
	if c.Observer == nil {
		c.Observer = nobody{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
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
		if !s.Addr.IsValid() || s.Addr.Port() == 0 || s.Addr.Addr().IsUnspecified() {
			return fmt.Errorf("upstream %s: server %q has no address that can be asked: give IP:port", c.Name, s.Text)
		}
	}
	return nil
}
