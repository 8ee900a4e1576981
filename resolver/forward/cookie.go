package forward

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// cookieLife is how long a client cookie is used. A new one then keeps servers
// from following a client for ever (RFC 7873 section 6).
const cookieLife = 24 * time.Hour

// cookies are the DNS cookies of one server (RFC 7873): a secret that every reply
// has to repeat, and what the server wants to see in every query.
type cookies struct {
	mu     sync.Mutex
	client [8]byte
	server []byte // nil until the server has shown that it knows cookies
	local  netip.Addr
	born   time.Time
}

// cookieRoom is room in octets for the longest cookie (RFC 7873 section 4).
const cookieRoom = 40

// appendFor appends to b the content of the cookie option of a query from a local
// address, on request without the server's part. Another address gets another client
// cookie.
func (c *cookies) appendFor(b []byte, local netip.Addr, clientOnly bool, now time.Time) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if local != c.local || now.Sub(c.born) > cookieLife {
		_, _ = rand.Read(c.client[:]) // never fails, by its documentation
		c.server, c.local, c.born = nil, local, now
	}
	b = append(b, c.client[:]...)
	if clientOnly {
		return b
	}
	return append(b, c.server...)
}

// The outcomes of looking at the cookie of a reply.
type cookieVerdict uint8

const (
	cookieFine    cookieVerdict = iota // none where none is due
	cookieBack                         // the right one
	cookieWrong                        // not the one that was sent: a forgery
	cookieMissing                      // a server that knows cookies sent none
)

// check looks at the cookie of the reply to a query that had sent in its cookie
// option, and learns the server's part.
func (c *cookies) check(msg *dns.Msg, sent []byte) cookieVerdict {
	if len(sent) == 0 {
		return cookieFine
	}
	got, found := cookieOf(msg)
	switch {
	case !found && len(sent) > len(c.client):
		return cookieMissing
	case !found:
		return cookieFine
	case len(got) < len(c.client) || string(got[:len(c.client)]) != string(sent[:len(c.client)]):
		return cookieWrong
	}
	if n := len(got) - len(c.client); n >= 8 && n <= 32 {
		c.learn(got, sent)
	}
	return cookieBack
}

// learn keeps the server's part of a cookie, unless the client's part has been
// replaced since.
func (c *cookies) learn(got, sent []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if string(c.client[:]) == string(sent[:len(c.client)]) {
		c.server = got[len(c.client):]
	}
}

// forget gives up the belief that the server knows cookies.
func (c *cookies) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = nil
}

// cookieOf is the content of the cookie option of a message.
func cookieOf(msg *dns.Msg) (content []byte, found bool) {
	opt := msg.IsEdns0()
	if opt == nil {
		return nil, false
	}
	for _, option := range opt.Option {
		if cookie, ok := option.(*dns.EDNS0_COOKIE); ok {
			content, err := hex.DecodeString(strings.ToLower(cookie.Cookie))
			return content, err == nil
		}
	}
	return nil, false
}
