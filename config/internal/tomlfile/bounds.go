package tomlfile

import (
	"fmt"
	"strings"
)

const (
	// maxParts is how many parts a key may have, and maxDepth how deep lists and inline
	// tables may stand in each other. A configuration needs 5 and 3. The library needs
	// time for the square of either, and the stack of the program for each level.
	maxParts = 32
	maxDepth = 32
)

// exceeded says where a file is nested deeper than anybody needs; nil where it is
// not. It has to be known before the library reads the file. It also reports whether
// there are dots in the keys of pairs.
func exceeded(text string) (fault *Fault, dotted bool) {
	depth, dots, inKey := 0, 0, true
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"', '\'':
			i = textEnd(text, i) - 1
		case '#':
			i += len(upToLineEnd(text[i:])) - 1
		case '[', '{':
			depth++
			dots = 0
		case ']', '}':
			depth = max(0, depth-1)
		case '.':
			dots++
			dotted = dotted || inKey && depth == 0
		case '=', ',', '\n':
			dots, inKey = 0, text[i] == '\n'
		}
		if depth > maxDepth || dots >= maxParts {
			return tooDeep(text[:i], depth > maxDepth), dotted
		}
	}
	return nil, dotted
}

func tooDeep(before string, values bool) *Fault {
	fault := &Fault{
		Line:   1 + strings.Count(before, "\n"),
		Text:   fmt.Sprintf("has a key of more than %d parts", maxParts),
		Remedy: `put a name with dots into quotes, as in "mydb.database.windows.net"`,
	}
	if values {
		fault.Text = fmt.Sprintf("has lists or tables more than %d deep in each other", maxDepth)
		fault.Remedy = "correct the brackets of the line"
	}
	return fault
}

// textEnd is the end of the string that begins at a quote.
func textEnd(text string, at int) int {
	quote := text[at : at+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(text[at:], triple) {
		quote = triple
	}
	for i := at + len(quote); i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote[0] == '"':
			i++
		case text[i] == '\n' && len(quote) == 1:
			return i // it lacks its end, which the library reports
		case strings.HasPrefix(text[i:], quote):
			i += len(quote)
			for more := 0; len(quote) == 3 && more < 2 && i < len(text) && text[i] == quote[0]; more++ {
				i++ // one or two more belong to the string
			}
			return i
		}
	}
	return len(text)
}

// upToLineEnd is the rest of a line, without its end.
func upToLineEnd(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
