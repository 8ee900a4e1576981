package content

import (
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

// A key stands for a name below the apex, and sorts as its name does in canonical order
// (RFC 4034 section 6.1): the labels from right to left, each followed by a zero, so that
// the keys of all names below a name begin with that one's key. The apex is the empty key.
// Octets 0 and 1 of a label are written as two, which leaves the order as it is.

// maxName is the length in octets of the longest name on the wire (RFC 1035 section 2.3.4).
const maxName = 255

// appendLabel adds a label, in lower case.
func appendLabel(key []byte, label []byte) []byte {
	for _, c := range label {
		switch {
		case c <= 1:
			key = append(key, 1, c+1)
		case 'A' <= c && c <= 'Z':
			key = append(key, c+'a'-'A')
		default:
			key = append(key, c)
		}
	}
	return append(key, 0)
}

// labelStarts finds where each label of a name in wire form begins, but for the root's.
func labelStarts(name []byte, starts []uint8) []uint8 {
	for at := 0; name[at] != 0; at += int(name[at]) + 1 {
		starts = append(starts, uint8(at))
	}
	return starts
}

// wireOf is a name in wire form, in a buffer that has room for the longest.
func wireOf(name zones.Name, buffer []byte) []byte {
	end, err := dns.PackDomainName(name.FQDN(), buffer, 0, nil, false)
	if err != nil {
		return nil // no zones.Name is so
	}
	return buffer[:end]
}

// appendKey adds the key of a name in wire form, which is at or below the apex; false for
// one that is not.
func (z *Zone) appendKey(key, name []byte) ([]byte, bool) {
	head := len(name) - len(z.wire)
	if head < 0 || !equalFold(name[head:], z.wire) {
		return key, false
	}
	var buffer [128]uint8
	starts := labelStarts(name, buffer[:0])
	own := len(starts)
	for own > 0 && int(starts[own-1]) >= head {
		own--
	}
	if own < len(starts) && int(starts[own]) != head || own == len(starts) && head != len(name)-1 {
		return key, false // the octets of the apex, but not its labels
	}
	for i := own - 1; i >= 0; i-- {
		at := int(starts[i])
		key = appendLabel(key, name[at+1:at+1+int(name[at])])
	}
	return key, true
}

// equalFold compares names in wire form (RFC 4343). The length octets are no letters.
func equalFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if c != b[i] && lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// keyOf is the key of a name; false for one that is not in the zone.
func (z *Zone) keyOf(name zones.Name) (string, bool) {
	var wire [maxName]byte
	var key [2 * maxName]byte
	made, in := z.appendKey(key[:0], wireOf(name, wire[:]))
	return string(made), in
}

// under is the key of a name right below another.
func under(key, label string) string { return key + label + "\x00" }

// parentKey is the key of the name above; false above the apex.
func parentKey(key string) (string, bool) {
	if key == "" {
		return "", false
	}
	return key[:strings.LastIndexByte(key[:len(key)-1], 0)+1], true
}

// wireName is the name of a key in wire form.
func (z *Zone) wireName(key string) []byte {
	name := make([]byte, 0, maxName)
	for key != "" {
		above, _ := parentKey(key)
		label := key[len(above) : len(key)-1]
		at := len(name)
		name = append(name, 0)
		for i := 0; i < len(label); i++ {
			c := label[i]
			if c == 1 {
				i++
				c = label[i] - 1
			}
			name = append(name, c)
		}
		name[at] = byte(len(name) - at - 1)
		key = above
	}
	return append(name, z.wire...)
}

// nameOf is the name of a key.
func (z *Zone) nameOf(key string) zones.Name {
	if key == "" {
		return z.apex
	}
	text, _, err := dns.UnpackDomainName(z.wireName(key), 0)
	if err != nil {
		return zones.Name{} // no key is so
	}
	return zones.NameOf(text)
}
