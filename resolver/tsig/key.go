package tsig

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/miekg/dns"

	"pldns/zones"
)

// Key is a secret that two servers share. Both know it by its name. It lacks nothing, which whoever
// makes it sees to; it is a value that many may use at once, and that nobody changes.
type Key struct {
	Name zones.Name
	// Algorithm is hmac-sha1, hmac-sha224, hmac-sha256, hmac-sha384 or hmac-sha512. HMAC-MD5 is none
	// of them: RFC 8945 section 6 says that it must not be used.
	Algorithm string
	Secret    []byte
}

// Size is how many octets a MAC of the key's algorithm has; a secret should have as many (RFC 2104
// section 3). It is 0 for an algorithm that is not known.
func (k *Key) Size() int {
	if h := k.newHash(); h != nil {
		return h().Size()
	}
	return 0
}

// newHash is nil for an algorithm that is not known.
func (k *Key) newHash() func() hash.Hash {
	switch k.Algorithm {
	case "hmac-sha1":
		return sha1.New
	case "hmac-sha224":
		return sha256.New224
	case "hmac-sha256":
		return sha256.New
	case "hmac-sha384":
		return sha512.New384
	case "hmac-sha512":
		return sha512.New
	}
	return nil
}

// digest begins the MAC of a message with the one before it: that of the request for the first
// reply, that of the last signed reply for a later one, none for a request (RFC 8945 section 4.3.1).
func (k *Key) digest(prior []byte) hash.Hash {
	h := hmac.New(k.newHash(), k.Secret)
	if len(prior) > 0 {
		h.Write([]byte{byte(len(prior) >> 8), byte(len(prior))})
		h.Write(prior)
	}
	return h
}

// packed is a name as it is signed: in lower case, without compression (RFC 8945 section 4.3.3).
func packed(name string) []byte {
	var room [256]byte
	end, err := dns.PackDomainName(name, room[:], 0, nil, false)
	if err != nil {
		return []byte{0} // no Name is like that
	}
	return append([]byte(nil), room[:end]...)
}
