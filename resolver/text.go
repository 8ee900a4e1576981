package resolver

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// CleanText makes a text from the network safe to show, on a terminal, in a log, on
// a page or to a client, who may do the same: what is not printable is escaped as Go
// does it, control characters and those that change the direction of writing
// included. A text that becomes longer than limit octets is cut and ends in "...".
func CleanText(text string, limit int) string {
	var out strings.Builder
	for rest := text; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case out.Len() >= limit:
			out.WriteString("...")
			return out.String()
		case r == utf8.RuneError && size == 1:
			out.WriteString(`\x`)
			out.WriteString(strconv.FormatUint(uint64(rest[0])|0x100, 16)[1:])
		case strconv.IsPrint(r):
			out.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			out.WriteString(quoted[1 : len(quoted)-1])
		}
		rest = rest[size:]
	}
	return out.String()
}
