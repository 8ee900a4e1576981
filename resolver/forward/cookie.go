package forward

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
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
func (c *cookies) check(found edns, sent []byte) cookieVerdict {
	if len(sent) == 0 {
		return cookieFine
	}
	got := found.cookie
	switch {
	case got == nil && len(sent) > len(c.client):
		return cookieMissing
	case got == nil:
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
	if server := got[len(c.client):]; string(c.client[:]) == string(sent[:len(c.client)]) && !bytes.Equal(c.server, server) {
		c.server = bytes.Clone(server) // a query may still be writing the one before
	}
}

// forget gives up the belief that the server knows cookies.
func (c *cookies) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = nil
}

// edns is what the OPT record of a reply says.
type edns struct {
	shown  bool   // there is one
	cookie []byte // the content of its cookie option, part of the packet; nil if there is none
}

// ednsOf reads the options of an OPT record, if there is one. Of several cookies the
// first counts (RFC 7873 section 5.3).
func ednsOf(options wire.Options, shown bool) edns {
	found := edns{shown: shown}
	for option, more := options.Next(); more; option, more = options.Next() {
		if option.Code == dns.EDNS0COOKIE && found.cookie == nil {
			found.cookie = option.Data
		}
	}
	return found
}

// ednsOfMsg is ednsOf for a message as the library reads it.
func ednsOfMsg(msg *dns.Msg) edns {
	opt := msg.IsEdns0()
	if opt == nil {
		return edns{}
	}
	found := edns{shown: true}
	for _, option := range opt.Option {
		if cookie, ok := option.(*dns.EDNS0_COOKIE); ok {
			if content, err := hex.DecodeString(strings.ToLower(cookie.Cookie)); err == nil {
				found.cookie = content
			}
			break
		}
	}
	return found
}
