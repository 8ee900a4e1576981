package content

import (
	"crypto/sha1"
	"encoding/base32"
	"encoding/hex"
	"strings"

	"github.com/miekg/dns"
)

// maxIterations bounds what one question may cost. Validators take a zone with more than 150
// for one without signatures (RFC 9276 section 3.2), so that nobody needs its proofs.
const maxIterations = 500

// base32Hex is how hashes are written in names (RFC 5155 section 3.3).
var base32Hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// hashing is how the names of a chain of NSEC3 records are made.
type hashing struct {
	iterations uint16
	salt       []byte
}

// findHashing is the one that the apex names as complete (RFC 5155 section 4); nil for none.
func (z *Zone) findHashing() *hashing {
	if len(z.hashed) == 0 {
		return nil
	}
	for r := range z.nodes[0].records().all {
		if r.rrtype() != dns.TypeNSEC3PARAM {
			continue
		}
		param, is := r.unpack(".").(*dns.NSEC3PARAM)
		if !is || param.Hash != dns.SHA1 || param.Flags != 0 || param.Iterations > maxIterations {
			continue
		}
		salt, err := hex.DecodeString(param.Salt)
		if err != nil {
			salt = nil // "-"
		}
		return &hashing{param.Iterations, salt}
	}
	return nil
}

// hash is the key of the NSEC3 record of a name (RFC 5155 section 5).
func (z *Zone) hash(key string) string {
	h := sha1.New()
	sum := z.wireName(key)
	for range int(z.hashing.iterations) + 1 {
		h.Reset()
		h.Write(sum)
		h.Write(z.hashing.salt)
		sum = h.Sum(sum[:0])
	}
	return strings.ToLower(base32Hex.EncodeToString(sum)) + "\x00"
}

// prove is an NSEC or NSEC3 record of a node with its signatures.
func (l *look) prove(n *node, rrtype uint16) []dns.RR {
	return l.set(n, rrtype, l.nameOf(n.name()).FQDN())
}

// distinct are the records without those that are there twice. Records of one node come
// together, so that one of them tells.
func distinct(records []dns.RR) []dns.RR {
	type id struct {
		owner   string
		rrtype  uint16
		covered uint16
		keyTag  uint16
	}
	seen := make(map[id]bool, len(records))
	kept := records[:0]
	for _, rr := range records {
		i := id{owner: rr.Header().Name, rrtype: rr.Header().Rrtype}
		if signature, is := rr.(*dns.RRSIG); is {
			i.covered, i.keyTag = signature.TypeCovered, signature.KeyTag
		}
		if !seen[i] {
			seen[i] = true
			kept = append(kept, rr)
		}
	}
	return kept
}

// covering is the node with the last NSEC record that is not after a key; nil for none. At
// the key itself it matches, else it covers.
func (l *look) covering(key string) *node {
	low, high := 0, len(l.nsec)
	for low < high {
		if middle := (low + high) / 2; l.nodes[l.nsec[middle]].name() <= key {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return nil
	}
	return &l.nodes[l.nsec[low-1]]
}

// covers is the NSEC record that covers a name which does not exist, or which exists only
// because others do below it.
func (l *look) covers(key string) []dns.RR {
	if n := l.covering(key); n != nil {
		return l.prove(n, dns.TypeNSEC)
	}
	return nil
}

// matches3 is the NSEC3 record of a name; nil for none.
func (l *look) matches3(key string) []dns.RR {
	if n := at(l.hashed, l.hash(key)); n != nil && l.isOfChain(n) {
		return l.prove(n, dns.TypeNSEC3)
	}
	return nil
}

// covers3 is the NSEC3 record that covers the hash of a name. The last of the chain covers
// what is before the first.
func (l *look) covers3(key string) []dns.RR {
	before := find(l.hashed, l.hash(key))
	for i := range l.hashed {
		n := &l.hashed[(before-1-i+2*len(l.hashed))%len(l.hashed)]
		if l.isOfChain(n) {
			return l.prove(n, dns.TypeNSEC3)
		}
	}
	return nil
}

// isOfChain tells whether an NSEC3 record is of the chain that is complete: while the
// parameters change, there may be two.
func (l *look) isOfChain(n *node) bool {
	for r := range n.records().all {
		if r.rrtype() != dns.TypeNSEC3 {
			continue
		}
		data := r.data() // hash, flags, iterations, length of the salt, salt
		if len(data) < 5 || len(data) < 5+int(data[4]) {
			return false
		}
		iterations := uint16(data[2])<<8 | uint16(data[3])
		if data[0] == dns.SHA1 && iterations == l.hashing.iterations && data[5:5+int(data[4])] == string(l.hashing.salt) {
			return true
		}
	}
	return false
}

// noSuchName proves that a name does not exist, and that no wildcard stands for it (RFC 4035
// section 3.1.3.2, RFC 5155 section 7.2.2).
func (l *look) noSuchName(encloser, nextCloser, wildcard string) []dns.RR {
	switch {
	case len(l.nsec) > 0:
		return distinct(append(l.covers(l.key), l.covers(wildcard)...))
	case l.hashing != nil:
		proof := l.matches3(encloser)
		for proof == nil && encloser != "" { // it exists for a delegation that the chain leaves out
			nextCloser = encloser
			encloser, _ = parentKey(encloser)
			proof = l.matches3(encloser)
		}
		proof = append(proof, l.covers3(nextCloser)...)
		return distinct(append(proof, l.covers3(under(encloser, "*"))...))
	}
	return nil
}

// noCloser proves that no name closer than a wildcard exists, for what is made of that (RFC
// 4035 section 3.1.3.3, RFC 5155 section 7.2.6). For a denial, the closest encloser is proven,
// too (section 7.2.5).
func (l *look) noCloser(wildcard string) []dns.RR {
	switch {
	case !l.dnssec:
	case len(l.nsec) > 0:
		return l.covers(l.key)
	case l.hashing != nil:
		encloser, _ := parentKey(wildcard)
		return l.covers3(l.below(encloser))
	}
	return nil
}

// below is the name one label below an encloser, on the way to the asked one.
func (l *look) below(encloser string) string {
	return l.key[:len(encloser)+strings.IndexByte(l.key[len(encloser):], 0)+1]
}

// nothingOf proves that there is nothing of the type at a name (RFC 4035 section 3.1.3.1 and
// 3.1.3.4, RFC 5155 section 7.2.3 to 7.2.5). The source is the name, or the wildcard that
// stands for it. Where a chain leaves out a delegation without signatures (opt-out), it proves
// that nothing is known between the names that it has.
func (l *look) nothingOf(source string, n *node) (proof []dns.RR) {
	switch {
	case len(l.nsec) > 0 && n != nil:
		return l.prove(n, dns.TypeNSEC)
	case len(l.nsec) > 0:
		return l.covers(source)
	case l.hashing == nil:
		return nil
	}
	wild := source != l.key && !strings.HasPrefix(l.key, source)
	if proof = l.matches3(source); proof != nil {
		if wild {
			encloser, _ := parentKey(source)
			proof = append(l.matches3(encloser), proof...)
		}
		return proof
	}
	for at := source; ; {
		above, more := parentKey(at)
		if !more {
			return nil
		}
		if proof = l.matches3(above); proof != nil {
			return distinct(append(proof, l.covers3(at)...))
		}
		at = above
	}
}
