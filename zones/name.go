package zones

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// Name is a domain name in the one form that the whole program compares:
// absolute, lower case, in presentation format (RFC 4343, RFC 1035 section 5.1).
// The zero Name is no name at all; the root is [Root].
type Name struct{ text string }

// Root is the name of the root zone.
func Root() Name { return Name{"."} }

// errEmptyName is what an empty text gives; "." is the root.
var errEmptyName = errors.New("the name is empty")

// ParseName reads a name as an operator writes it, with or without the final
// dot, in any letter case. It refuses what RFC 1035 section 2.3.4 forbids: empty
// labels, labels over 63 octets, names over 255 octets.
func ParseName(text string) (Name, error) {
	if text == "" {
		return Name{}, errEmptyName
	}
	if strings.HasPrefix(text, ".") && text != "." {
		return Name{}, fmt.Errorf("%q begins with a dot", text)
	}
	if name, plain := plainName(text); plain {
		return name, nil
	}
	var wire [255]byte
	end, err := dns.PackDomainName(dns.Fqdn(text), wire[:], 0, nil, false)
	if err != nil {
		return Name{}, fmt.Errorf("%q is no domain name: a label has 1 to 63 octets and a name at most 255", text)
	}
	// Through the wire and back, so that every escape has one spelling.
	canonical, _, err := dns.UnpackDomainName(wire[:end], 0)
	if err != nil {
		return Name{}, fmt.Errorf("%q is no domain name: %w", text, err)
	}
	return NameOf(canonical), nil
}

// plainName is ParseName for names of letters, digits, hyphens, underscores and
// asterisks, which is nearly all of them: such names have one spelling but for
// letter case. It leaves those that it does not know, and those that are none.
func plainName(text string) (Name, bool) {
	text = strings.TrimSuffix(text, ".")
	if len(text) > 253 { // 255 octets without the first length and the root's
		return Name{}, false
	}
	label := 0
	var lower [254]byte
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '.':
			if label == 0 {
				return Name{}, false
			}
			label = -1
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '*':
		default:
			return Name{}, false
		}
		if label++; label > 63 {
			return Name{}, false
		}
		lower[i] = c
	}
	lower[len(text)] = '.'
	return Name{string(lower[:len(text)+1])}, label > 0
}

// MustName is ParseName for names that are constants of a program or a test;
// it panics on what is no name.
func MustName(text string) Name {
	name, err := ParseName(text)
	if err != nil {
		panic(err)
	}
	return name
}

// NameOf makes a Name of a name that the DNS library unpacked from a message,
// which is known to be well formed.
func NameOf(unpacked string) Name {
	return Name{dns.CanonicalName(unpacked)}
}

// FQDN is the name with its final dot, as the DNS library wants it.
func (n Name) FQDN() string { return n.text }

// String is the name as people write it: without the final dot, the root as ".".
func (n Name) String() string {
	if len(n.text) <= 1 {
		return n.text
	}
	return n.text[:len(n.text)-1]
}

// Clone is the name in memory of its own. Names that a [Table] gives are parts of
// its text, which whoever outlives the table should not keep.
func (n Name) Clone() Name { return Name{strings.Clone(n.text)} }

// IsZero reports whether n is no name.
func (n Name) IsZero() bool { return n.text == "" }

// IsRoot reports whether n is the root.
func (n Name) IsRoot() bool { return n.text == "." }

// Parent is the name without its leftmost label; the root has none.
func (n Name) Parent() (Name, bool) {
	if len(n.text) <= 1 {
		return Name{}, false
	}
	next, end := dns.NextLabel(n.text, 0)
	if end {
		return Root(), true
	}
	return Name{n.text[next:]}, true
}

// Under is the name made of label (which may hold several, separated by dots)
// put in front of n. The result is not checked for length.
func (n Name) Under(label string) Name {
	if n.IsRoot() {
		return Name{label + "."}
	}
	return Name{label + "." + n.text}
}

// Within reports whether n is zone or a name below it.
func (n Name) Within(zone Name) bool {
	if zone.text == "." {
		return n.text != ""
	}
	head, found := strings.CutSuffix(n.text, zone.text)
	if !found || zone.text == "" {
		return false
	}
	if head == "" {
		return true
	}
	// The suffix must begin at a label: a dot before it, and not an escaped one.
	label, dotted := strings.CutSuffix(head, ".")
	escapes := len(label) - len(strings.TrimRight(label, "\\"))
	return dotted && escapes%2 == 0
}

// Labels are the labels of the name from left to right; the root has none.
func (n Name) Labels() []string { return dns.SplitDomainName(n.text) }

// IsWildcard reports whether the leftmost label is "*" (RFC 4592 section 2.1.1).
func (n Name) IsWildcard() bool { return strings.HasPrefix(n.text, "*.") }

// Compare orders names as plain text, for stable listings.
func (n Name) Compare(other Name) int { return cmp.Compare(n.text, other.text) }

// MarshalText writes the name as [Name.String] does. The error is always nil.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }
