package tomlfile

import "strings"

// Span is a part of a text.
type Span struct{ Start, End int }

// Value finds the value of a pair of a text.
func (s Statement) Value(text string) (at Span, ok bool) {
	p, ok := readPiece(text[s.Start:s.End])
	if !ok || s.Header {
		return Span{}, false
	}
	found, ok := p.position(p.keys[0])
	if !ok {
		return Span{}, false
	}
	start := found.Start
	switch p.data.Type(p.keys[0]...) {
	case "String":
		at = stringAt(p.text, start, found.Len)
	case "Array":
		at, ok = p.upTo(start, ']')
	case "Hash":
		at, ok = p.upTo(start, '}')
	default:
		bare := p.text[start:min(start+found.Len, len(p.text))]
		at = Span{start, start + len(strings.TrimRight(bare, " \t"))}
	}
	return Span{s.Start + at.Start, s.Start + at.End}, ok
}

// stringAt is a string with its quotes, of which the library tells the inside. It
// says that an empty one has a length of one.
func stringAt(text string, start, length int) Span {
	quote := text[start-1 : start]
	if triple := strings.Repeat(quote, 3); strings.HasSuffix(text[:start], triple) {
		quote = triple
	}
	if strings.HasPrefix(text[start:], quote) {
		length = 0
	}
	return Span{start - len(quote), start + length + len(quote)}
}

// upTo is a list or an inline table, which ends where the piece up to there is TOML
// already.
func (p *piece) upTo(start int, closing byte) (Span, bool) {
	for end := start; end < len(p.text); end++ {
		if p.text[end] != closing {
			continue
		}
		if _, ok := readPiece(p.text[:end+1]); ok {
			return Span{start - 1, end + 1}, true
		}
	}
	return Span{}, false
}

// Member finds the value of a key in the inline table that a pair of a text has. It
// does not find numbers, booleans, dates and times.
func (s Statement) Member(text, key string) (Span, bool) {
	p, ok := readPiece(text[s.Start:s.End])
	if !ok || s.Header {
		return Span{}, false
	}
	path := append(append(p.keys[0][:0:0], p.keys[0]...), key)
	found, ok := p.position(path) // of the key, not of its value
	if !ok {
		return Span{}, false
	}
	for end := found.Start; end < len(p.text); end++ {
		c := p.text[end]
		quote := c == '"' || c == '\''
		if !quote && c != ']' && c != '}' || quote && strings.HasPrefix(p.text[end+1:], string(c)) {
			continue
		}
		pair := Statement{Start: s.Start + found.Start, End: s.Start + end + 1}
		if member, ok := readPiece(text[pair.Start:pair.End]); ok && len(member.keys[0]) == 1 && member.keys[0][0] == key {
			return pair.Value(text)
		}
	}
	return Span{}, false
}
