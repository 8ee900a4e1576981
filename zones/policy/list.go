package policy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"pldns/zones"
)

// Why lines of a list are left out.
const (
	whyModifier = "filters with modifiers ($...), which say more than a name"
	whyPattern  = "filters by pattern or for parts of pages, which are no names"
	whyRewrite  = "hosts lines with an address of their own: a list blocks names, and answers no addresses; write a policy zone"
	whyName     = "words that are no names"
)

// errNoList is a file of which no line is an entry.
var errNoList = errors.New("no line of it is an entry of a list")

// readList reads a plain list, of which a line is held at a time.
func (b *Builder) readList(file io.Reader, left leftOut) error {
	scanner := bufio.NewScanner(file)
	scanner.Buffer(make([]byte, 0, longestLine), longestLine)
	l := listReader{Builder: b, left: left, deny: b.entries.rule("nxdomain", Rule{Action: NXDomain}),
		allow: b.except.rule("passthru", Rule{Action: Passthru})}
	for l.number = 1; scanner.Scan(); l.number++ {
		text := scanner.Text()
		if l.number == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if strings.IndexByte(text, 0) >= 0 {
			return fmt.Errorf("line %d has an octet of value 0: this is no text", l.number)
		}
		if err := l.line(strings.TrimSpace(text)); err != nil {
			return fmt.Errorf("line %d: %w", l.number, err)
		}
	}
	switch err := scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("line %d has more than %d KiB", l.number, longestLine>>10)
	case err != nil:
		return err
	case l.entries == 0 && len(left) > 0:
		return fmt.Errorf("%w: left out are %s", errNoList, left.sorted()[0])
	}
	return nil
}

// listReader reads the lines of one list.
type listReader struct {
	*Builder
	left        leftOut
	number      int // of the line
	deny, allow uint32
	entries     int
}

// line reads one line.
func (l *listReader) line(text string) error {
	switch {
	case text == "", text[0] == '#', text[0] == '!', strings.HasPrefix(text, "[Adblock"):
		return nil
	case strings.HasPrefix(text, "||"), strings.HasPrefix(text, "@@"):
		return l.filter(text)
	}
	words := strings.Fields(text)
	if at := slices.IndexFunc(words, func(word string) bool { return word[0] == '#' }); at >= 0 {
		words = words[:at]
	}
	if addr, err := netip.ParseAddr(words[0]); err == nil && len(words) > 1 {
		return l.hosts(addr, words[1:])
	}
	switch {
	case len(words) > 1, strings.ContainsAny(words[0], "/^|#,:"):
		l.left.add(whyPattern, l.number, text)
		return nil
	case strings.Contains(words[0], "$"):
		l.left.add(whyModifier, l.number, text)
		return nil
	}
	name, wild := strings.CutPrefix(words[0], "*.")
	if !wild && !strings.Contains(name, ".") {
		l.left.add(whyName, l.number, text)
		return nil
	}
	return l.name(l.Builder.entries, name, wild, l.deny)
}

// hosts reads the names behind an address that leads nowhere. Names of one label are those
// that a machine has for itself.
func (l *listReader) hosts(addr netip.Addr, names []string) error {
	if !addr.IsUnspecified() && !addr.IsLoopback() {
		if strings.Contains(names[0], ".") {
			l.left.add(whyRewrite, l.number, names[0])
		}
		return nil
	}
	for _, name := range names {
		if _, err := netip.ParseAddr(name); err == nil || !strings.Contains(name, ".") || name == "localhost.localdomain" {
			continue
		}
		if err := l.name(l.Builder.entries, name, false, l.deny); err != nil {
			return err
		}
	}
	return nil
}

// filter reads ||name^, or with @@ before it an exception.
func (l *listReader) filter(text string) error {
	inner, except := strings.CutPrefix(text, "@@")
	inner, anchored := strings.CutPrefix(inner, "||")
	inner, modifiers, modified := strings.Cut(inner, "$")
	inner, _ = strings.CutSuffix(inner, "|")
	inner, ended := strings.CutSuffix(inner, "^")
	switch {
	case modified && modifiers != "":
		l.left.add(whyModifier, l.number, text)
		return nil
	case !anchored || !ended:
		l.left.add(whyPattern, l.number, text)
		return nil
	}
	inner = strings.TrimPrefix(inner, "*.")
	if strings.ContainsAny(inner, "*/^|:") {
		l.left.add(whyPattern, l.number, text)
		return nil
	}
	if except {
		return l.name(l.except, inner, true, l.allow)
	}
	return l.name(l.Builder.entries, inner, true, l.deny)
}

// name enters a name, and all below it if it says so.
func (l *listReader) name(into *table, text string, below bool, rule uint32) error {
	name, err := zones.ParseName(text)
	if err != nil || !isHost(name) {
		l.left.add(whyName, l.number, text)
		return nil
	}
	at, err := into.enter(name)
	if err != nil {
		return err
	}
	l.entries++
	if at.exact == 0 {
		into.count++
		at.exact = rule
	}
	if below && at.below == 0 {
		at.below = rule
	}
	return nil
}

// isHost tells whether a name is one that hosts have, letters, digits, hyphens and
// underscores, and no address.
func isHost(name zones.Name) bool {
	text := name.String()
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	if last := text[len(text)-1]; last >= '0' && last <= '9' {
		_, err := netip.ParseAddr(text)
		return err != nil
	}
	return !name.IsRoot()
}
