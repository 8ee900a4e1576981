package listen

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"pldns/resolver/wire"
)

const (
	clientCookieSize = 8
	serverCookieSize = 16
	// cookieRoom is what the COOKIE option of a reply takes.
	cookieRoom = 4 + clientCookieSize + serverCookieSize
)

// How old a server cookie may be, and how much of the future (RFC 9018 section 4.3).
const (
	oldestCookie  = int32(time.Hour / time.Second)
	newestCookie  = -int32(5 * time.Minute / time.Second)
	cookieVersion = 1
)

// cookies makes server cookies (RFC 7873) in the form that all servers of one
// address can share (RFC 9018 section 4). Nothing is kept of any client: a cookie
// tells those who get it back that it is this server that answers, and one that
// comes back tells the server that whoever asks is at its address. No query is
// refused for a cookie that is none, and every reply has a new one.
//
// Their time is that of the wall when the process began, and goes on evenly from
// there, whatever is done to the clock.
type cookies struct {
	key   [2]uint64
	began time.Time // a full second
}

// newCookies draws a secret for the life of the process.
func newCookies() cookies {
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // never fails
	return cookiesOf(secret)
}

func cookiesOf(secret [16]byte) cookies {
	now := time.Now()
	return cookies{
		key:   [2]uint64{binary.LittleEndian.Uint64(secret[:]), binary.LittleEndian.Uint64(secret[8:])},
		began: now.Add(-time.Duration(now.Nanosecond())), // which keeps its monotonic time, as Truncate would not
	}
}

// stamp is a time in a cookie.
func (c *cookies) stamp(now time.Time) uint32 {
	return uint32(c.began.Unix() + int64(now.Sub(c.began)/time.Second))
}

// proves tells whether a request has a server cookie that this server made for the
// client, not too long ago (RFC 9018 section 4.3). So whoever asks reads what is sent to
// that address.
func (c *cookies) proves(r *request, client netip.Addr, now time.Time) bool {
	cookie := r.serverCookie
	if !r.proof || [4]byte(cookie[:4]) != [4]byte{cookieVersion} {
		return false
	}
	age := int32(c.stamp(now) - binary.BigEndian.Uint32(cookie[4:])) // in serial number arithmetic (RFC 1982)
	return newestCookie <= age && age <= oldestCookie &&
		c.hash(r.cookie, [8]byte(cookie[:8]), client) == binary.LittleEndian.Uint64(cookie[8:])
}

// add adds to a reply that ends in the OPT record at opt the cookie for a client that
// sent one. The room for it has been left.
func (c *cookies) add(reply []byte, opt int, r *request, client netip.Addr, now time.Time) []byte {
	reply, room := wire.GrowOption(reply, opt, dns.EDNS0COOKIE, clientCookieSize+serverCookieSize)
	c.appendCookie(room[:0], r.cookie, client, now)
	return reply
}

// appendCookie appends a client cookie and the server cookie that goes with it:
// version 1, the time, and a hash of all that and of the client's address.
func (c *cookies) appendCookie(out []byte, cookie [clientCookieSize]byte, client netip.Addr, now time.Time) []byte {
	head := [8]byte{cookieVersion}
	binary.BigEndian.PutUint32(head[4:], c.stamp(now))
	out = append(append(out, cookie[:]...), head[:]...)
	return binary.LittleEndian.AppendUint64(out, c.hash(cookie, head, client))
}

// hash is what only this server can make of a client cookie, the first half of the
// server cookie, and an address.
func (c *cookies) hash(cookie [clientCookieSize]byte, head [8]byte, client netip.Addr) uint64 {
	var room [clientCookieSize + 8 + 16]byte
	hashed := append(append(room[:0], cookie[:]...), head[:]...)
	if client.Is4() {
		addr := client.As4()
		hashed = append(hashed, addr[:]...)
	} else {
		addr := client.As16()
		hashed = append(hashed, addr[:]...)
	}
	return sipHash(c.key, hashed)
}

// sipHash is SipHash-2-4, the keyed hash that RFC 9018 asks for.
func sipHash(key [2]uint64, data []byte) uint64 {
	v := [4]uint64{
		key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
		key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573,
	}
	length := uint64(len(data)) << 56
	for ; len(data) >= 8; data = data[8:] {
		sipBlock(&v, binary.LittleEndian.Uint64(data), 2)
	}
	for i, octet := range data {
		length |= uint64(octet) << (8 * i)
	}
	sipBlock(&v, length, 2)
	v[2] ^= 0xff
	sipBlock(&v, 0, 4)
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

// sipBlock takes one word in, by so many rounds.
func sipBlock(v *[4]uint64, word uint64, rounds int) {
	v[3] ^= word
	for range rounds {
		v[0] += v[1]
		v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
		v[0] = bits.RotateLeft64(v[0], 32)
		v[2] += v[3]
		v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
		v[0] += v[3]
		v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
		v[2] += v[1]
		v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
		v[2] = bits.RotateLeft64(v[2], 32)
	}
	v[0] ^= word
}
