package wire

import (
	"encoding/binary"
	"strings"

	"github.com/miekg/dns"

	"pldns/zones"
)

const (
	pointerBits = 0xC0
	pointerMask = 0x3FFF
	// maxPointers is how many compression pointers a name may lead over; no writer of
	// messages needs more than one.
	maxPointers = 16
)

// pointerAt is where the pointer at an offset leads.
func pointerAt(message []byte, at int) int {
	return int(binary.BigEndian.Uint16(message[at:])) & pointerMask
}

// First is where the first label of a name stands, or the root: it follows the pointers
// that a name begins with. Two names of one message with the same First are the same. The
// name is one that [Check] or a [Reader] has passed.
func First(message []byte, at int) int {
	for range maxPointers {
		if at+1 >= len(message) || message[at]&pointerBits != pointerBits {
			return at
		}
		at = pointerAt(message, at)
	}
	return at
}

// label gives the label at an offset, which may be a pointer to it, and where the next
// one stands. The root is an empty label; ok is false if nothing can be read.
func label(message []byte, at int) (text []byte, next int, ok bool) {
	at = First(message, at)
	if at >= len(message) || message[at]&pointerBits != 0 {
		return nil, at, false
	}
	next = at + 1 + int(message[at])
	if next > len(message) {
		return nil, at, false
	}
	return message[at+1 : next], next, true
}

// SameName tells whether two names of a message are the same.
func SameName(message []byte, a, b int) bool {
	for range MaxName {
		if a, b = First(message, a), First(message, b); a == b {
			return true
		}
		one, nextOne, ok1 := label(message, a)
		other, nextOther, ok2 := label(message, b)
		if !ok1 || !ok2 || !EqualFold(one, other) {
			return false
		}
		if len(one) == 0 {
			return true
		}
		a, b = nextOne, nextOther
	}
	return false
}

// Within tells whether a name of a message is that of a zone, or below it.
func Within(message []byte, name, zone int) bool {
	for range MaxName {
		if SameName(message, name, zone) {
			return true
		}
		text, next, ok := label(message, name)
		if !ok || len(text) == 0 {
			return false
		}
		name = next
	}
	return false
}

// IsName tells whether the name at an offset is the given one.
func IsName(message []byte, at int, name zones.Name) bool {
	text := name.FQDN()
	if strings.IndexByte(text, '\\') >= 0 { // rare: whatever needs an escape
		own, ok := Name(message, at)
		return ok && own == name
	}
	if text == "." {
		text = ""
	}
	for {
		own, next, ok := label(message, at)
		switch {
		case !ok:
			return false
		case len(own) == 0:
			return text == ""
		case len(own) >= len(text) || text[len(own)] != '.':
			return false
		}
		for i, octet := range own {
			if lower(octet) != text[i] || octet == '.' { // which would have an escape in the text
				return false
			}
		}
		text, at = text[len(own)+1:], next
	}
}

// Name is the name at an offset. It allocates the text of the name and no more.
func Name(message []byte, at int) (zones.Name, bool) {
	text, ok := Text(message, at)
	return zones.NameOf(text), ok
}

// Text is the name at an offset in presentation form and in its own letter case, absolute,
// as the DNS library writes it.
func Text(message []byte, at int) (string, bool) {
	var room [MaxName]byte
	text := room[:0]
	for own, next, ok := label(message, at); ; own, next, ok = label(message, next) {
		switch {
		case !ok || !isPlain(own) || len(text)+len(own)+1 >= MaxName: // rare: the library knows
			name, _, err := dns.UnpackDomainName(message, at)
			return name, err == nil
		case len(own) > 0:
			text = append(append(text, own...), '.')
		case len(text) == 0:
			return ".", true
		default:
			return string(text), true
		}
	}
}

// isPlain tells whether a label is surely written as it is, without escapes.
func isPlain(label []byte) bool {
	for _, octet := range label {
		if !('a' <= octet && octet <= 'z' || '0' <= octet && octet <= '9' || octet == '-' || octet == '_' ||
			'A' <= octet && octet <= 'Z' || octet == '*') {
			return false
		}
	}
	return true
}

// LowerName writes the labels of a name in lower case, up to its end or to where a
// pointer leads to another.
func LowerName(message []byte, at int) {
	for at < len(message) && message[at] != 0 && message[at]&pointerBits == 0 {
		end := min(at+1+int(message[at]), len(message))
		Lower(message[at+1 : end])
		at = end
	}
}

// Lower writes letters in lower case. Lengths of labels are below the letters and stay
// what they are, so it does for whole names that are not compressed.
func Lower(octets []byte) {
	for i, octet := range octets {
		octets[i] = lower(octet)
	}
}

// EqualFold compares names that are not compressed, or labels.
func EqualFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(octet byte) byte {
	if octet-'A' < 26 {
		octet |= 0x20
	}
	return octet
}
